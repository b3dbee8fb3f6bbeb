"""A message with what its event only points at: its files, its pictures, the names of people. What may come later is Deferred."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from bridges.matrix.fetch import Fetch
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.mentions import occurring, with_names, with_names_in_html
from bridges.matrix.names import is_ours, split_user
from bridges.matrix.parse import Message
from server.bridge import Attachment
from server.i18n import _


@dataclass(frozen=True, slots=True)
class Whole:
    """What the house is given: nothing in it is kept by a homeserver."""

    text: str
    html: str | None
    attachments: tuple[Attachment, ...] = ()


class Completer:
    """Fetches what a message is made of."""

    def __init__(self, fetch: Fetch, ghosts: Ghosts, server_name: str) -> None:
        self._fetch, self._ghosts, self._server = fetch, ghosts, server_name

    async def message(self, said: Message, room: str, author: str, max_size: int, attempts: int) -> Whole:
        """The message as `author` says it, its files together within `max_size` bytes."""
        text, html = await self.words(said.text, said.html, said.people, room, attempts)
        if said.emote:
            html = f"* {escape(author, quote=False)} {html}" if html else None
            text = f"* {author} {text}".rstrip() if text else ""
        attachments: list[Attachment] = []
        if said.media is not None:
            found = await self._fetch.media(said.media, room, max_size, attempts)
            if isinstance(found, Attachment):
                attachments.append(found)
            else:
                text, html = (
                    f"{text}\n\n{found}".strip(),
                    f"{html}<p>{escape(found, quote=False)}</p>" if html else None,
                )
        left = max_size - sum(len(attachment.data) for attachment in attachments)
        for picture in said.pictures:
            shown = await self._fetch.picture(picture, room, left, attempts)
            if shown is not None:
                left -= len(shown.data)
                attachments.append(shown)
        self._fetch.downloads.finished(room)
        return Whole(text, html, tuple(attachments))

    async def words(
        self, text: str, html: str | None, people: tuple[str, ...], room: str, attempts: int
    ) -> tuple[str, str | None]:
        """Text and HTML with names where ids of `people` stood: an id is an address, and does not leave the room."""
        names = {person: await self._name(person, room, attempts) for person in occurring(people, text, html)}
        return with_names(text, names), with_names_in_html(html, names) if html else None

    async def _name(self, person: str, room: str, attempts: int) -> str:
        if is_ours(person, self._server):
            return await self._ghosts.name(person) or _("A member")
        local = (split_user(person) or ("",))[0]
        return await self._fetch.name(room, person, attempts) or local or _("A member")
