"""What stands for communities and forums in Matrix: a space and its rooms, made, mended, replaced. No posts.

A room's door opens last: it is made closed, handed to the house, and only then joined by others, so that nothing said in it is
said to nobody. A room is for everybody or for members only for all its life: when a forum changes, it gets another room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from bridges.matrix import known, powers
from bridges.matrix.aliases import Aliases
from bridges.matrix.barred import Barred, PutOut, shuts_out
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.history import is_empty
from bridges.matrix.known import Known, Room
from bridges.matrix.names import ROOM_MARK, community_alias, escaped, forum_alias, home, link
from bridges.matrix.notices import OPEN_ELSEWHERE
from bridges.matrix.places import Places
from bridges.matrix.upgrade import successor
from bridges.matrix.wire import Ghost, Trouble, told
from server import log
from server.bridge import Forum, House, StateItem
from server.i18n import _

_log = log.get("matrix.rooms")
_CLOSED = {"m.room.join_rules": {"join_rule": "invite"}}
_RULES = {"open": "public", "approval": "knock", "invite": "invite"}


class Rooms:
    """Makes and mends rooms as the bot."""

    def __init__(self, house: House, ghosts: Ghosts, barred: Barred) -> None:
        self._house, self._ghosts, self._barred = house, ghosts, barred
        self._aliases = Aliases(house, ghosts.one_for_all)
        self._known = Known(house, ghosts.ours, self._aliases.room)
        self._server = home(ghosts.ours)
        self.places = Places(house, self._server)
        self._one_at_a_time = asyncio.Lock()  # two forums of a community would both make its space

    async def ensure(self, item: StateItem) -> str:
        """The forum's room, made or mended, and handed to the house. Idempotent. Raises Trouble, and Deferred as `Places` does."""
        async with self._one_at_a_time:
            return await self._ensure(await self._ghosts.bot(), item)

    async def of(self, forum: Forum) -> Room | None:
        """The room that is the forum's now, whatever its state. Raises Trouble."""
        return await self._known.of(await self._ghosts.bot(), forum)

    async def _ensure(self, bot: Ghost, item: StateItem) -> str:
        forum, members_only = item.forum, item.forum.visibility != "public"
        before = await self._known.of(bot, forum)
        if before is not None:
            await self._come_in(bot, before.id)
            before = await self._after_upgrades(bot, forum, before)
        room = before if before is not None and before.members_only == members_only else None
        if room is None:
            if before is not None:  # first of all it hears nothing more
                await self._house.detach(before.id)
            room = await self._made(bot, forum)
            await self._known.keep(forum, room)
        filling = await self._attached(bot, forum, room)
        await self._known.keep(forum, room)
        encrypted = await self._look(bot, forum, room.id)
        await self._mend(bot, room.id, _states(forum, encrypted) | (_CLOSED if filling else {}))
        if not filling:
            await self.places.see_to(bot, room.id, item, room.creators)
            await self._list(bot, room.id, not members_only)
        if not members_only:
            await self._in_its_space(bot, forum, room.id)
        if before is not None and before is not room:
            await self._retire(bot, forum, before, room)
        return room.id

    async def _attached(self, bot: Ghost, forum: Forum, room: Room) -> bool:
        """The house has it; whether it stays closed, because it is told first what was said before it was there."""
        is_new = await self._house.forum_of(room.id) is None
        empty = is_new and await is_empty(bot, room.id, self._ghosts.ours)
        return await self._house.attach(forum.slug, room.id, room.members_only, empty)

    async def _come_in(self, bot: Ghost, room: str) -> None:
        """The bot may have been put out and let in again. Raises PutOut."""
        if room in await known.joined(bot):
            return
        try:
            await told(bot.join(room))
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            raise PutOut(room, str(trouble)) from None

    async def _look(self, bot: Ghost, forum: Forum, room: str) -> bool:
        """Whether it is encrypted. And whether anything may be said there: that and access lists may have come while nobody heard."""
        encrypted = bool(await known.state(bot, room, "m.room.encryption"))
        if encrypted and not self._ghosts.reads_encrypted:
            why = _("The room of {forum} is encrypted: nothing is sent there.").format(forum=forum.slug)
            await self._barred.bar(room, why, for_good=True)
        elif shuts_out(await known.state(bot, room, "m.room.server_acl"), self._server):
            why = _("The room of {forum} shuts our homeserver out by its access list.").format(forum=forum.slug)
            await self._barred.bar(room, why)
        elif await self._barred.lift(room):
            self._house.nudge()
        return encrypted

    # Taking another room
    async def _after_upgrades(self, bot: Ghost, forum: Forum, room: Room) -> Room:
        """The room that the forum's one was upgraded to, if it was while nobody heard it."""
        for _hop in range(10):
            tombstone = await known.state(bot, room.id, "m.room.tombstone")
            following = await successor(bot, room.id, tombstone, self._server)
            if following is None:
                return room
            room = await self._take(bot, forum, room, following)
        return room

    async def follow(self, forum: Forum, old: str, tombstone: Mapping[str, Any], via: str) -> bool:
        """The forum's room was upgraded. False where its successor is none, or the bot may not go there. Raises Trouble."""
        async with self._one_at_a_time:
            bot = await self._ghosts.bot()
            room = await self._known.of(bot, forum)
            if room is None or room.id != old:
                return False
            following = await successor(bot, old, tombstone, via)
            if following is None:
                return False
            await self._take(bot, forum, room, following)
            return True

    async def adopt(self, forum: Forum, room: str) -> None:
        """An existing room, where the bot has power, is the forum's from now on; the one before says so. Raises Trouble."""
        async with self._one_at_a_time:
            bot = await self._ghosts.bot()
            before = await self._known.of(bot, forum)
            taken = await self._take(bot, forum, before, room)
            if before is not None and before.id != room:
                with suppress(Trouble):
                    await self._retire(bot, forum, before, taken)

    async def _take(self, bot: Ghost, forum: Forum, before: Room | None, room: str) -> Room:
        taken = Room(room, forum.visibility != "public", await known.creators(bot, room))
        if before is not None and before.members_only != taken.members_only:
            before = None
        old = before.id if before is not None else ""
        if old and old != room:
            await self.places.inherit(old, room)
            await self._house.write(lambda rows: rows.put("replaces", room, old))
            await self._out_of_its_space(bot, forum, old)
        if not taken.members_only:
            await self._alias(bot, forum, room)
        await self._known.keep(forum, taken)
        await self._house.move(forum.slug, old, room, taken.members_only)
        return taken

    async def _alias(self, bot: Ghost, forum: Forum, room: str) -> None:
        """Our alias leads to the room, which may have others of its own."""
        alias = forum_alias(forum.slug, self._ghosts.ours)
        if not await self._aliases.lead(bot, alias, room):
            return
        now = await known.state(bot, room, "m.room.canonical_alias")
        also = now.get("alt_aliases")
        others = [other for other in (now.get("alias"), *(also if isinstance(also, list) else [])) if other != alias]
        content: dict[str, Any] = {"alias": alias}
        if any(isinstance(other, str) for other in others):
            content["alt_aliases"] = [other for other in others if isinstance(other, str)]
        await self._mend(bot, room, {"m.room.canonical_alias": content})

    async def _retire(self, bot: Ghost, forum: Forum, old: Room, new: Room) -> None:
        """The room before says where its forum is now, and leads nowhere else. What cannot be said there is not said."""
        alias = forum_alias(forum.slug, self._ghosts.ours)
        where = _("its members are invited there") if new.members_only else link(alias)
        words = _("{title} has another room now: {where}. What is written here is not read any more.")
        body = words.format(title=forum.title, where=where)
        notice = {"msgtype": "m.notice", "body": body, "m.mentions": {}}
        room_part = escaped(old.id)[0]
        with suppress(Trouble):
            await told(bot.room_send(old.id, "m.room.message", notice, tx_id=f"retired-{new.id}"))
        with suppress(Trouble):
            if await known.found(bot, alias) == old.id:
                await bot.call("DELETE", f"/_matrix/client/v3/directory/room/{escaped(alias)[0]}")
        with suppress(Trouble):
            await self._list(bot, old.id, False)
        await self._out_of_its_space(bot, forum, old.id)
        with suppress(Trouble):
            path = f"/_matrix/client/v3/rooms/{room_part}/state/m.room.tombstone/"
            await bot.call("PUT", path, {"body": body, "replacement_room": new.id})

    async def _out_of_its_space(self, bot: Ghost, forum: Forum, room: str) -> None:
        with suppress(Trouble):
            space = await self._aliases.room(bot, community_alias(forum.community.slug, self._ghosts.ours))
            if space is not None:
                await self._mend(bot, space, {"m.space.child": {}}, room)

    # Making
    async def _made(self, bot: Ghost, forum: Forum) -> Room:
        version = await self._usual_version(bot)
        creators = [bot.user_id] if powers.stands_above(version) else []
        if forum.visibility == "public":
            room = await self._aliases.made(
                bot, forum_alias(forum.slug, self._ghosts.ours), _room(forum, bot.user_id, version)
            )
            return Room(room, False, creators)
        answer = await bot.call("POST", "/_matrix/client/v3/createRoom", _room(forum, bot.user_id, version))
        return Room(str(answer["room_id"]), True, creators)

    async def _usual_version(self, bot: Ghost) -> str:
        answer = await bot.call("GET", "/_matrix/client/v3/capabilities")
        return str(answer.get("capabilities", {}).get("m.room_versions", {}).get("default", ""))

    async def _in_its_space(self, bot: Ghost, forum: Forum, room: str) -> None:
        """A room for members is in none: who is in one forum would learn there which others there are."""
        alias = community_alias(forum.community.slug, self._ghosts.ours)
        space = await self._aliases.room(bot, alias)
        if space is None:
            wish = _space(forum, bot.user_id, await self._usual_version(bot))
            space = await self._aliases.made(bot, alias, wish)
        name = {"m.room.name": {"name": forum.community.name}, "m.room.join_rules": {"join_rule": "public"}}
        await self._come_in(bot, space)
        await self._mend(bot, space, name)
        here = {"via": [self._server]}
        await self._mend(bot, space, {"m.space.child": {**here, "suggested": True}}, room)
        await self._mend(bot, room, {"m.space.parent": {**here, "canonical": True}}, space)

    async def _mend(self, bot: Ghost, room: str, states: Mapping[str, dict[str, Any]], key: str = "") -> None:
        for kind, wish in states.items():
            if await known.state(bot, room, kind, key) != wish:
                room_part, kind_part, key_part = escaped(room, kind, key)
                await bot.call("PUT", f"/_matrix/client/v3/rooms/{room_part}/state/{kind_part}/{key_part}", wish)

    async def _list(self, bot: Ghost, room: str, is_public: bool) -> None:
        """The homeserver's list of public rooms. It may be its admin's alone to fill; a room is as good without."""
        path = f"/_matrix/client/v3/directory/list/room/{escaped(room)[0]}"
        wish = "public" if is_public else "private"
        try:
            if (await bot.call("GET", path)).get("visibility", "private") != wish:
                await bot.call("PUT", path, {"visibility": wish})
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            _log.info("not listed", room=room, problem=str(trouble))


