"""Couriers: one for each bridge. Claims what is due, hands it over in lots, writes what came of it in groups.

Holds nothing that the table does not know: a courier that dies loses nothing, its claims are made again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

from sqlalchemy import Connection

from server import log, metrics
from server.bridge import Bridge, Failed, HistoryItem, Later, Lot, Outcome, PostItem, Sent, Target
from server.delivery import health, items, outbox
from server.delivery.outbox import Settled
from server.desk import Desk, history, place, posts
from server.desk.names import Names
from server.errors import Deferred
from server.store.db import Store

GROUP = 500  # answers written together
GROUP_SECONDS = 0.05
POLL_SECONDS = 5.0  # another process may have booked something: look at least this often
DOWN_MS_MOST = 300_000
UNSETTLED_BATCHES = 6  # memory stays bounded: no more claims while so many batches have no answer

_log = log.get("courier")


class Courier:
    """Says what is booked for one bridge, until cancelled."""

    def __init__(self, store: Store, desk: Desk, to: Bridge, holder: str) -> None:
        self._store, self._desk, self._bridge, self._holder = store, desk, to, holder
        self._traits = to.traits
        self._answers: list[tuple[Settled, Lot]] = []
        self._heard_one, self._heard_many, self._ending = asyncio.Event(), asyncio.Event(), False
        words = {Sent: "sent", Later: "later", Failed: "failed"}
        self._counters = {kind: metrics.ATTEMPTS.labels(self._traits.channel, word) for kind, word in words.items()}
        self._unsettled = 0
        self._room = asyncio.Event()
        self._down_count = 0
        self._down_until = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Claim and settle until cancelled; answers that came are written before it ends."""
        wake = self._store.hints("outbox")
        settling = asyncio.create_task(self._settle_loop())
        try:
            while True:
                wake.clear()
                if not await self._once():
                    await self._pause(wake)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._ending = True
            self._heard_one.set()
            self._heard_many.set()
            await settling

    def nudge(self) -> None:
        """The far side is back."""
        self._down_count = self._down_until = 0

    async def _once(self) -> bool:
        """Claim and start saying; True if there was anything."""
        while self._unsettled >= UNSETTLED_BATCHES * self._traits.batch:
            self._room.clear()
            await self._room.wait()
        if self._desk.now() < self._down_until:
            return False
        try:
            ready = await self._store.write(self._claim)
            lots, gone = await self._store.read(items.load, self._desk, ready) if ready else ([], {})
            if gone:
                await self._store.write(outbox.set_aside, gone, self._desk.now())
        except Deferred:
            return False
        except Exception:  # noqa: BLE001  the loop's edge: what was claimed comes again when its lease is over
            metrics.LOOP_ERRORS.labels("courier").inc()
            _log.exception("claim failed", channel=self._traits.channel)
            return False
        for lot in lots:
            self._unsettled += len(lot.targets)
            task = asyncio.create_task(self._say(lot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(lots)

    def _claim(self, tx: Connection) -> list[items.Ready]:
        now = self._desk.now()
        rows = outbox.claim(tx, self._traits, self._holder, self._traits.batch, now)
        if not rows:
            return []
        ready, dropped = items.check(tx, self._desk, rows, now)
        outbox.set_aside(tx, dropped, now)
        return ready

    async def _say(self, lot: Lot) -> None:
        waiting = {target.delivery: target for target in lot.targets}

        def settle(target: Target, outcome: Outcome) -> None:
            if waiting.pop(target.delivery, None) is not None:
                self._heard(lot, target, outcome)

        problem = "no answer"
        try:
            await self._bridge.deliver(lot, settle)
        except Deferred as error:
            problem = error.reason
        except Exception as error:  # noqa: BLE001  the loop's edge: unknown is temporary
            metrics.LOOP_ERRORS.labels("courier").inc()
            _log.exception("deliver raised", channel=self._traits.channel, item=lot.key)
            problem = f"{type(error).__name__}: {error}"
        finally:
            for target in list(waiting.values()):
                settle(target, Later(problem))

    def _heard(self, lot: Lot, target: Target, outcome: Outcome) -> None:
        if isinstance(outcome, Later) and outcome.down:
            self._is_down()
        elif isinstance(outcome, Sent):
            self._down_count = 0
        self._answers.append((Settled(target.delivery, target.attempt, outcome), lot))
        self._heard_one.set()
        if len(self._answers) >= GROUP:
            self._heard_many.set()

    def _is_down(self) -> None:
        now = self._desk.now()
        if now < self._down_until:
            return
        self._down_count += 1
        self._down_until = now + min(outbox.pause(self._traits, self._down_count), DOWN_MS_MOST)

    async def _settle_loop(self) -> None:
        while self._answers or not self._ending:
            await self._heard_one.wait()
            if len(self._answers) < GROUP and not self._ending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GROUP_SECONDS):
                        await self._heard_many.wait()
            group, self._answers = self._answers[:GROUP], self._answers[GROUP:]
            if len(self._answers) < GROUP:
                self._heard_many.clear()
            if not self._answers and not self._ending:
                self._heard_one.clear()
            if group:
                await self._write(group)

    async def _write(self, group: list[tuple[Settled, Lot]]) -> None:
        """Keep trying until it is written: what was sent must not be sent again."""
        while True:
            try:
                await self._store.write(self._settled, group)
                break
            except Deferred:
                await asyncio.sleep(1)
            except Exception:  # noqa: BLE001  the loop's edge: these come again when their lease is over
                metrics.LOOP_ERRORS.labels("courier").inc()
                _log.exception("settle failed", channel=self._traits.channel)
                break
        self._unsettled -= len(group)
        self._room.set()
        for kind, count in Counter(type(settled.outcome) for settled, _ in group).items():
            self._counters[kind].inc(count)

    def _settled(self, tx: Connection, group: list[tuple[Settled, Lot]]) -> None:
        refused = outbox.settle(tx, self._traits, [settled for settled, _ in group], self._desk.now())
        for each in refused:
            said = each.outcome
            health.bounced(tx, self._desk, each.subscription, said.refusal, said.code, said.detail, each.probe)
        for settled, lot in group:
            if isinstance(lot.item, HistoryItem) and isinstance(settled.outcome, Sent):
                history.went_on(tx, self._desk, lot.item)
            named = settled.outcome.refs if isinstance(settled.outcome, Sent) else ()
            if named and isinstance(lot.item, PostItem):
                row = posts.get(tx, lot.item.post.id)
                place.also_named(Names(tx, row.forum_id), row.thread_id, row.id, named)

    async def _pause(self, wake: asyncio.Event) -> None:
        """Sleep until there may be something: a hint, the next due row, another process."""
        seconds = POLL_SECONDS
        now = self._desk.now()
        if self._down_until > now:
            seconds = min(seconds, (self._down_until - now) / 1_000)
        else:
            seconds = min(seconds, await self._until_due(now))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0.01)):
                await wake.wait()

    async def _until_due(self, now: int) -> float:
        try:
            due = await self._store.read(outbox.next_due, self._traits.channel)
        except Deferred:
            return 1.0
        if due is None:
            return POLL_SECONDS
        return max((due - now) / 1_000, 0.05)
