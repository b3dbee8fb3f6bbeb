"""What the queue needs besides couriers: slices of very wide posts, digests that are due, claims that were lost, mailboxes that are
well again, figures.

One loop of the worker role.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from sqlalchemy import Connection

from server import clock, jobs, log, metrics
from server.delivery import digests, health, outbox, overview, slices
from server.desk import Desk, book, conversation, decide, flagging, forums, posts, reports
from server.errors import Deferred
from server.people import subscriptions
from server.store.db import Store

EVERY_MS = 5_000
DIGESTS_AT_ONCE = 50  # booked together
HEALTH_EVERY_MS = clock.HOUR
_log = log.get("upkeep")


async def run(store: Store, desk: Desk, holder: str, host: str) -> None:
    """Until cancelled."""
    wake = store.hints("slices")
    next_sweep = next_health = 0
    while True:
        wake.clear()
        try:
            while await store.read(slices.waits) and await store.write(_book_slice, desk):
                pass
            await _book_digests(store, desk)
            if desk.now() >= next_sweep:
                next_sweep = desk.now() + EVERY_MS
                await store.write(_sweep, desk, holder, host)
                _show(await store.read(overview.counts))
            if desk.now() >= next_health:
                next_health = desk.now() + HEALTH_EVERY_MS
                await store.write(health.sweep, desk.now())
        except Deferred:
            pass
        except Exception:  # noqa: BLE001  the loop's edge
            metrics.LOOP_ERRORS.labels("upkeep").inc()
            _log.exception("upkeep failed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EVERY_MS / 1_000):
                await wake.wait()


def leave(tx: Connection, holder: str, now: int) -> None:
    """The process ends: what it still holds is anybody's."""
    outbox.free_claims(tx, now, [holder])
    jobs.unregister(tx, holder)


def _book_slice(tx: Connection, desk: Desk) -> bool:
    part = slices.take(tx)
    if part is None:
        return False
    post = posts.get(tx, part.post_id)
    if post.state == "published":
        forum = forums.by_id(tx, post.forum_id)
        edges = (part.after_subscription, part.until_subscription)
        outbox.book_post(tx, book.RECEIVERS, book.facts(desk, post, forum.settle_ms, desk.now(), *edges))
    return True


async def _book_digests(store: Store, desk: Desk) -> None:
    """Each in its own unit of work, so that one that cannot be booked keeps back nobody else's."""
    failed = False
    while not failed and (many := await store.read(digests.due, desk.now(), DIGESTS_AT_ONCE)):
        work = (store.write(_book_digest, desk, each) for each in many)
        for subscription, result in zip(many, await asyncio.gather(*work, return_exceptions=True), strict=True):
            if isinstance(result, BaseException):
                failed = True  # it is looked at again after a pause
                if not isinstance(result, Deferred):
                    metrics.LOOP_ERRORS.labels("upkeep").inc()
                    _log.error("digest not booked", subscription=subscription, exc_info=result)


def _book_digest(tx: Connection, desk: Desk, subscription_id: int) -> None:
    """What is talked of in the forum's room at the moment ends with it, so that the digest tells all of it."""
    conversation.close_open(tx, desk, subscriptions.by_id(tx, subscription_id).forum_id)
    digests.book(tx, subscription_id, desk.now())


def _sweep(tx: Connection, desk: Desk, holder: str, host: str) -> None:
    now = desk.now()
    jobs.beat(tx, holder, now)
    dead = jobs.dead_holders(tx, host, now)
    outbox.free_claims(tx, now, dead)
    for each in dead:
        jobs.unregister(tx, each)
    reports.sweep(tx, desk)
    flagging.sweep(tx, desk)
    conversation.close_over(tx, desk)
    decide.forget_unconfirmed(tx, desk)


def _show(counts: list[Any]) -> None:
    metrics.QUEUED.clear()
    for row in counts:
        metrics.QUEUED.labels(row.channel, row.state).set(row.number)
