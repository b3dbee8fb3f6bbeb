"""Aliases of our rooms. In a name space of our own they are ours alone; an account's are free for all, and may be refused or another's.

A room that could not have its alias is remembered by it: a row `alias` of the house's.
"""

from __future__ import annotations

from typing import Any

from bridges.matrix import known
from bridges.matrix.names import escaped
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import House

_log = log.get("matrix.aliases")


class Aliases:
    """Finds and makes rooms by alias. `free`: anybody of the homeserver may have taken it."""

    def __init__(self, house: House, free: bool) -> None:
        self._house, self._free = house, free

    async def room(self, bot: Ghost, alias: str) -> str | None:
        """The room of ours that this alias is for. Raises Trouble."""
        stored = await self._house.write(lambda rows: rows.get("alias", alias)) if self._free else None
        if stored is not None:
            return stored
        found = await known.found(bot, alias)
        return None if found is None or (self._free and found not in await known.joined(bot)) else found

    async def made(self, bot: Ghost, alias: str, wish: dict[str, Any]) -> str:
        """A new room with this alias, or without one where it cannot have it. Raises Trouble."""
        try:
            answer = await bot.call(
                "POST", "/_matrix/client/v3/createRoom", wish | {"room_alias_name": alias[1:].partition(":")[0]}
            )
            return str(answer["room_id"])
        except Trouble as trouble:
            taken = trouble.code == "M_ROOM_IN_USE" or trouble.status == 409
            if not taken and not (self._free and trouble.code in ("M_EXCLUSIVE", "M_FORBIDDEN")):
                raise
            # Made a moment ago by another process, or by an attempt whose answer was lost (Synapse answers 409 M_UNKNOWN then).
            found = await self.room(bot, alias) if taken else None
            if found is not None:
                return found
            if not self._free:
                raise
            _log.warning("no alias", alias=alias, problem=str(trouble))
        room = str((await bot.call("POST", "/_matrix/client/v3/createRoom", wish))["room_id"])
        await self._house.write(lambda rows: rows.put("alias", alias, room))
        return room

    async def lead(self, bot: Ghost, alias: str, room: str) -> bool:
        """Whether the alias leads to the room from now on. Raises Trouble."""
        path = f"/_matrix/client/v3/directory/room/{escaped(alias)[0]}"
        there = await known.found(bot, alias)
        if there == room:
            return False
        try:
            if there is not None:
                await bot.call("DELETE", path)
            await bot.call("PUT", path, {"room_id": room})
        except Trouble as trouble:
            if not self._free or (trouble.away and trouble.code != "M_EXCLUSIVE") or trouble.limited:
                raise
            await self._house.write(lambda rows: rows.put("alias", alias, room))
            return False
        await self._house.write(lambda rows: rows.drop("alias", alias))
        return True
