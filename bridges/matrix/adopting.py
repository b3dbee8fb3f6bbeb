"""A room that people have already becomes a forum's: its owner or moderator invites the bot, makes it an administrator, and says so.

Nobody else can invite the bot, except by a direct message, which is not heard here.
"""

from __future__ import annotations

from typing import Any

from bridges.matrix import known, powers
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped, split_user
from bridges.matrix.notices import Notices
from bridges.matrix.rooms import Rooms, topic
from bridges.matrix.wire import Ghost
from server import log
from server.bridge import Forum, House
from server.i18n import _

COMMAND = ("!junto", "link")
_log = log.get("matrix.adopting")


class Adopting:
    """Answers in the room. A row of the house's: `awaited`, a room that replaces one of ours and is closed to the bot yet."""

    def __init__(self, house: House, ghosts: Ghosts, rooms: Rooms, notices: Notices) -> None:
        self._house, self._ghosts, self._rooms, self._notices = house, ghosts, rooms, notices

    async def invited(self, room: str, sender: str, is_ours: bool) -> None:
        """Come where somebody in charge of a forum asks, or where we were before; decline else. Raises Trouble."""
        bot = await self._ghosts.bot()
        room_part = escaped(room)[0]
        if is_ours or await self.awaited(room) is not None or await self._house.looks_after(sender):
            server = (split_user(sender) or ("", ""))[1]
            await bot.call("POST", f"/_matrix/client/v3/join/{room_part}?server_name={escaped(server)[0]}")
            return
        _log.info("invitation declined", room=room, sender=sender)
        await bot.call(
            "POST", f"/_matrix/client/v3/rooms/{room_part}/leave", {"reason": _("Nobody here is in charge of a forum.")}
        )

    async def said(self, room: str, event: str, sender: str, words: str) -> bool:
        """Whether this was the command; then it is answered. Raises Trouble."""
        said = words.split()
        if tuple(said[:2]) != COMMAND:
            return False
        slug = said[2].lower() if len(said) > 2 else ""
        forum = next((one for one in await self._house.looks_after(sender) if one.slug == slug), None)
        if forum is None:
            why = _(
                "Say “!junto link FORUM”, with the name of a forum that you are an owner or moderator of by this Matrix id."
            )
        else:
            why = await self._why_not(await self._ghosts.bot(), forum, room, sender)
        if forum is None or why:
            await self._notices.answer(room, event, sender, None, why)
            return True
        await self._rooms.adopt(forum, room)
        if await known.state(await self._ghosts.bot(), room, "m.room.encryption"):
            await self._notices.encrypted(room)
        words = _("This is the room of {title} now.").format(title=forum.title) + " " + topic(forum)
        await self._notices.answer(room, event, sender, None, words)
        return True

    async def _why_not(self, bot: Ghost, forum: Forum, room: str, sender: str) -> str:
        """Why the room cannot be the forum's; "" if it can."""
        if forum.visibility != "public":
            return _("{title} is for members only: its room is made by Junto, so that nobody else is in it.").format(
                title=forum.title
            )
        if not self._ghosts.reads_encrypted and await known.state(bot, room, "m.room.encryption"):
            return _("This room is encrypted: what is said here could reach neither mail nor archive.")
        if await known.state(bot, room, "m.room.tombstone"):
            return _("This room was replaced by another one.")
        levels: dict[str, Any] = await known.state(bot, room, "m.room.power_levels")
        creators = await known.creators(bot, room)
        if powers.level(levels, creators, sender) < powers.OWNER:
            return _("You need power level 100 in this room to make it a forum's.")
        if powers.level(levels, creators, bot.user_id) < powers.OWNER:
            return _("Please make {bot} an administrator of this room (power level 100) first.").format(bot=bot.user_id)
        return ""

    async def awaits(self, room: str, slug: str) -> None:
        """The bot may not go into a room that replaces the forum's: it comes when it is invited."""
        await self._house.write(lambda rows: rows.put("awaited", room, slug))

    async def awaited(self, room: str) -> str | None:
        """The forum whose room this one replaces."""
        return await self._house.write(lambda rows: rows.get("awaited", room))
