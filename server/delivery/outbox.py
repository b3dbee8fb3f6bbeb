"""The queue: everything that leaves is a row here first. The only writer of deliveries and attempts.

Life of a row: due -> claimed (the next attempt booked before this one is made, `attempts` the fencing token) -> sent | due again |
failed; or held, dropped. It knows no item and no channel by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row, Select

from server.bridge import Failed, Later, Outcome, Sent, Traits
from server.store import db
from server.store.listed import listed
from server.store.schema import (
    addresses,
    attempts,
    deliveries,
    digest_entries,
    forums,
    server_state,
    subscriptions,
)
from server.store.upsert import insert_from, insert_new, insert_rows

UNIQUE = ["item_kind", "origin", "channel", "address_id"]
OPEN = ("due", "claimed")
HELD = "queue-held"  # the key in server_state that `delivery.fuse` sets

_d = deliveries.c


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one attempt."""

    delivery: int
    attempt: int
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Refused:
    """A delivery to a subscription that failed for good, or was given up, and what that says of its address.

    `probe`: it was our own question.
    """

    subscription: int
    outcome: Failed | Later
    probe: bool


# Book -----------------------------------------------------------------------------------------------------------------
def book_post(tx: Connection, receivers: Select[Any], facts: Mapping[str, Any]) -> int:
    """Book everybody whom the SELECT names, given its facts, once per origin and mailbox; how many."""
    booked = insert_from(tx, deliveries, receivers, UNIQUE, facts)
    db.after(tx, "outbox")
    return booked


def book_one(
    tx: Connection,
    kind: str,
    item_id: int,
    channel: str,
    address_id: int | None,
    now: int,
    forum_id: int | None = None,
    subscription_id: int | None = None,
    not_before: int | None = None,
) -> None:
    """Book one item (a letter, a notice, a digest) for one address, to go at once or then; for a subscription, only while it lasts."""
    values = _values(kind, item_id, channel, address_id, now)
    values |= {"forum_id": forum_id, "subscription_id": subscription_id, "not_before": not_before or now}
    tx.execute(deliveries.insert().values(**values))
    db.after(tx, "outbox")


def book_kept(tx: Connection, kind: str, item_id: int, channel: str, forum_id: int, now: int) -> None:
    """Book what a channel keeps up to date (a forum's state, a line of a queue); many changes before it is said are one item."""
    if not kept_changed(tx, kind, item_id, now, channel):
        tx.execute(deliveries.insert().values(**_values(kind, item_id, channel, None, now), forum_id=forum_id))
        db.after(tx, "outbox")


def kept_changed(tx: Connection, kind: str, item_id: int, now: int, channel: str | None = None) -> bool:
    """Book such a thing again where it is kept; also one that is under way: it may have been loaded before the change."""
    mine = sa.and_(_d.item_kind == kind, _d.item_id == item_id, _d.channel == channel if channel else sa.true())
    again = {"state": "due", "not_before": now, "created_at": now, "settled_at": None, "detail": None}
    db.after(tx, "outbox")
    return tx.execute(deliveries.update().where(mine).values(**again)).rowcount > 0


def book_history(tx: Connection, subscription_id: int, channel: str, address_id: int, forum_id: int, now: int) -> None:
    """Book what a room is told of the time before it, behind what waits already; unless it is booked or under way."""
    values = _values("history", subscription_id, channel, address_id, now)
    values |= {"forum_id": forum_id, "subscription_id": subscription_id}
    if not insert_new(tx, deliveries, values, UNIQUE):
        mine = sa.and_(_d.item_kind == "history", _d.item_id == subscription_id, _d.state.not_in(("due", "claimed")))
        again = {"state": "due", "not_before": now, "created_at": now, "settled_at": None, "detail": None}
        tx.execute(deliveries.update().where(mine).values(**again))
    db.after(tx, "outbox")


def was_told(
    tx: Connection, post: Row[Any], channel: str, address_id: int, subscription_id: int, failure: str, now: int
) -> bool:
    """A post is at that address without having been booked for it by itself, or never will be. False: that is known already."""
    values = _values("post", post.id, channel, address_id, now) | {"origin": post.origin, "settled_at": now}
    values |= {"forum_id": post.forum_id, "subscription_id": subscription_id, "order_key": post.thread_id}
    state = {"state": "failed", "detail": failure[:1_000]} if failure else {"state": "sent"}
    return insert_new(tx, deliveries, values | state, UNIQUE)


