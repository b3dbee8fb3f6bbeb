"""Direct messages: the room of one of our users and one person, found or made, and what is said in it. Knows no command.

A person who left their room is asked into another one when there is something to say. Where nobody can be asked in, the house is told.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from bridges.matrix.compose import MESSAGE
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import ANSWER_MARK, escaped
from bridges.matrix.transactions import named, send
from bridges.matrix.wire import Ghost, Trouble
from server import log
from server.bridge import Failed, House, LetterItem, NoticeItem, Outcome, Refusal, Rows, Sent

PIECE_CHARS = 10_000  # of one event; four bytes each are well below what an event may have
PIECES = 20
_log = log.get("matrix.direct")


class Direct:
    """Knows the rooms by the house's rows: `direct` by pair, `direct-room` by room."""

    def __init__(self, house: House, ghosts: Ghosts) -> None:
        self._house, self._ghosts = house, ghosts
        self._making = asyncio.Lock()

    # Saying
    async def deliver(self, key: str, user: str, item: NoticeItem | LetterItem) -> Outcome:
        """A notice by the bot, a letter by its writer's ghost. Raises Trouble."""
        if isinstance(item, LetterItem):
            ghost = await self._ghosts.of(item.writer) if item.writer.key else await self._ghosts.bot()
            content: dict[str, Any] = {"msgtype": "m.text"}
        else:
            ghost, content = await self._ghosts.bot(), {"msgtype": "m.notice"}
            if item.reply is not None and item.reply[1] and item.forum is not None:
                content[ANSWER_MARK] = {"forum": item.forum.slug, "verb": item.reply[0], "token": item.reply[1]}
        try:
            events = await self._say(ghost, user, _words(item), content, key)
        except Trouble as trouble:
            if trouble.away or trouble.limited:
                raise
            return Failed(str(trouble), str(trouble.status), Refusal.MISSED)
        if ANSWER_MARK in content:
            room = await self._room(ghost, user)
            asked = json.dumps([room, events[-1]])
            await self._house.write(lambda rows: rows.put("asked", user, asked))
        return Sent(detail=events[-1])

    async def tell(self, user: str, words: str, cause: str) -> bool:
        """Words of the bot; False where they cannot be said."""
        try:
            await self._say(await self._ghosts.bot(), user, words, {"msgtype": "m.notice"}, cause)
        except Trouble as trouble:
            _log.warning("not told", problem=str(trouble))
            return False
        return True

    async def _say(self, ghost: Ghost, user: str, words: str, content: dict[str, Any], key: str) -> list[str]:
        """The events that came of it, a long text in pieces. A room that is not there any more is made anew, once."""
        try:
            return await self._pieces(ghost, await self._room(ghost, user), words, content, key)
        except Trouble as trouble:
            if trouble.code not in ("M_FORBIDDEN", "M_NOT_FOUND", "M_UNKNOWN"):
                raise
        await self._house.write(lambda rows: rows.drop("direct", _pair(ghost.user_id, user)))
        return await self._pieces(ghost, await self._room(ghost, user), words, content, key)

    async def _pieces(self, ghost: Ghost, room: str, words: str, content: dict[str, Any], key: str) -> list[str]:
        cut = [words[at : at + PIECE_CHARS] for at in range(0, len(words), PIECE_CHARS)][:PIECES] or [""]
        events: list[str] = []
        for number, piece in enumerate(cut):
            said = {"body": piece, "m.mentions": {}} | content
            events.append(await send(self._ghosts, ghost, room, MESSAGE, said, named("direct", key, room, number)))
        return events

    # Rooms
    async def _room(self, ghost: Ghost, user: str) -> str:
        pair = _pair(ghost.user_id, user)
        async with self._making:
            known = await self._house.write(lambda rows: rows.get("direct", pair))
            if known is not None:
                return known
            wish = {"preset": "trusted_private_chat", "is_direct": True, "invite": [user]}
            room = str((await ghost.call("POST", "/_matrix/client/v3/createRoom", wish)).get("room_id", ""))
            await self.opened(room, ghost.user_id, user)
            return room

    async def opened(self, room: str, ours: str, theirs: str) -> None:
        """This room is the one of these two from now on."""

        def put(rows: Rows) -> None:
            rows.put("direct", _pair(ours, theirs), room)
            rows.put("direct-room", room, json.dumps([ours, theirs]))

        await self._house.write(put)

    async def of(self, room: str) -> tuple[str, str] | None:
        """(our user, the person) of a direct room; None if it is none."""
        kept = await self._house.write(lambda rows: rows.get("direct-room", room))
        if kept is None:
            return None
        ours, theirs = json.loads(kept)
        return ours, theirs

    async def left(self, room: str, ours: str, theirs: str) -> None:
        """The person is gone from the room, and so are we; the next words need another one."""

        def drop(rows: Rows) -> None:
            if rows.get("direct", _pair(ours, theirs)) == room:
                rows.drop("direct", _pair(ours, theirs))
            rows.drop("direct-room", room)

        await self._house.write(drop)
        try:
            ghost = await self._ghosts.known(ours)
            await ghost.call("POST", f"/_matrix/client/v3/rooms/{escaped(room)[0]}/leave")
        except Trouble as trouble:
            _log.info("not left", room=room, problem=str(trouble))

    async def question(self, user: str) -> tuple[str, str] | None:
        """(room, event) of the last notice to the person that an answer acts upon."""
        kept = await self._house.write(lambda rows: rows.get("asked", user))
        if kept is None:
            return None
        room, event = json.loads(kept)
        return room, event

    async def answered(self, user: str) -> None:
        await self._house.write(lambda rows: rows.drop("asked", user))


def _pair(ours: str, theirs: str) -> str:
    return f"{ours} {theirs}"


def _words(item: NoticeItem | LetterItem) -> str:
    heading = item.subject.strip()
    return f"{heading}\n\n{item.text.strip()}" if heading else item.text.strip()
