"""The copies of one lot: made when a connection asks for one, signed ahead on threads where they are signed.

Nothing is kept of a copy but the lines of its own: a lot of any size costs its message once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from bridges.email.compose import Mail
from bridges.email.dkim_sign import Signature
from bridges.email.headers import path
from bridges.email.signers import Signers
from bridges.email.wire import Job, stuff
from server.bridge import Failed, Lot, Outcome, Refusal, Settle, Target
from server.clock import HOUR, SECOND
from server.i18n import _

BATCH = 32  # signed by a thread at once: each change of threads costs as much as some of them
BATCHES = 4  # of a lot under way: more than threads, so that none waits for the loop
AHEAD = 64  # signed copies that wait for a connection
LOT_SECONDS = 15 * 60.0  # below the lease of a claim (bridge.TRAITS), so that nobody else starts the same


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


class Made:
    """A mail with all that its copies have in common, made once however many lots go out of it."""

    def __init__(self, mail: Mail, signature: Signature | None = None) -> None:
        self.mail, self.signature = mail, signature
        self.stuffed = (stuff(mail.head), stuff(mail.tail))
        self.eight_bit = not (mail.head.isascii() and mail.tail.isascii())


class Copies:
    """One lot on its way, for the connections that carry it. `settled` counts answers.

    `spent`: the quota did not allow one more. `fruitless` counts connections that ended without an answer, `problem` says how one did.
    """

    def __init__(self, made: Made, lot: Lot, settle: Settle, quota: Quota) -> None:
        self._made, self._mail, self._settle, self._quota = made, made.mail, settle, quota
        self._left = deque(lot.targets)
        self._until = time.monotonic() + LOT_SECONDS
        self._again: list[Job] = []
        self.settled = 0
        self.fruitless = 0
        self.spent = False
        self.problem = ""

    @property
    def late(self) -> bool:
        """Whether the lot's time is over."""
        return time.monotonic() > self._until

    async def more(self) -> bool:
        """Whether `next` may have one; False when none will come."""
        return bool(self._again or self._left) and not self.spent and not self.late

    def leave(self) -> None:
        """A connection carries no more of it."""

    def next(self) -> Job | None:
        """The next copy; None when there is none now, or no more may go."""
        if self._again:
            return self._again.pop()
        while self._waiting() and not self.late:
            if not self._quota.take():
                self.spent = True
                return None
            job = self._one()
            if job is not None:
                return job
        return None

    def again(self, job: Job) -> None:
        """A connection ended before it said anything of this copy."""
        self._again.append(job)

    def answered(self, job: Job, outcome: Outcome) -> None:
        self.settled += 1
        self._settle(job.target, outcome)

    def rest(self) -> list[Target]:
        """Whom nothing was sent to."""
        return [job.target for job in self._again] + list(self._left)

    def _waiting(self) -> bool:
        return bool(self._left)

    def _one(self) -> Job | None:
        target = self._left.popleft()
        try:
            return self._job(target)
        except ValueError as problem:
            self._cannot(target, problem)
            return None

    def _cannot(self, target: Target, problem: ValueError) -> None:
        sentence = _("{address}: {problem}").format(address=target.address, problem=problem)
        self._settle(target, Failed(sentence, "5.1.3", Refusal.GONE))

    def _job(self, target: Target) -> Job:
        lines = self._mail.lines(target)
        return Job(
            target=target,
            sender=self._mail.envelope(target).encode(),
            recipient=path(target.address),
            stuffed=(self._made.stuffed[0], lines, self._made.stuffed[1]),
            raw=(self._mail.head, lines, self._mail.tail),
            eight_bit=self._made.eight_bit,
        )


Signed = list[Job | tuple[Target, ValueError]]


class SignedCopies(Copies):
    """As `Copies`, each with our signature before it; the work of it is done ahead by `threads`."""

    def __init__(
        self, made: Made, signature: Signature, lot: Lot, settle: Settle, quota: Quota, signers: Signers
    ) -> None:
        super().__init__(made, lot, settle, quota)
        self._signature, self._signers = signature, signers
        self._ready: deque[Job] = deque()
        self._under_way: dict[asyncio.Future[Signed], list[Target]] = {}
        self._idle: deque[asyncio.Future[None]] = deque()  # connections that wait for a copy
        self._problem: BaseException | None = None

    async def more(self) -> bool:
        """As there; waits for signatures that are under way. Raises what went wrong with one."""
        while not self.spent and not self.late:
            self._sign_ahead()
            if self._problem is not None:
                raise self._problem
            if self._again or self._ready:
                return True
            if not self._under_way:
                return False
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiting)
            await waiting
        return False

    def leave(self) -> None:
        """One of those that wait takes over, to carry what is there or to leave as well."""
        while self._idle:
            waiting = self._idle.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return

    def rest(self) -> list[Target]:
        signing = [target for batch in self._under_way.values() for target in batch]
        return [job.target for job in self._ready] + signing + super().rest()

    def _waiting(self) -> bool:
        return bool(self._ready)

    def _one(self) -> Job | None:
        job = self._ready.popleft()
        self._sign_ahead()
        return job

    def _sign_ahead(self) -> None:
        while self._left and len(self._under_way) < BATCHES and len(self._ready) < AHEAD and self._problem is None:
            batch = [self._left.popleft() for _ in range(min(BATCH, len(self._left)))]
            future = asyncio.get_running_loop().run_in_executor(self._signers.threads, self._signed, batch)
            self._under_way[future] = batch
            future.add_done_callback(self._landed)

    def _signed(self, batch: Sequence[Target]) -> Signed:
        found: Signed = []
        for target in batch:
            try:
                found.append(self._job(target))
            except ValueError as problem:
                found.append((target, problem))
        jobs = [one for one in found if isinstance(one, Job)]
        fields = self._signature.fields([job.raw[1] for job in jobs], self._signers.sign)
        for job, field in zip(jobs, fields, strict=True):
            job.raw, job.stuffed = (field, *job.raw), (field, *job.stuffed)
        return found

    def _landed(self, future: asyncio.Future[Signed]) -> None:
        batch = self._under_way.pop(future)
        self.leave()  # one connection for each batch: its copies go in one pipelined row, and idle ones cost nothing
        if future.cancelled() or future.exception() is not None:
            self._left.extendleft(batch)
            self._problem = future.exception() if not future.cancelled() else RuntimeError("nothing is signed any more")
            return
        for one in future.result():
            if isinstance(one, Job):
                self._ready.append(one)
            else:
                self._cannot(*one)
