"""From stored events to the house, in their order: one bad event stops itself, one that must wait stops its room only.

An event is done after the house has committed what it says. If we die between the two it is handed over again, and the house
knows it by its Ref.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridges.matrix import commands, parse
from bridges.matrix.barred import Barred
from bridges.matrix.caretaker import Caretaker
from bridges.matrix.changes import Changes
from bridges.matrix.compose import SPACE
from bridges.matrix.direct import Direct
from bridges.matrix.fetch import Fetch
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.marks import Marks, waits
from bridges.matrix.markup import clean
from bridges.matrix.moderators import Moderators
from bridges.matrix.names import is_id, key_of
from bridges.matrix.notices import Notices
from bridges.matrix.order import Order
from bridges.matrix.private import Private
from bridges.matrix.rooms import Rooms
from bridges.matrix.whole import Completer
from server import log, metrics
from server.bridge import (
    Author,
    Forum,
    Held,
    House,
    Inbound,
    Kept,
    Leave,
    NewPost,
    Proof,
    Ref,
    Result,
)
from server.clock import now_ms
from server.errors import Deferred, Rejected

LOT = 200
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
IDLE_SECONDS = 30.0
NOTED_TRIES, NOTED_SECONDS = 20, 0.05
_log = log.get("matrix.hear")


@dataclass(slots=True)
class _Pause:
    """A room that waits: until when (monotonic seconds), and how long the pause was."""

    until: float
    seconds: float


class Listener:
    """Works off the inbox. The role runs in one process, and this once in it, because order in a room matters."""

    def __init__(
        self,
        house: House,
        ghosts: Ghosts,
        direct: Direct,
        rooms: Rooms,
        barred: Barred,
        moderators: Moderators,
    ) -> None:
        self._house, self._ghosts, self._server = house, ghosts, ghosts.ours
        self._fetch = Fetch(house, ghosts)
        self._complete = Completer(self._fetch, ghosts, self._server)
        self._notices = Notices(house, ghosts)
        self._changes = Changes(house, self._fetch, self._complete, self._notices)
        self._private = Private(house, ghosts, direct, self._fetch, self._notices, self._server)
        self._marks, self._moderators = Marks(house, ghosts), moderators
        self._order = Order(house, ghosts, self._fetch, self._notices, self._server)
        self._caretaker = Caretaker(house, ghosts, rooms, self._notices, barred, self._server)
        self._arrived = asyncio.Event()
        self._pauses: dict[str, _Pause] = {}
        self._stopped: set[str] = set()  # rooms where an event of this round waits: none after it may pass it
        self.clock: Callable[[], float] = time.monotonic

    def wake(self) -> None:
        """Something new was stored."""
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._work()
        finally:
            await self._fetch.downloads.close()

    async def _work(self) -> None:
        while True:
            self._arrived.clear()
            try:
                wait = 0.0 if await self.work_off() else self._until_next()
            except Deferred as later:
                _log.warning("waiting", problem=later.reason)
                wait = SHORTEST_PAUSE
            except Exception as problem:  # noqa: BLE001  a loop's edge
                metrics.LOOP_ERRORS.labels("matrix.hear").inc()
                _log.error("the loop failed", problem=repr(problem), exc_info=True)
                wait = SHORTEST_PAUSE
            if wait:
                await self._arrival(wait)

    async def _arrival(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):  # not wait_for: Python 3.11's can lose a cancellation
                await self._arrived.wait()
        except TimeoutError:
            return

    async def work_off(self) -> int:
        """Hand over what is stored and may go on; answers how many events were settled."""
        settled = after = 0
        self._stopped.clear()
        while True:
            kept = await self._kept(after)
            for row in kept:
                settled += await self._settle(row)
            if settled or len(kept) < LOT:
                return settled
            after = kept[-1].id  # all of these wait, however many: other rooms stand behind them

    async def _kept(self, after: int) -> list[Kept]:
        return await self._house.write(lambda rows: rows.take(LOT, after))

    def _until_next(self) -> float:
        now = self.clock()
        soonest = min((pause.until for pause in self._pauses.values()), default=now + IDLE_SECONDS)
        return max(0.05, min(soonest - now, IDLE_SECONDS))

    async def _settle(self, row: Kept) -> bool:
        room = ""
        try:
            event = json.loads(row.data)
            if not isinstance(event, dict) or not is_id(event.get("room_id"), "!"):
                raise parse.Malformed("no event of a room")
            room = event["room_id"]
            pause = self._pauses.get(room)
            if room in self._stopped or (pause is not None and pause.until > self.clock()):
                self._stopped.add(room)
                return False
            await self._hand_over(row, event, room)
        except Deferred as later:
            seconds = min(self._pauses[room].seconds * 2, LONGEST_PAUSE) if room in self._pauses else SHORTEST_PAUSE
            self._pauses[room] = _Pause(self.clock() + seconds, seconds)
            self._stopped.add(room)
            reason = later.reason
            await self._house.write(lambda rows: rows.again(row.id, reason))
            return False
        except Exception as problem:  # noqa: BLE001  whatever an event does, the room goes on
            metrics.QUARANTINED.labels(SPACE).inc()
            _log.error("event put aside", event_name=row.name, problem=repr(problem), exc_info=True)
            words = clean(f"{type(problem).__name__}: {problem}")[:1000]
            await self._house.write(lambda rows: rows.quarantine(row.id, words))
            return True
        self._pauses.pop(room, None)
        await self._house.write(lambda rows: rows.done(row.id))
        return True

    async def _hand_over(self, row: Kept, event: parse.Event, room: str) -> None:
        plain = self._ghosts.opened(event, row.attempts)
        if plain is not event:
            event, row = plain, replace(row, data=json.dumps(plain).encode())
        forum = await self._house.forum_of(room)
        if forum is None and await self._moderators.hear(row, event, room):
            return
        if await self._caretaker.hear(event, room, forum):
            return
        if forum is not None and await self._order.hear(row, event, room, forum):
            return
        if forum is None:
            await self._private.hear(row, event, room)
            return
        heard = parse.parse(event, self._server)
        match heard:
            case parse.Message():
                await self._message(row, event, room, forum, heard)
            case parse.Edited() | parse.Redacted() | parse.Reacted():
                author = await self._author(room, event["sender"], row.attempts)
                await self._changes.made(row, event, room, forum, author, heard)
            case parse.Member():
                await self._member(room, forum, heard)
            case parse.Encrypted():
                await self._notices.unread(room, row.name, event["sender"])
            case parse.Ignored(reason):
                _log.debug("ignored", event_name=row.name, reason=reason)
                if reason == parse.OWN:
                    await self._noted(forum, row.name)
                    await self.arrived(room, forum, row.name)

    async def _noted(self, forum: Forum, event: str) -> None:
        """Wait a moment until our note of an event of ours is committed: an answer to it may be the very next event."""
        for _ in range(NOTED_TRIES):
            if await self._house.known(forum.slug, Ref(SPACE, event)):
                return
            await asyncio.sleep(NOTED_SECONDS)

    async def _message(self, row: Kept, event: parse.Event, room: str, forum: Forum, said: parse.Message) -> None:
        author = await self._author(room, event["sender"], row.attempts)
        topic = commands.topic(said.text) if said.thread is None else None
        if topic is not None:
            said = replace(said, text=topic[1] or topic[0], html=None, answers=())
        elif commands.spoken(said.text) is not None:
            await self._private.in_room(row, room, forum, author, said)
            return
        whole = await self._complete.message(said, room, author.name, forum.max_size, row.attempts)
        post = NewPost(
            forum.slug,
            author,
            refs=(Ref(SPACE, row.name),),
            parents=tuple(Ref(SPACE, name) for name in said.answers),
            subject=topic[0] if topic is not None else None,
            text=whole.text,
            html=whole.html,
            attachments=whole.attachments,
            original=row.data,
            written_at=_written_at(event),
            gather=True,
            mentions=tuple(key_of(each, self._server) or each for each in said.people),
            chat=said.thread is None and topic is None,
        )
        try:
            result = await self._house.accept(post)
        except Rejected as refusal:
            await self._notices.answer(room, row.name, event["sender"], said.thread, refusal.reason)
            return
        if isinstance(result, Held):
            await self._marks.waits(room, row.name)
            words = waits(result, forum.title, said.text or whole.text or "")
            await self._private.tell(room, row.name, author, said.thread, words)
        if said.thread is not None:
            thread = said.thread
            await self._house.write(lambda rows: rows.put("threaded", thread, ""))
        if not isinstance(result, Held):
            await self.arrived(room, forum, row.name)

    async def arrived(self, room: str, forum: Forum, name: str) -> None:
        """The house knows this event now: make the changes that waited for it."""
        waiting = await self._changes.parked(name)
        for event in waiting:
            change = parse.parse(event, self._server)
            assert isinstance(change, parse.Edited | parse.Redacted | parse.Reacted)
            author = await self._author(room, event["sender"], 0)
            row = Kept(0, event["event_id"], json.dumps(event).encode(), 0)
            await self._changes.made(row, event, room, forum, author, change)
        if waiting:
            await self._changes.unpark(name)

    async def _member(self, room: str, forum: Forum, member: parse.Member) -> None:
        if member.name:
            await self._fetch.named(member.user, member.name)
        author = Author(SPACE, member.user, member.name, Proof.HOMESERVER)
        if member.came:
            await self._order.came(room, forum, author)
        elif member.went:
            await self._accept(Leave(forum.slug, author))

    async def _accept(self, inbound: Inbound) -> Result | None:
        """Hand over; a refusal is logged, because it concerns something that the room shows by itself."""
        try:
            return await self._house.accept(inbound)
        except Rejected as refusal:
            _log.info("refused", kind=type(inbound).__name__, code=refusal.code, reason=refusal.reason)
            return None

    async def _author(self, room: str, user: str, attempts: int) -> Author:
        name = await self._fetch.name(room, user, attempts)
        return Author(SPACE, user, name, Proof.HOMESERVER)


def _written_at(event: parse.Event) -> int | None:
    at = event.get("origin_server_ts")
    return min(at, now_ms()) if isinstance(at, int) and at > 0 else None