def redirect(tx: Connection, old: int, new: int, subscription_id: int, now: int) -> None:
    """What waits for one address, or is under way to it, goes to another one, unless that has it already."""
    there = deliveries.alias("there")
    same = sa.and_(there.c.item_kind == _d.item_kind, there.c.origin == _d.origin, there.c.channel == _d.channel)
    has_it = sa.exists().where(same, there.c.address_id == new)
    waiting = sa.and_(_d.address_id == old, _d.state.in_(("due", "claimed", "held")), _d.item_kind != "retraction")
    values = {"address_id": new, "subscription_id": subscription_id, "lease_until": None, "not_before": now}
    state = sa.case((_d.state == "claimed", "due"), else_=_d.state)
    tx.execute(deliveries.update().where(waiting, ~has_it).values(state=state, **values))
    db.after(tx, "outbox")


def found(tx: Connection, kind: str, item_id: int, address_id: int, now: int) -> None:
    """It is at that address already."""
    mine = sa.and_(_d.item_kind == kind, _d.item_id == item_id, _d.address_id == address_id)
    waiting = sa.and_(mine, _d.state.in_(("due", "claimed", "held", "failed")))
    tx.execute(deliveries.update().where(waiting).values(state="sent", settled_at=now, lease_until=None, detail=None))


def book_change(
    tx: Connection, kind: str, item_id: int, post_id: int, but_not: str | None, now: int, channels: Sequence[str]
) -> None:
    """Book an edit, retraction or reaction for the addresses that have the post, on channels that can change what they sent."""
    source = (
        sa.select(
            sa.literal(kind).label("item_kind"),
            sa.literal(item_id).label("item_id"),
            sa.literal(item_id).label("origin"),
            _d.forum_id,
            _d.channel,
            _d.address_id,
            _d.subscription_id,
            _d.order_key,
            sa.literal(now).label("not_before"),
            sa.literal(now).label("created_at"),
        )
        .where(
            _d.item_kind == "post",
            _d.item_id == post_id,
            _d.state.in_(("sent", "claimed")),
            _d.channel.in_(list(channels)),
            _d.channel != (but_not or ""),
        )
        .order_by(_d.id)
    )
    insert_from(tx, deliveries, source, UNIQUE)
    db.after(tx, "outbox")


def _has(post_id: int, channels: Sequence[str]) -> ColumnElement[bool]:
    """Deliveries by which mailboxes have the post, by itself or in a digest."""
    holding = sa.select(digest_entries.c.digest_id).where(digest_entries.c.post_id == post_id)
    alone = sa.and_(_d.item_kind == "post", _d.item_id == post_id)
    together = sa.and_(_d.item_kind == "digest", _d.item_id.in_(holding))
    return sa.and_(sa.or_(alone, together), _d.channel.in_(list(channels)), _d.state.in_(("sent", "claimed")))


def first_sent(tx: Connection, post_id: int, channels: Sequence[str]) -> int | None:
    """When a post first left by one of these channels."""
    at = tx.scalar(sa.select(sa.func.min(_d.settled_at)).where(_has(post_id, channels), _d.state == "sent"))
    return None if at is None else int(at)


def book_correction(tx: Connection, revision_id: int, post_id: int, now: int, channels: Sequence[str]) -> int:
    """Book what changed for everybody who has the post by one of these channels and still gets mail; how many."""
    source = (
        sa.select(
            sa.literal("correction").label("item_kind"),
            sa.literal(revision_id).label("item_id"),
            sa.literal(revision_id).label("origin"),
            *(_d.forum_id, _d.channel, _d.address_id, _d.subscription_id),
            sa.literal(now).label("not_before"),
            sa.literal(now).label("created_at"),
        )
        .join_from(deliveries, subscriptions, subscriptions.c.id == _d.subscription_id)
        .where(_has(post_id, channels), subscriptions.c.mode != "none")
        .order_by(_d.id)
    )
    db.after(tx, "outbox")
    return insert_from(tx, deliveries, source, UNIQUE)


def _values(kind: str, item_id: int, channel: str, address_id: int | None, now: int) -> dict[str, Any]:
    return {
        "item_kind": kind,
        "item_id": item_id,
        "origin": item_id,
        "channel": channel,
        "address_id": address_id,
        "not_before": now,
        "created_at": now,
    }


