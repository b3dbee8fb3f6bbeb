"""What an event does not hold and the homeserver knows: names, files, earlier events. What may come later is Deferred."""

from __future__ import annotations

import mimetypes
from typing import Any

from bridges.matrix import pictures
from bridges.matrix.downloads import Downloads
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.markup import Picture
from bridges.matrix.names import escaped, media_parts
from bridges.matrix.parse import Media, plain_name
from bridges.matrix.wire import TooLarge, Trouble
from server import limits
from server.bridge import Attachment, House
from server.errors import Deferred
from server.i18n import _

PATIENCE = 6  # tries before a message is taken without its file: the file's own homeserver may be gone for good


class Fetch:
    """Asks as the bot, who is in every room of ours."""

    def __init__(self, house: House, ghosts: Ghosts) -> None:
        self._house, self._ghosts = house, ghosts
        self.downloads = Downloads(ghosts)

    async def name(self, room: str, user: str, attempts: int) -> str:
        """The person's name as the room shows it, "" if they have none. Asked once, then kept up by member events."""
        kept = await self._house.write(lambda rows: rows.get("name", user))
        if kept is not None:
            return kept
        room_part, user_part = escaped(room, user)
        try:
            bot = await self._ghosts.bot()
            member = await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/state/m.room.member/{user_part}")
        except Trouble as trouble:
            if (trouble.away or trouble.limited) and attempts < PATIENCE:
                raise Deferred(str(trouble)) from None
            return ""
        shown = member.get("displayname")
        found = plain_name(shown) if isinstance(shown, str) else ""
        await self.named(user, found)
        return found

    async def named(self, user: str, name: str) -> None:
        """Remember a name that a member event told."""
        await self._house.write(lambda rows: rows.put("name", user, name))

    async def event(self, room: str, event: str) -> dict[str, Any] | None:
        """The event as the homeserver shows it now; None if it shows none."""
        room_part, event_part = escaped(room, event)
        try:
            bot = await self._ghosts.bot()
            found = await bot.call("GET", f"/_matrix/client/v3/rooms/{room_part}/event/{event_part}")
            return self._ghosts.opened(found, PATIENCE)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise Deferred(str(trouble)) from None
            return None

    async def media(self, media: Media, room: str, limit: int, attempts: int) -> Attachment | str:
        """The file, or the words to say instead of it."""
        parts = media_parts(media.mxc)
        if parts is None:
            return _("[{filename} has no address]").format(filename=media.filename)
        limit = min(limit, limits.MESSAGE_BYTES)
        try:
            if media.size > limit:
                raise TooLarge(f"{media.size} bytes are announced")
            data = await self.downloads.get(room, parts, limit, to_the_end=attempts >= PATIENCE)
        except TooLarge:
            return _("[{filename} is too large to be kept here]").format(filename=media.filename)
        except Trouble as trouble:
            if (trouble.away or trouble.limited) and attempts < PATIENCE:
                raise Deferred(str(trouble)) from None
            return _("[{filename} could not be fetched]").format(filename=media.filename)
        return Attachment(_with_ending(media), media.media_type, data)

    async def picture(self, picture: Picture, room: str, limit: int, attempts: int) -> Attachment | None:
        """A picture of a text; None if there is none to be had, and then its words say what it was."""
        found = await self.media(Media(picture.mxc, picture.words, ""), room, limit, attempts)
        kind = pictures.media_type(found.data) if isinstance(found, Attachment) else None
        if not isinstance(found, Attachment) or kind is None:
            return None
        name = _with_ending(Media(picture.mxc, picture.words.strip(":") or _("picture"), kind))
        return Attachment(name, kind, found.data, picture.content_id, inline=True)


def _with_ending(media: Media) -> str:
    """A sticker and a voice message have a description and no name; a reader's computer goes by the ending."""
    if "." in media.filename[-6:]:
        return media.filename
    return media.filename + (mimetypes.guess_extension(media.media_type) or "")
