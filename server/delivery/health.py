"""Whether mail to a subscription arrives: a score of what came back, a probe before it is stopped, and telling its person.

A mailbox that fails on one day, or refuses what we wrote, is not a mailbox that is gone: only days count, each once, the score fades,
and nothing stops before a mail that says so came back too; where very many fail on one day, it is us. A complaint stops at once. Neither
ends a membership. Decides; the rows are written by `people.subscriptions`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import clock, log, metrics
from server.bridge import Refusal
from server.delivery import letters
from server.desk import Desk, forums
from server.moderation import audit
from server.people import identity, subscriptions

WEIGHTS = {Refusal.GONE: 1_000, Refusal.MISSED: 400}  # thousandths of a point
HALVED_IN = 14 * clock.DAY
PROBE_AT = 2_500  # three days on which it was gone, eight on which it was missed, if there is mail each day
PROBE_WAIT = 7 * clock.DAY  # mail systems try for five days (RFC 5321 section 4.5.4.1)
KEPT = 180 * clock.DAY  # diagnostics name people
NOTES_A_DAY = 5  # of one subscription
REASON_CHARS = 300
MANY, ONE_IN = 20, 10  # so many stopped in a day, and more than one in ten of all, are not so many broken mailboxes
_log = log.get("health")


def score(row: Row[Any], now: int) -> int:
    """The subscription's score by now: half of it is gone in two weeks."""
    if row.bounced_at is None:
        return 0
    return int(row.bounce_score * 0.5 ** (max(now - row.bounced_at, 0) / HALVED_IN))


def bounced(
    tx: Connection, desk: Desk, subscription_id: int, refusal: Refusal, status: str, words: str, of_probe: bool = False
) -> None:
    """Something sent to the subscription did not arrive."""
    metrics.BOUNCES.labels(refusal.value).inc()
    row = subscriptions.by_id(tx, subscription_id)
    if refusal is Refusal.OURS or row.state != "active" or row.person_id is None:
        return
    now = desk.now()
    before = subscriptions.bounces_since(tx, row.id, now - now % clock.DAY)
    if len(before) < NOTES_A_DAY:
        subscriptions.bounced(tx, row.id, refusal is Refusal.GONE, status, words, now)
    if of_probe and row.probed_at is not None:
        if _is_us(tx, now):
            subscriptions.change(tx, row.id, {"probed_at": None})  # the next day that counts asks again
            _log.error("too many mailboxes fail: none is stopped any more today", reason=words or status)
            letters.tell_operator(tx, desk, "many-bounces", row.forum_id, (words or status)[:REASON_CHARS])
        else:
            _stop(tx, desk, row, "bounces", words or status)
        return
    counted = max((WEIGHTS[Refusal.GONE if each.permanent else Refusal.MISSED] for each in before), default=0)
    if WEIGHTS[refusal] <= counted:  # a day counts once, by its worst
        return
    points = score(row, now) + WEIGHTS[refusal] - counted
    subscriptions.change(tx, row.id, {"bounce_score": points, "bounced_at": now})
    if points >= PROBE_AT and row.probed_at is None:
        _probe(tx, row, words or status, now)


def complained(tx: Connection, desk: Desk, subscription_id: int, detail: str) -> None:
    """Somebody who reads that mailbox called our mail spam: nothing more is sent there until its person asks for it."""
    metrics.BOUNCES.labels("complaint").inc()
    row = subscriptions.by_id(tx, subscription_id)
    audit.record(
        tx, "server", "complaint", f"subscription:{row.id}", desk.now(), forum_id=row.forum_id, detail=detail[:2_000]
    )
    if row.state == "active" and row.person_id is not None:
        _stop(tx, desk, row, "complaint", detail)


def resume(tx: Connection, row: Row[Any], actor: str, now: int) -> None:
    """What was stopped is sent again, with a clean record."""
    subscriptions.resume(tx, row.id)
    audit.record(tx, actor, "resume", f"subscription:{row.id}", now, forum_id=row.forum_id)
    forums.changed(tx, row.forum_id, "member", row.person_id or 0, now)


def sweep(tx: Connection, now: int) -> None:
    """Mailboxes from which no probe came back are well again; what is old is forgotten."""
    subscriptions.forget_bounces(tx, probed_before=now - PROBE_WAIT, bounced_before=now - KEPT)


def _is_us(tx: Connection, now: int) -> bool:
    """Whether so many mailboxes fail that it must be our own relay, name or reputation, whatever is said of them."""
    stopped = subscriptions.stopped_since(tx, now - clock.DAY, "bounces")
    return stopped >= MANY and stopped * ONE_IN >= subscriptions.active(tx)


def _probe(tx: Connection, row: Row[Any], reason: str, now: int) -> None:
    subscriptions.change(tx, row.id, {"probed_at": now})
    facts = {"mailbox": row.address, "reason": reason[:REASON_CHARS]}
    letters.notice(tx, row.address_id, "probe", row.forum_id, facts, now, subscription_id=row.id)


def _stop(tx: Connection, desk: Desk, row: Row[Any], why: str, reason: str) -> None:
    now = desk.now()
    metrics.STOPPED.labels(why).inc()
    subscriptions.stop(tx, row.id, why, now)
    detail = f"{why}: {reason}"[:2_000]
    audit.record(tx, "server", "stop", f"subscription:{row.id}", now, forum_id=row.forum_id, detail=detail)
    forums.changed(tx, row.forum_id, "member", row.person_id, now)
    facts = {"mailbox": row.address, "reason": reason[:REASON_CHARS]}
    for other in identity.addresses_of(tx, [row.person_id]):
        if other.verified_at is not None and other.id != row.address_id and other.channel in desk.traits:
            letters.notice(tx, other.id, f"stopped-{why}", row.forum_id, facts, now)