def _states(forum: Forum, encrypted: bool = False) -> dict[str, dict[str, Any]]:
    """What is kept in step. The history of a public room is as open as its pages; one that looked less open would mislead
    (Client-Server API 11.6). Members see what was said before they came, as in the archive."""
    members_only = forum.visibility != "public"
    return {
        "m.room.name": {"name": forum.title},
        "m.room.topic": {"topic": f"{topic(forum)} {OPEN_ELSEWHERE}" if encrypted else topic(forum)},
        "m.room.history_visibility": {"history_visibility": "shared" if members_only else "world_readable"},
        "m.room.guest_access": {"guest_access": "forbidden"},
        ROOM_MARK: known.mark(forum),
        "m.room.join_rules": {"join_rule": "invite" if members_only else _RULES[forum.join_policy]},
    }


def _room(forum: Forum, bot: str, version: str) -> dict[str, Any]:
    states = _states(forum) | _CLOSED
    named = ("m.room.name", "m.room.topic")
    return {
        "preset": "private_chat" if forum.visibility != "public" else "public_chat",
        "name": forum.title,
        "topic": topic(forum),
        "creation_content": {"m.federate": forum.federate},
        **({"room_version": version} if version else {}),
        "initial_state": [
            {"type": kind, "state_key": "", "content": wish} for kind, wish in states.items() if kind not in named
        ],
        "power_level_content_override": powers.at_first(bot, version),
    }


def _space(forum: Forum, bot: str, version: str) -> dict[str, Any]:
    history = {"history_visibility": "world_readable"}
    return {
        "preset": "public_chat",
        "name": forum.community.name,
        "creation_content": {"type": "m.space", "m.federate": True},
        "initial_state": [{"type": "m.room.history_visibility", "state_key": "", "content": history}],
        # A space is a list of rooms; nobody but its keepers writes in it.
        "power_level_content_override": powers.at_first(bot, version, is_space=True) | {"events_default": 50},
    }


def topic(forum: Forum) -> str:
    """Where words go that are said in the room: joining a room is not yet agreeing to mail and web."""
    if forum.visibility != "public":
        words = _(
            "For members of {title} only. What is written here also goes to them by mail ({address}) and to their "
            "archive: {url}. The homeservers of all members keep it."
        )
    else:
        words = _("What is written here also goes to members by mail ({address}) and to the public archive: {url}")
    address = f"{forum.slug}@{forum.mail_domain}"
    return words.format(title=forum.title, address=address, url=forum.url)
