"""What a room shows of a message that waits: a sign of the bot on it until somebody decides, and then none, or the message gone."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from bridges.matrix import compose
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import is_id
from bridges.matrix.transactions import named, send
from bridges.matrix.wire import Ghost, Trouble, told
from server import log
from server.bridge import DecisionItem, Forum, Held, House, Later, Outcome, Sent
from server.i18n import _

WAITS = "⏳"
SHOWN_CHARS = 60
UNMARKED_TRIES = 3  # the decision may be faster than the sign, which another process sets
_log = log.get("matrix.marks")


def waits(held: Held, title: str, text: str) -> str:
    """What the author of a message that waits is told. `text`: what it says, so that they know which one is meant."""
    why = f" {held.reply[:1].upper()}{held.reply[1:].rstrip('.')}." if held.reply else ""
    shown = " ".join(text.split())
    if len(shown) > SHOWN_CHARS:
        shown = shown[:SHOWN_CHARS].rstrip() + "…"
    words = _("Your message “{text}” in {forum} waits as {name} and goes nowhere else until somebody has decided.")
    return words.format(text=shown, forum=title, name=held.name) + why


class Marks:
    """Marks what waits, and remembers in `held`, by event: its room and the event of our sign on it."""

    def __init__(self, house: House, ghosts: Ghosts) -> None:
        self._house, self._ghosts = house, ghosts

    async def waits(self, room: str, event: str) -> None:
        """Mark the message. Best effort: what is not marked waits all the same."""
        sign = ""
        try:
            bot = await self._ghosts.bot()
            content = compose.reaction(event, WAITS).content
            sign = await send(self._ghosts, bot, room, "m.reaction", content, named("waits", room, event))
        except Trouble as trouble:
            if trouble.code != "M_DUPLICATE_ANNOTATION":
                _log.warning("not marked", room=room, problem=str(trouble))
        await self._house.write(lambda rows: rows.put("held", event, json.dumps([room, sign])))


class Decisions:
    """Ends the waiting of a message in its room. `arrived` is told of one that the house knows as a post now."""

    def __init__(self, house: House, ghosts: Ghosts, arrived: Callable[[str, Forum, str], Awaitable[None]]) -> None:
        self._house, self._ghosts, self._arrived = house, ghosts, arrived

    async def shown(self, room: str, item: DecisionItem, attempt: int) -> Outcome:
        """Nothing marks it any more; what is refused is gone. Raises Trouble."""
        for event in compose.events(item.refs):
            if not await self._one(room, event, item, attempt):
                return Later("it is not marked yet")
        return Sent()

    async def _one(self, room: str, event: str, item: DecisionItem, attempt: int) -> bool:
        stored = await self._house.write(lambda rows: rows.get("held", event))
        if stored is None and attempt <= UNMARKED_TRIES:
            return False
        where, sign = json.loads(stored) if stored is not None else (room, "")
        bot = await self._ghosts.bot()
        if not item.approved:
            await self._redact(bot, where, event)
        if is_id(sign, "$"):
            await self._redact(bot, where, sign)
        await self._house.write(lambda rows: rows.drop("held", event))
        if item.approved:
            await self._arrived(where, item.forum, event)
        return True

    async def _redact(self, bot: Ghost, room: str, event: str) -> None:
        try:
            await told(bot.room_redact(room, event, tx_id=named("decided", room, event)))
        except Trouble as trouble:
            if trouble.status != 404:
                raise
