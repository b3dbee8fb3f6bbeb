"""Following a room to the one that replaced it (Client-Server API, "Room Upgrades"). Membership is not carried over: nothing of the
new room is heard until the bot has joined it; ghosts join when they next speak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bridges.matrix.known import state
from bridges.matrix.names import escaped, is_id, is_server_name
from bridges.matrix.wire import Ghost
from server import log

_log = log.get("matrix.upgrade")


async def successor(bot: Ghost, room: str, tombstone: Mapping[str, Any], via: str) -> str | None:
    """The room that a tombstone names, joined by way of that server; None where it names none that says the same of itself.

    Raises Trouble, M_FORBIDDEN where the bot must be invited first.
    """
    replacement = tombstone.get("replacement_room")
    if not is_id(replacement, "!") or replacement == room:
        return None
    query = urlencode({"server_name": via, "via": via}) if is_server_name(via) else ""  # `via` since v1.12
    await bot.call("POST", f"/_matrix/client/v3/join/{escaped(replacement)[0]}?{query}")
    before = (await state(bot, replacement, "m.room.create")).get("predecessor")
    if not isinstance(before, dict) or before.get("room_id") != room:
        _log.warning("a tombstone names a room that is no successor", room=room, replacement=replacement)
        return None
    return replacement
