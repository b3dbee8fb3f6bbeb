"""What the bot says in a room about itself: why a message was not taken, that it waits, that it cannot be read. Best effort."""

from __future__ import annotations

import hashlib
from typing import Any

from bridges.matrix.compose import MESSAGE, Place, relation
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.wire import Trouble, told
from server import limits, log
from server.bridge import House
from server.i18n import _

OPEN_ELSEWHERE = _(
    "This room is encrypted, and mail, archive and web pages are not: what is written here leaves it in the clear."
)
_log = log.get("matrix.notices")


class Notices:
    """Says m.notice events, which no machine answers; few of them to one person."""

    def __init__(self, house: House, ghosts: Ghosts) -> None:
        self._house, self._ghosts = house, ghosts
        self._limiter = limits.Limiter(5, 3600)

    async def answer(self, room: str, event: str, sender: str, thread: str | None, words: str) -> None:
        """Tell the sender of an event what became of it, where they said it."""
        if not self._limiter.allow(f"{room} {sender}"):
            return
        content: dict[str, Any] = {"msgtype": "m.notice", "body": words, "m.mentions": {"user_ids": [sender]}}
        below = {"m.in_reply_to": {"event_id": event}} if thread is None else relation(Place(thread, event))
        await self._say(room, content | {"m.relates_to": below}, event)

    async def declined(self, room: str, ours: str, event: str, words: str) -> None:
        """Say in a direct room, as our user there, why words were not passed on; the same once in a room."""
        said = hashlib.sha256(words.encode()).hexdigest()[:32]
        if await self._house.write(lambda rows: rows.get("declined", room)) == said:
            return
        await self._say(room, {"msgtype": "m.notice", "body": words, "m.mentions": {}}, f"declined {event}", ours)
        await self._house.write(lambda rows: rows.put("declined", room, said))

    async def unread(self, room: str, event: str, sender: str) -> None:
        """An encrypted message could not be read: none can, or the key of this one has not come."""
        if self._ghosts.reads_encrypted:
            words = _("This message reached nobody outside of the room: its key has not come. Please write it again.")
            await self.answer(room, event, sender, None, words)
        else:
            await self.encrypted(room)

    async def encrypted(self, room: str, ours: str | None = None) -> None:
        """Say once in a room, as the bot or as that user of ours, what becomes of what is encrypted."""
        if await self._house.write(lambda rows: rows.get("encrypted", room)) is not None:
            return
        words = _(
            "Encrypted messages cannot be read here and reach neither mail nor archive. Please write without encryption."
        )
        if self._ghosts.reads_encrypted:
            words = OPEN_ELSEWHERE
        if await self._say(room, {"msgtype": "m.notice", "body": words, "m.mentions": {}}, f"encrypted {room}", ours):
            await self._house.write(lambda rows: rows.put("encrypted", room, ""))

    async def _say(self, room: str, content: dict[str, Any], cause: str, ours: str | None = None) -> bool:
        transaction = "notice-" + hashlib.sha256(cause.encode()).hexdigest()[:32]
        try:
            speaker = await self._ghosts.bot() if ours is None else await self._ghosts.known(ours)
            await told(speaker.room_send(room, MESSAGE, content, tx_id=transaction))
        except Trouble as trouble:
            _log.warning("notice not said", room=room, problem=str(trouble))
            return False
        return True
