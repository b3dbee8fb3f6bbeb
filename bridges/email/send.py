"""Outgoing mail: a lot is composed once, its copies walk over a few kept connections to the relay, each answer is settled at once.

Holds nothing that the database does not know: what is not settled when `deliver` returns or dies is tried again.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import replace

from bridges.email import content, steps, wire
from bridges.email.compose import AS_IT_IS, Mail, Passage, compose
from bridges.email.copies import Copies, Made, Quota, SignedCopies
from bridges.email.correction import correction
from bridges.email.digest import digest
from bridges.email.dkim_key import Key
from bridges.email.dkim_sign import Signature
from bridges.email.dns import Resolver
from bridges.email.letters import letter, notice
from bridges.email.longlines import broken
from bridges.email.passage import Passages
from bridges.email.settings import Settings, relay
from bridges.email.signers import Signers
from bridges.email.wire import Lost, Unavailable
from server import log
from server.bridge import (
    CorrectionItem,
    DigestItem,
    Failed,
    House,
    Later,
    LetterItem,
    Lot,
    NoticeItem,
    Outbound,
    PostItem,
    Settle,
)
from server.clock import MINUTE, SECOND, now_ms
from server.errors import Deferred, NotFound
from server.i18n import _

CONNECTIONS = 8  # to the relay at once; past 8 nothing is won, as measured
COPIES_A_CONNECTION = 20  # fewer are not worth a connection of their own
PERSONAL = 2  # more connections, for letters and notices: a sign-in link never waits behind a fan-out
LOTS = 4  # in memory at once: each holds the whole message
IDLE_SECONDS = 30.0
REUSE_SECONDS = 60.0  # how long a composed post is kept for its next lot
SIGNERS = min(
    (os.cpu_count() or 1) + 1, 4
)  # processes: one more than processors, so that none of these waits for its next batch
FRUITLESS = 3  # connections of a lot that ended without one answer, until the relay counts as away

logger = log.get("email.send")

Link = wire.Connection | steps.StepByStep
Report = Callable[[bool, str], None]


class Sender:
    """Keeps connections to the relay between lots.

    `context` replaces the system's way of checking TLS; `report` is told how the relay is, instead of the house. `key` answers what
    to sign with, and may take its time; None: nothing is signed here.
    """

    def __init__(
        self,
        settings: Settings,
        house: House,
        context: ssl.SSLContext | None = None,
        report: Report | None = None,
        key: Callable[[], Key] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._settings, self._house, self._key = settings, house, key
        self._passages = Passages(settings, resolver or Resolver(settings.resolver))
        self._signers = Signers(key, SIGNERS) if key is not None else None
        self._relay = relay(settings.relay)
        self._report = report or house.report
        self._context = context or wire.checking(self._relay)
        self._quota = Quota(settings.relay_per_hour)
        self._connections = asyncio.Semaphore(CONNECTIONS)
        self._personal = asyncio.Semaphore(PERSONAL)
        self._lots = asyncio.Semaphore(LOTS)
        self._idle: dict[Link, asyncio.TimerHandle] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._making = asyncio.Lock()
        self._last: tuple[tuple[PostItem, Passage], Made] | None = None
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
            made = await self._made(lot.item, max((target.attempt for target in lot.targets), default=1))
        except Deferred as problem:
            for target in lot.targets:
                settle(target, Later(problem.reason, problem.code))
            return
        if made is None:
            for target in lot.targets:
                settle(target, Failed(_("mail cannot be changed once it is sent"), "5.6.0"))
            return
        copies = Copies(made, lot, settle, self._quota)
        if made.signature is not None and self._signers is not None:
            copies = SignedCopies(made, made.signature, lot, settle, self._quota, self._signers)
        workers = min(CONNECTIONS, -(-len(lot.targets) // COPIES_A_CONNECTION))
        await asyncio.gather(*(self._work(copies, connections) for _ in range(workers)))
        self._conclude(copies, settle)

    async def close(self) -> None:
        """End the kept connections, and those who sign."""
        for link in list(self._idle):
            self._idle.pop(link).cancel()
            await link.close()
        await asyncio.gather(*self._closing)
        if self._signers is not None:
            await asyncio.to_thread(self._signers.close)

    # Before -------------------------------------------------------------------------------------------------------
    async def _made(self, item: Outbound, attempt: int) -> Made | None:
        """The item with all that its copies have in common; None for what mail cannot say. The lots of one post share it."""
        if not isinstance(item, PostItem):
            return await self._make(item, AS_IT_IS)
        passage = await self._passages.of(item.post, attempt)  # may wait for the DNS: not while another post is made
        async with self._making:
            if self._last is None or self._last[0] != (item, passage):
                made = await self._make(item, passage)
                if made is None:
                    return None
                self._last = (item, passage), made
                asyncio.get_running_loop().call_later(REUSE_SECONDS, self._forget, made)
            return self._last[1]

    async def _make(self, item: Outbound, passage: Passage) -> Made | None:
        mail = await self._composed(item, passage)
        return await asyncio.to_thread(self._ready, mail, item) if mail is not None else None

    def _forget(self, made: Made) -> None:
        if self._last is not None and self._last[1] is made:
            self._last = None

    async def _composed(self, item: Outbound, passage: Passage) -> Mail | None:
        """The item as mail, made on a thread; None for what mail cannot say."""
        if isinstance(item, LetterItem):
            return await asyncio.to_thread(letter, item, self._settings.domain, now_ms())
        if isinstance(item, NoticeItem):
            return await asyncio.to_thread(notice, item, self._settings.domain, now_ms())
        if isinstance(item, CorrectionItem):
            return await asyncio.to_thread(correction, item, self._house.url("/leave/"), now_ms())
        if isinstance(item, DigestItem):
            return await asyncio.to_thread(digest, item, self._house.url("/leave/"))
        if not isinstance(item, PostItem):
            return None
        blobs = {}
        for file in content.embedded(item.post) if item.post.original is None else ():
            try:
                blobs[file.hash] = await self._house.blob(file.hash)
            except NotFound:
                logger.warning("blob missing", post=item.post.id, hash=file.hash)
        leave, mute = self._house.url("/leave/"), self._house.url("/mute/")
        return await asyncio.to_thread(compose, item.post, blobs, leave, passage, mute)

    def _ready(self, mail: Mail, item: Outbound) -> Made:
        """In lines that every relay takes, and signed."""
        mail = replace(mail, head=broken(mail.head), tail=broken(mail.tail))
        if self._key is None:
            return Made(mail)
        return Made(mail, Signature(self._key(), self._domain(item), mail, now_ms() // SECOND))

    def _domain(self, item: Outbound) -> str:
        """Whose name stands for it: that of the forum, which its From has wherever it is ours."""
        if isinstance(item, PostItem | CorrectionItem):
            return item.post.forum.mail_domain
        forum = item.forum if isinstance(item, LetterItem | NoticeItem | DigestItem) else None
        return forum.mail_domain if forum is not None else self._settings.domain

    # On the way ---------------------------------------------------------------------------------------------------
    async def _work(self, copies: Copies, connections: asyncio.Semaphore) -> None:
        """Carry copies over one connection after another until none is left or no connection can be had."""
        async with connections:
            try:
                while copies.fruitless < FRUITLESS and await copies.more():
                    await self._carry(await self._link(), copies)
            except Unavailable as problem:
                copies.problem = str(problem)
            finally:
                copies.leave()

    async def _carry(self, link: Link, copies: Copies) -> None:
        before = copies.settled
        try:
            while await copies.more():
                await link.send(copies.next, copies.answered)
        except Lost as lost:
            copies.problem = str(lost)
            if lost.unsent is not None:
                copies.again(lost.unsent)
            link.abort("lost")
            copies.fruitless += copies.settled == before
        except BaseException:
            link.abort("cancelled in the middle of a message")
            raise
        else:
            self._keep(link)
        if copies.settled > before:
            self._tell(True)

    def _conclude(self, copies: Copies, settle: Settle) -> None:
        """What no connection took is tried again: soon, when the quota allows, or when the relay is back."""
        rest = copies.rest()
        if not rest:
            return
        if copies.spent:
            outcome = Later(_("the relay's quota for this hour is used up"), "4.7.0", after_ms=self._quota.wait_ms())
        elif copies.late:
            outcome = Later(_("the relay is slow"), "4.4.1", after_ms=MINUTE)
        else:
            outcome = Later(copies.problem, "4.4.1", down=True)
            self._tell(False, copies.problem)
        for target in rest:
            settle(target, outcome)

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