def release(tx: Connection, kind: str, item_id: int, now: int) -> None:
    """Let what waits for its settle time go now."""
    tx.execute(
        deliveries.update()
        .where(_d.item_kind == kind, _d.item_id == item_id, _d.state == "due", _d.attempts == 0, _d.not_before > now)
        .values(not_before=now)
    )
    db.after(tx, "outbox")


def drop_item(tx: Connection, kind: str, item_id: int, why: str, now: int) -> int:
    """What is not under way yet never leaves; how many."""
    mine = sa.and_(_d.item_kind == kind, _d.item_id == item_id, _d.state.in_(("due", "held")))
    return tx.execute(deliveries.update().where(mine).values(state="dropped", detail=why, settled_at=now)).rowcount


def untouched(tx: Connection, kind: str, item_id: int, now: int) -> bool:
    """Whether nothing of the item was claimed, sent or released yet."""
    begun = sa.or_(_d.state != "due", _d.attempts > 0, _d.not_before <= now)
    query = sa.select(_d.id).where(_d.item_kind == kind, _d.item_id == item_id, begun).limit(1)
    return tx.scalar(query) is None


def sent_count(tx: Connection, post_id: int, channels: Sequence[str]) -> int:
    """In how many mailboxes a post already is (or is about to be)."""
    mine = sa.and_(_d.item_kind == "post", _d.item_id == post_id, _d.state.in_(("sent", "claimed")))
    return (
        tx.scalar(sa.select(sa.func.count()).select_from(deliveries).where(mine, _d.channel.in_(list(channels)))) or 0
    )


# Claim and settle -----------------------------------------------------------------------------------------------------
_earlier = deliveries.alias("earlier")
_WAITS_FOR_EARLIER = sa.exists().where(
    _earlier.c.address_id == _d.address_id,
    _earlier.c.order_key == _d.order_key,
    _earlier.c.id < _d.id,
    _earlier.c.state.in_(OPEN),
)
_attempt_now = (_d.attempts + 1).label("attempts")
_DUE: Select[Any] = (
    sa.select(
        *(_d.id, _attempt_now, _d.item_kind, _d.item_id, _d.channel, _d.subscription_id, addresses.c.address),
    )
    .outerjoin(forums, forums.c.id == _d.forum_id)
    .outerjoin(addresses, addresses.c.id == _d.address_id)
    .where(
        _d.channel == sa.bindparam("of"),
        _d.state == "due",
        _d.not_before <= sa.bindparam("now"),
        forums.c.fuse_reason.is_(None),
        ~sa.exists().where(server_state.c.key == HELD),
    )
    .order_by(_d.not_before, _d.id)
    .limit(sa.bindparam("most"))
    .with_for_update(skip_locked=True, of=deliveries)
)
_DUE_IN_ORDER = _DUE.where(sa.or_(_d.order_key.is_(None), ~_WAITS_FOR_EARLIER))
_TAKE = (
    deliveries.update()
    .where(listed(_d.id, "ids"))
    .values(
        state="claimed",
        holder=sa.bindparam("by"),
        lease_until=sa.bindparam("until"),
        attempts=_d.attempts + 1,
        not_before=sa.bindparam("next"),
    )
)


def claim(tx: Connection, traits: Traits, holder: str, limit: int, now: int) -> list[Row[Any]]:
    """Take up to `limit` due rows of a channel, in the order they were booked, each with the `address` it goes to.

    The next attempt is booked before this one is made: should we die, it happens at its time.
    """
    query = _DUE_IN_ORDER if traits.ordered else _DUE
    picked = tx.execute(query, {"of": traits.channel, "now": now, "most": limit}).all()
    by_pause: dict[int, list[int]] = {}
    for row in picked:
        by_pause.setdefault(pause(traits, row.attempts), []).append(row.id)
    for wait, ids in by_pause.items():
        tx.execute(_TAKE, {"ids": ids, "by": holder, "until": now + traits.lease_ms, "next": now + wait})
    return sorted(picked, key=lambda row: row.id)


def pause(traits: Traits, attempt: int) -> int:
    """Milliseconds between attempt number `attempt` and the next one."""
    return traits.backoff_ms[min(attempt, len(traits.backoff_ms)) - 1]


_CLAIMED = sa.select(_d.id, _d.attempts, _d.created_at, _d.subscription_id, _d.item_kind).where(
    listed(_d.id, "ids"), _d.state == "claimed"
)
_SENT = (
    deliveries.update()
    .where(listed(_d.id, "ids"))
    .values(state="sent", settled_at=sa.bindparam("now"), lease_until=None, detail=None)
)


