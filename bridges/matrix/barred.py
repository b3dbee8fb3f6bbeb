"""Rooms where nothing may be said at the moment, and why: the bot was put out, our homeserver is shut out, the text is encrypted.

What waits for such a room is not tried: it waits until the room's state, which is tried with growing pauses, finds it open again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from server import globs, log
from server.bridge import House, Rows
from server.errors import JuntoError

_log = log.get("matrix.barred")
_ALL = ""


class PutOut(JuntoError):
    """The bot is not in the room and may not come in. The words are the homeserver's."""

    def __init__(self, room: str, words: str) -> None:
        super().__init__(words)
        self.room = room


@dataclass(frozen=True, slots=True)
class Bar:
    """`for_good`: it cannot be undone, so that what waits does so in vain."""

    why: str
    for_good: bool = False


class Barred:
    """Rows of the house's: `barred` by room, and under no name the list of them, which is short."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def of(self, room: str) -> Bar | None:
        stored = await self._house.write(lambda rows: rows.get("barred", room)) if room else None
        return Bar(**json.loads(stored)) if stored is not None else None

    async def bar(self, room: str, why: str, for_good: bool = False) -> None:
        """Nothing is said there any more. The first reason stays, but for one that is for good."""

        def put(rows: Rows) -> bool:
            before = rows.get("barred", room)
            if before is not None and not (for_good and not json.loads(before)["for_good"]):
                return False
            rows.put("barred", room, json.dumps(asdict(Bar(why, for_good))))
            rows.put("barred", _ALL, json.dumps(sorted({*_listed(rows), room})))
            return before is None

        if await self._house.write(put):
            _log.error("a room is closed to us", room=room, why=why)
            forum = await self._house.forum_of(room)
            if forum is not None:
                await self._house.alarm(forum.slug, why)

    async def lift(self, room: str) -> bool:
        """It is open again; whether it was not."""

        def drop(rows: Rows) -> bool:
            before = rows.get("barred", room)
            if before is None or json.loads(before)["for_good"]:
                return False
            _forget(rows, room)
            return True

        return await self._house.write(drop)

    async def forget(self, room: str) -> None:
        """The room is no forum's any more."""
        await self._house.write(lambda rows: _forget(rows, room))

    async def all(self) -> Mapping[str, Bar]:
        def look(rows: Rows) -> dict[str, Any]:
            return {room: json.loads(rows.get("barred", room) or "{}") for room in _listed(rows)}

        return {room: Bar(**found) for room, found in (await self._house.write(look)).items() if found}


def _listed(rows: Rows) -> list[str]:
    return list(json.loads(rows.get("barred", _ALL) or "[]"))


def _forget(rows: Rows, room: str) -> None:
    rows.drop("barred", room)
    rows.put("barred", _ALL, json.dumps([other for other in _listed(rows) if other != room]))


def shuts_out(acl: Mapping[str, Any], server: str) -> bool:
    """Whether a room's `m.room.server_acl` keeps our homeserver out of it (Client-Server API, "Server Access Control Lists")."""
    if not acl:
        return False
    host = server.rpartition(":")[0] if server.rpartition(":")[2].isdecimal() and ":" in server else server
    host = host.lower()
    if acl.get("allow_ip_literals") is False and (host.startswith("[") or host.replace(".", "").isdecimal()):
        return True
    return _named(acl.get("deny"), host) or not _named(acl.get("allow"), host)


def _named(listed: object, host: str) -> bool:
    return isinstance(listed, list) and any(
        isinstance(glob, str) and globs.matches(glob.lower(), host) for glob in listed
    )
