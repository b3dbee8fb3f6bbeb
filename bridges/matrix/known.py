"""Which room is a forum's: remembered in the house's rows, found again by what the homeserver knows when they are lost.

A public room has an alias; one for members has none, and is told by a state event of ours.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bridges.matrix.names import ROOM_MARK, escaped, forum_alias, is_id
from bridges.matrix.powers import stands_above
from bridges.matrix.wire import Ghost, Trouble
from server.bridge import Forum, House

Aliased = Callable[[Ghost, str], Awaitable[str | None]]
"""The room of ours that an alias is for."""


@dataclass(frozen=True, slots=True)
class Room:
    """A room of ours. `creators` stand above its levels; none do before room version 12."""

    id: str
    members_only: bool = False
    creators: list[str] = field(default_factory=list)


class Known:
    """Rows of the house's: `room` by forum."""

    def __init__(self, house: House, whose: str, aliased: Aliased) -> None:
        self._house, self._whose, self._aliased = house, whose, aliased

    async def of(self, bot: Ghost, forum: Forum) -> Room | None:
        """The forum's room. Raises Trouble."""
        stored = await self._house.write(lambda rows: rows.get("room", forum.slug))
        if stored is not None:
            return Room(**json.loads(stored))
        aliased = await self._aliased(bot, forum_alias(forum.slug, self._whose))
        if aliased is not None:
            return Room(aliased, False, await creators(bot, aliased))
        return await self._marked(bot, forum) if forum.visibility != "public" else None

    async def keep(self, forum: Forum, room: Room) -> None:
        await self._house.write(lambda rows: rows.put("room", forum.slug, json.dumps(asdict(room))))

    async def _marked(self, bot: Ghost, forum: Forum) -> Room | None:
        for room in await joined(bot):
            is_its = await state(bot, room, ROOM_MARK) == mark(forum)
            if is_its and not await state(bot, room, "m.room.tombstone"):
                return Room(room, True, await creators(bot, room))
        return None


def mark(forum: Forum) -> dict[str, Any]:
    """What a room says of itself, so that it is found again."""
    return {"forum": forum.slug, "members_only": forum.visibility != "public"}


async def joined(bot: Ghost) -> list[str]:
    """The rooms that the bot is in. Raises Trouble."""
    rooms = (await bot.call("GET", "/_matrix/client/v3/joined_rooms")).get("joined_rooms")
    return [room for room in rooms if is_id(room, "!")] if isinstance(rooms, list) else []


async def found(bot: Ghost, alias: str) -> str | None:
    """The room of that alias. Raises Trouble."""
    try:
        answer = await bot.call("GET", f"/_matrix/client/v3/directory/room/{escaped(alias)[0]}")
    except Trouble as trouble:
        if trouble.status == 404:
            return None
        raise
    return str(answer["room_id"])


async def state(bot: Ghost, room: str, kind: str, key: str = "") -> dict[str, Any]:
    """The content of a state event, {} where there is none. Raises Trouble."""
    room_part, kind_part, key_part = escaped(room, kind, key)
    try:
        return await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/state/{kind_part}/{key_part}")
    except Trouble as trouble:
        if trouble.status == 404:
            return {}
        raise


async def creators(bot: Ghost, room: str) -> list[str]:
    """Who made the room, where that gives them power (room version 12, MSC4289). Raises Trouble."""
    created = await state(bot, room, "m.room.create")
    if not stands_above(str(created.get("room_version", "1"))):
        return []
    room_part = escaped(room)[0]
    whole = await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/state/m.room.create/?format=event")
    more = created.get("additional_creators")
    named = [whole.get("sender"), *(more if isinstance(more, list) else [])]
    return [user for user in named if isinstance(user, str)]
