"""What the homeserver tells of the rooms themselves: the bot invited or put out, a room upgraded, encrypted or shut, somebody knocking.

No words of people go to the house from here, but those that ask to be let in.
"""

from __future__ import annotations

from typing import Any

from bridges.matrix.adopting import Adopting
from bridges.matrix.barred import Barred, shuts_out
from bridges.matrix.compose import SPACE
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped, home, is_foreign_ghost, is_ours, split_user
from bridges.matrix.notices import Notices
from bridges.matrix.parse import Event, plain_name
from bridges.matrix.rooms import Rooms
from bridges.matrix.wire import Trouble
from server.bridge import Author, Forum, Held, House, Join, Proof
from server.errors import Deferred, Rejected
from server.i18n import _

_DONE_BY_US = ("invite", "leave", "ban")


class Caretaker:
    """Hears first; what is not its business goes on."""

    def __init__(
        self, house: House, ghosts: Ghosts, rooms: Rooms, notices: Notices, barred: Barred, server_name: str
    ) -> None:
        self._house, self._ghosts, self._rooms, self._notices = house, ghosts, rooms, notices
        self._barred, self._server = barred, server_name
        self.adopting = Adopting(house, ghosts, rooms, notices)

    async def hear(self, event: Event, room: str, forum: Forum | None) -> bool:
        """Whether the event was about the room, and is dealt with. Raises Deferred while the homeserver is away."""
        try:
            return await self._hear(event, room, forum)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise Deferred(str(trouble)) from None
            raise

    async def _hear(self, event: Event, room: str, forum: Forum | None) -> bool:
        kind, content, sender = event.get("type"), event.get("content"), event.get("sender")
        if not isinstance(content, dict) or not isinstance(sender, str):
            return False
        if kind == "m.room.member" and event.get("state_key") == self._ghosts.bot_id:
            return await self._own_place(room, forum, content, sender)
        if kind == "m.room.member" and is_ours(sender, self._server) and content.get("membership") in _DONE_BY_US:
            return forum is not None  # what the house wanted: it need not be told
        if kind == "m.room.member" and content.get("membership") == "knock" and forum is not None:
            return await self._knock(room, forum, content, sender)
        if event.get("state_key") == "" and forum is not None:
            return await self._changed(room, forum, str(kind), content, sender)
        said = content.get("body") if kind == "m.room.message" and content.get("msgtype") == "m.text" else None
        if forum is not None or not isinstance(said, str) or self._is_machine(sender):
            return False
        if await self._house.write(lambda rows: rows.get("direct-room", room)) is not None:
            return False
        return await self.adopting.said(room, str(event.get("event_id")), sender, said)

    def _is_machine(self, user: str) -> bool:
        return is_ours(user, self._server) or is_foreign_ghost(user)

    async def _own_place(self, room: str, forum: Forum | None, content: dict[str, Any], sender: str) -> bool:
        now = content.get("membership")
        if now == "invite" and content.get("is_direct") is not True and not is_ours(sender, self._server):
            await self.adopting.invited(room, sender, forum is not None)
            return True
        if now == "join":
            slug = await self.adopting.awaited(room)
            if slug is not None:
                await self._arrived(room, slug)
            if await self._barred.lift(room):
                self._house.nudge()
            return slug is not None
        if now in ("leave", "ban") and forum is not None and sender != self._ghosts.bot_id:
            why = _("The bot was put out of the room of {forum} by {sender}.").format(forum=forum.slug, sender=sender)
            await self._barred.bar(room, why)
            return True
        return False

    async def _arrived(self, room: str, slug: str) -> None:
        """The bot was let into the room that replaces one of ours."""
        forum = await self._house.knows(slug)
        old = await self._rooms.of(forum) if forum is not None else None
        if forum is not None and old is not None:
            server = (split_user(self._ghosts.bot_id) or ("", ""))[1]
            await self._rooms.follow(forum, old.id, {"replacement_room": room}, server)
            await self._barred.forget(old.id)

    async def _changed(self, room: str, forum: Forum, kind: str, content: dict[str, Any], sender: str) -> bool:
        if kind == "m.room.tombstone":
            await self._replaced(room, forum, content, sender)
            return True
        if kind == "m.room.encryption" and content:
            why = _("The room of {forum} is encrypted now: nothing is sent there any more.")
            await self._notices.encrypted(room)
            if self._ghosts.reads_encrypted:
                return True
            await self._barred.bar(room, why.format(forum=forum.slug), for_good=True)
            return True
        if kind == "m.room.server_acl":
            if shuts_out(content, home(self._server)):
                why = _("The room of {forum} shuts our homeserver out by its access list.")
                await self._barred.bar(room, why.format(forum=forum.slug))
            elif await self._barred.lift(room):
                self._house.nudge()
            return True
        return False

    async def _replaced(self, room: str, forum: Forum, content: dict[str, Any], sender: str) -> None:
        via = (split_user(sender) or ("", home(self._server)))[1]
        try:
            followed = is_ours(sender, self._server) or await self._rooms.follow(forum, room, content, via)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            replacement = content.get("replacement_room")
            if isinstance(replacement, str):
                await self.adopting.awaits(replacement, forum.slug)
            followed = False
        if not followed:
            why = _("The room of {forum} was replaced by one that the bot cannot enter: invite {bot} there.")
            await self._barred.bar(room, why.format(forum=forum.slug, bot=self._ghosts.bot_id))

    async def _knock(self, room: str, forum: Forum, content: dict[str, Any], user: str) -> bool:
        """Somebody asks to be let in: a member may come at once, for others the forum's moderators decide."""
        if self._is_machine(user):
            return False
        name, words = content.get("displayname"), content.get("reason")
        author = Author(SPACE, user, plain_name(name) if isinstance(name, str) else "", Proof.HOMESERVER)
        bot = await self._ghosts.bot()
        asked = plain_name(words) if isinstance(words, str) else ""
        try:
            result = await self._house.accept(Join(forum.slug, author, words=asked))
        except Rejected as refusal:
            body = {"user_id": user, "reason": refusal.reason}
            await bot.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/kick", body)
            return True
        if not isinstance(result, Held):
            await self._rooms.places.invite(bot, room, user)
        return True