def settle(tx: Connection, traits: Traits, results: Sequence[Settled], now: int) -> list[Refused]:
    """Write what came of attempts; what was refused or given up. A claim lost meanwhile (another attempt number) is left alone."""
    owned = {row.id: row for row in tx.execute(_CLAIMED, {"ids": [result.delivery for result in results]})}
    mine = [r for r in results if r.delivery in owned and owned[r.delivery].attempts == r.attempt]
    sent = [r.delivery for r in mine if isinstance(r.outcome, Sent)]
    if sent:
        tx.execute(_SENT, {"ids": sent, "now": now})
    refused = []
    for result in mine:
        row, outcome = owned[result.delivery], result.outcome
        if isinstance(outcome, Sent):
            continue
        again = isinstance(outcome, Later) and now - row.created_at < traits.give_up_ms
        _settle_unsent(tx, result.delivery, outcome, again, now)
        if not again and row.subscription_id is not None:
            refused.append(Refused(row.subscription_id, outcome, row.item_kind == "notice"))
    insert_rows(tx, attempts, ATTEMPT, [_attempt(result, now) for result in mine])
    return refused


def _settle_unsent(tx: Connection, delivery: int, outcome: Later | Failed, again: bool, now: int) -> None:
    values: dict[str, Any] = {"lease_until": None, "detail": outcome.detail}
    if again and isinstance(outcome, Later):
        values["state"] = "due"
        if outcome.after_ms is not None:
            values["not_before"] = now + max(outcome.after_ms, 0)
    else:
        values |= {"state": "failed", "settled_at": now}
    tx.execute(deliveries.update().where(_d.id == delivery).values(**values))


ATTEMPT = ("delivery_id", "number", "at", "outcome", "code", "detail")
_WORDS = {Sent: "sent", Later: "later", Failed: "failed"}


def _attempt(result: Settled, now: int) -> tuple[Any, ...]:
    outcome = result.outcome
    code = "" if isinstance(outcome, Sent) else outcome.code
    return (result.delivery, result.attempt, now, _WORDS[type(outcome)], code, outcome.detail[:1_000])


def set_aside(tx: Connection, dropped: Mapping[int, str], now: int) -> None:
    """Claimed rows that must not leave after all, each with the reason."""
    for delivery, why in dropped.items():
        tx.execute(deliveries.update().where(_d.id == delivery).values(state="dropped", detail=why, settled_at=now))


def hurry(tx: Connection, channel: str, now: int) -> None:
    """The far side is back: what waits out a backoff goes now."""
    waiting = sa.and_(_d.channel == channel, _d.state == "due", _d.attempts > 0, _d.not_before > now)
    tx.execute(deliveries.update().where(waiting).values(not_before=now))
    db.after(tx, "outbox")


def free_claims(tx: Connection, now: int, dead: Sequence[str] = ()) -> int:
    """Claims of dead processes, and those whose lease is over, are due again at once; how many."""
    lost = sa.and_(_d.state == "claimed", sa.or_(_d.lease_until < now, _d.holder.in_(list(dead))))
    freed = tx.execute(deliveries.update().where(lost).values(state="due", not_before=now, lease_until=None)).rowcount
    if freed:
        db.after(tx, "outbox")
    return freed


# For people -----------------------------------------------------------------------------------------------------------
def next_due(tx: Connection, channel: str) -> int | None:
    """When the next row of a channel is due."""
    at = tx.scalar(sa.select(sa.func.min(_d.not_before)).where(_d.channel == channel, _d.state == "due"))
    return None if at is None else int(at)


def retry(tx: Connection, ids: Sequence[int], now: int) -> int:
    """Failed, dropped or waiting rows go now; how many."""
    again = sa.and_(_d.id.in_(list(ids)), _d.state.in_(("failed", "dropped", "due", "held")))
    values = {"state": "due", "not_before": now, "settled_at": None, "created_at": now}
    db.after(tx, "outbox")
    return tx.execute(deliveries.update().where(again).values(**values)).rowcount


def drop(tx: Connection, ids: Sequence[int], now: int) -> int:
    """Rows that are not sent never leave; how many."""
    unsent = sa.and_(_d.id.in_(list(ids)), _d.state.in_(("failed", "due", "held")))
    values = {"state": "dropped", "detail": "dropped by the operator", "settled_at": now}
    return tx.execute(deliveries.update().where(unsent).values(**values)).rowcount
