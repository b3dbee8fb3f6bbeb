"""Outgoing mail: a lot is composed once, its copies walk over a few kept connections to the relay, each answer is settled at once.

Holds nothing that the database does not know: what is not settled when `deliver` returns or dies is tried again.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bridges.email import content, steps, wire
from bridges.email.compose import Mail, compose
from bridges.email.headers import path
from bridges.email.letters import letter, notice
from bridges.email.settings import Settings, relay
from bridges.email.wire import Job, Lost, Unavailable, stuff
from server import log
from server.bridge import Failed, House, Later, LetterItem, Lot, NoticeItem, Outbound, Outcome, PostItem, Settle, Target
from server.clock import HOUR, MINUTE, SECOND, now_ms
from server.errors import Deferred, NotFound
from server.i18n import _

CONNECTIONS = 8  # to the relay at once; design section 5: past 8 nothing is won
COPIES_A_CONNECTION = 20  # fewer are not worth a connection of their own
PERSONAL = 2  # more connections, for letters and notices: a sign-in link never waits behind a fan-out
LOTS = 4  # in memory at once: each holds the whole message
IDLE_SECONDS = 30.0
LOT_SECONDS = 15 * 60.0  # below the lease of a claim (bridge.TRAITS), so that nobody else starts the same
FRUITLESS = 3  # connections of a lot that ended without one answer, until the relay counts as away

logger = log.get("email.send")

Link = wire.Connection | steps.StepByStep
Report = Callable[[bool, str], None]


class Quota:
    """At most `count` mails in any hour of this process's life; 0 is no limit. `clock` answers seconds."""

    def __init__(self, count: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._count, self._clock = count, clock
        self._taken: deque[float] = deque()

    def take(self) -> bool:
        """True if one more may go now; it is counted."""
        if not self._count:
            return True
        now = self._clock()
        while self._taken and now - self._taken[0] >= HOUR / SECOND:
            self._taken.popleft()
        if len(self._taken) >= self._count:
            return False
        self._taken.append(now)
        return True

    def wait_ms(self) -> int:
        """Until the next one may go."""
        return max(SECOND, int(HOUR - (self._clock() - self._taken[0]) * SECOND)) if self._taken else SECOND


@dataclass(slots=True)
class _Run:
    """One lot on its way."""

    mail: Mail
    stuffed: tuple[bytes, bytes]
    eight_bit: bool
    left: deque[Target]
    settle: Settle
    quota: Quota
    until: float
    settled: int = 0
    fruitless: int = 0
    spent: bool = False
    problem: str = ""
    unsent: list[Job] = field(default_factory=list)

    def next(self) -> Job | None:
        """The next copy, made now; None when there is no more, or no more may go."""
        if self.unsent:
            return self.unsent.pop()
        if time.monotonic() > self.until:
            return None
        while self.left:
            if not self.quota.take():
                self.spent = True
                return None
            target = self.left.popleft()
            try:
                return self._job(target)
            except ValueError as problem:
                self.settle(
                    target, Failed(_("{address}: {problem}").format(address=target.address, problem=problem), "5.1.3")
                )
        return None

    def _job(self, target: Target) -> Job:
        lines = self.mail.lines(target)
        return Job(
            target=target,
            sender=self.mail.envelope(target).encode(),
            recipient=path(target.address),
            stuffed=(self.stuffed[0], lines, self.stuffed[1]),
            raw=(self.mail.head, lines, self.mail.tail),
            eight_bit=self.eight_bit,
        )

    def answered(self, job: Job, outcome: Outcome) -> None:
        self.settled += 1
        self.settle(job.target, outcome)

    def rest(self) -> list[Target]:
        return [job.target for job in self.unsent] + list(self.left)


class Sender:
    """Keeps connections to the relay between lots.

    `context` replaces the system's way of checking TLS; `report` is told how the relay is, instead of the house.
    """

    def __init__(
        self, settings: Settings, house: House, context: ssl.SSLContext | None = None, report: Report | None = None
    ) -> None:
        self._settings, self._house = settings, house
        self._relay = relay(settings.relay)
        self._report = report or house.report
        self._context = context or wire.checking(self._relay)
        self._quota = Quota(settings.relay_per_hour)
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._personal = asyncio.Semaphore(PERSONAL)
        self._lots = asyncio.Semaphore(LOTS)
        self._idle: dict[Link, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._up: bool | None = None  # as /healthz was told

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """Send one item to its targets; every target is settled when this returns. Raises what composing raises."""
        if isinstance(lot.item, LetterItem | NoticeItem):
            await self._deliver(lot, settle, self._personal)
            return
        async with self._lots:
            await self._deliver(lot, settle, self._connections)

    async def _deliver(self, lot: Lot, settle: Settle, connections: asyncio.Semaphore) -> None:
        try:
            mail = await self._composed(lot.item)
        except Deferred as problem:
            for target in lot.targets:
                settle(target, Later(problem.reason, problem.code))
            return
        if mail is None:
            for target in lot.targets:
                settle(target, Failed(_("mail cannot be changed once it is sent"), "5.6.0"))
            return
        run = await asyncio.to_thread(self._prepared, mail, lot, settle)
        workers = min(CONNECTIONS, -(-len(lot.targets) // COPIES_A_CONNECTION))
        await asyncio.gather(*(self._work(run, connections) for _ in range(workers)))
        self._conclude(run)

    async def close(self) -> None:
        """End the kept connections."""
        for link in list(self._idle):
            self._idle.pop(link).cancel()
            await link.close()
        await asyncio.gather(*self._closing)

    # Before -------------------------------------------------------------------------------------------------------
    async def _composed(self, item: Outbound) -> Mail | None:
        """The item as mail, made on a thread; None for what mail cannot say."""
        if isinstance(item, LetterItem):
            return await asyncio.to_thread(letter, item, self._settings.domain, now_ms())
        if isinstance(item, NoticeItem):
            return await asyncio.to_thread(notice, item, self._settings.domain, now_ms())
        if not isinstance(item, PostItem):
            return None
        blobs = {}
        for file in content.embedded(item.post) if item.post.original is None else ():
            try:
                blobs[file.hash] = await self._house.blob(file.hash)
            except NotFound:
                logger.warning("blob missing", post=item.post.id, hash=file.hash)
        rewrite = self._settings.rewrite_from == "always"
        return await asyncio.to_thread(compose, item.post, blobs, self._house.url("/leave/"), rewrite)

    def _prepared(self, mail: Mail, lot: Lot, settle: Settle) -> _Run:
        return _Run(
            mail=mail,
            stuffed=(stuff(mail.head), stuff(mail.tail)),
            eight_bit=not (mail.head.isascii() and mail.tail.isascii()),
            left=deque(lot.targets),
            settle=settle,
            quota=self._quota,
            until=time.monotonic() + LOT_SECONDS,
        )

    # On the way ---------------------------------------------------------------------------------------------------
    async def _work(self, run: _Run, connections: asyncio.Semaphore) -> None:
        """Carry copies over one connection after another until none is left or no connection can be had."""
        async with connections:
            while (
                (run.unsent or run.left)
                and not run.spent
                and run.fruitless < FRUITLESS
                and time.monotonic() < run.until
            ):
                try:
                    link = await self._link()
                except Unavailable as problem:
                    run.problem = str(problem)
                    return
                await self._carry(link, run)

    async def _carry(self, link: Link, run: _Run) -> None:
        before = run.settled
        try:
            await link.send(run.next, run.answered)
        except Lost as lost:
            run.problem = str(lost)
            if lost.unsent is not None:
                run.unsent.append(lost.unsent)
            link.abort("lost")
            run.fruitless += run.settled == before
        except BaseException:
            link.abort("cancelled in the middle of a message")
            raise
        else:
            self._keep(link)
        if run.settled > before:
            self._tell(True)

    def _conclude(self, run: _Run) -> None:
        """What no connection took is tried again: soon, when the quota allows, or when the relay is back."""
        rest = run.rest()
        if not rest:
            return
        if run.spent:
            outcome = Later(_("the relay's quota for this hour is used up"), "4.7.0", after_ms=self._quota.wait_ms())
        elif time.monotonic() >= run.until:
            outcome = Later(_("the relay is slow"), "4.4.1", after_ms=MINUTE)
        else:
            outcome = Later(run.problem, "4.4.1", down=True)
            self._tell(False, run.problem)
        for target in rest:
            run.settle(target, outcome)

    def _tell(self, up: bool, problem: str = "") -> None:
        """Say how the relay is, when that has changed."""
        if up is not self._up:
            self._up = up
            self._report(up, problem)
            logger.info("relay", up=up, problem=problem)

    # Connections --------------------------------------------------------------------------------------------------
    async def _link(self) -> Link:
        """A kept connection or a new one. Raises Unavailable."""
        while self._idle:
            link, timer = self._idle.popitem()
            timer.cancel()
            if link.usable:
                return link
        made = await wire.connect(self._relay, self._settings.domain, self._context)
        if "PIPELINING" in made.extensions:
            return made
        await made.close()
        return await steps.connect(self._relay, self._settings.domain, self._context)

    def _keep(self, link: Link) -> None:
        if link.usable:
            self._idle[link] = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, link)

    def _retire(self, link: Link) -> None:
        self._idle.pop(link, None)
        task = asyncio.get_running_loop().create_task(link.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
