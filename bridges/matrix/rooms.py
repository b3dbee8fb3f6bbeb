"""What stands for communities and forums in Matrix: a space and its rooms, found by alias, made or mended. No posts.

A room's door opens last: it is made closed, handed to the house, and only then joined by others, so that nothing said in it is
said to nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import community_alias, escaped, forum_alias
from bridges.matrix.settings import Settings
from bridges.matrix.wire import Ghost, Trouble, told
from server.bridge import Forum, House
from server.i18n import _

CREATOR_STANDS_ABOVE = 12  # the room version since which a creator may not be named in the power levels (MSC4289)
NOBODY = 101  # more than anybody can be given, so that nobody can close the room's text to the archive


class Rooms:
    """Makes rooms as the bot."""

    def __init__(self, house: House, settings: Settings, ghosts: Ghosts) -> None:
        self._house, self._settings, self._ghosts = house, settings, ghosts
        self._one_at_a_time = asyncio.Lock()  # two forums of a community would both make its space

    async def ensure(self, forum: Forum) -> str:
        """The forum's room, made or mended, and handed to the house. Idempotent. Raises Trouble."""
        async with self._one_at_a_time:
            return await self._ensure(forum)

    async def _ensure(self, forum: Forum) -> str:
        bot = await self._ghosts.bot()
        server = self._settings.server_name
        space = await self._found(bot, community_alias(forum.community.slug, server))
        if space is None:
            space = await self._made(bot, f"_junto_c_{forum.community.slug}", self._space(forum))
        await self._mend(
            bot, space, {"m.room.name": {"name": forum.community.name}, "m.room.join_rules": _rule("public")}
        )
        room = await self._found(bot, forum_alias(forum.slug, server))
        if room is None:
            room = await self._made(bot, f"_junto_{forum.slug}", self._room(forum))
        await self._house.attach(forum.slug, room)
        rule = _rule("public" if forum.join_policy == "open" else "invite")
        states = {
            "m.room.name": {"name": forum.title},
            "m.room.topic": {"topic": topic(forum)},
            "m.room.join_rules": rule,
        }
        await self._mend(bot, room, states)
        here = {"via": [server]}
        await self._mend(bot, space, {"m.space.child": {**here, "suggested": True}}, room)
        await self._mend(bot, room, {"m.space.parent": {**here, "canonical": True}}, space)
        return room

    async def _found(self, bot: Ghost, alias: str) -> str | None:
        try:
            answer = await bot.call("GET", f"/_matrix/client/v3/directory/room/{escaped(alias)[0]}")
        except Trouble as trouble:
            if trouble.status == 404:
                return None
            raise
        return str(answer["room_id"])

    async def _made(self, bot: Ghost, localpart: str, wish: dict[str, Any]) -> str:
        wish = wish | {"room_alias_name": localpart}
        if not await self._creator_stands_above(bot):
            # Below version 12 an override replaces the whole map, and a creator left out of it would lose the room.
            wish["power_level_content_override"]["users"] = {bot.user_id: 100}
        try:
            answer = await bot.call("POST", "/_matrix/client/v3/createRoom", wish)
        except Trouble as trouble:
            if trouble.code != "M_ROOM_IN_USE" and trouble.status != 409:
                raise
            # Made a moment ago by another process, or by an attempt whose answer was lost (Synapse answers 409 M_UNKNOWN then).
            found = await self._found(bot, f"#{localpart}:{self._settings.server_name}")
            if found is None:
                raise
            return found
        return str(answer["room_id"])

    async def _creator_stands_above(self, bot: Ghost) -> bool:
        answer = await bot.call("GET", "/_matrix/client/v3/capabilities")
        version = str(answer.get("capabilities", {}).get("m.room_versions", {}).get("default", ""))
        return not version.isdecimal() or int(version) >= CREATOR_STANDS_ABOVE

    async def _mend(self, bot: Ghost, room: str, states: Mapping[str, dict[str, Any]], key: str = "") -> None:
        for kind, wanted in states.items():
            room_part, kind_part, key_part = escaped(room, kind, key)
            path = f"/_matrix/client/v3/rooms/{room_part}/state/{kind_part}/{key_part}"
            if await self._state(bot, room, path) != wanted:
                await bot.call("PUT", path, wanted)

    async def _state(self, bot: Ghost, room: str, path: str, rejoin: bool = True) -> dict[str, Any]:
        try:
            return await bot.call("GET", path)
        except Trouble as trouble:
            if trouble.status == 404:
                return {}
            if trouble.code != "M_FORBIDDEN" or not rejoin:
                raise
        await told(bot.join(room))
        return await self._state(bot, room, path, rejoin=False)

    def _space(self, forum: Forum) -> dict[str, Any]:
        return {
            "preset": "public_chat",
            "name": forum.community.name,
            "creation_content": {"type": "m.space", "m.federate": True},
            "initial_state": [_initial("m.room.history_visibility", {"history_visibility": "world_readable"})],
            # A space is a list of rooms; nobody but its keepers writes in it.
            "power_level_content_override": {"events_default": 50},
        }

    def _room(self, forum: Forum) -> dict[str, Any]:
        return {
            "preset": "public_chat",
            "name": forum.title,
            "topic": topic(forum),
            "creation_content": {"m.federate": forum.federate},
            "initial_state": [
                _initial("m.room.join_rules", _rule("invite")),
                # The forum's pages are public; a room that looked less open than it is would mislead (Matrix C-S API 11.6).
                _initial("m.room.history_visibility", {"history_visibility": "world_readable"}),
                _initial("m.room.guest_access", {"guest_access": "forbidden"}),
            ],
            "power_level_content_override": {"events": _guarded()},
        }


def topic(forum: Forum) -> str:
    """Where words go that are said in the room: joining a room is not yet agreeing to mail and web."""
    words = _("What is written here also goes to members by mail ({address}) and to the public archive: {url}")
    return words.format(address=f"{forum.slug}@{forum.mail_domain}", url=forum.url)


def _guarded() -> dict[str, int]:
    """Power levels of kinds of events; an override replaces the homeserver's own map, so its usual guards are named here."""
    return {
        "m.room.encryption": NOBODY,
        "m.room.power_levels": 100,
        "m.room.history_visibility": 100,
        "m.room.server_acl": 100,
        "m.room.tombstone": NOBODY,
        "m.room.canonical_alias": 50,
        "m.room.name": 50,
        "m.room.avatar": 50,
        "m.room.topic": 50,
    }


def _initial(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "state_key": "", "content": content}


def _rule(rule: str) -> dict[str, Any]:
    return {"join_rule": rule}
