"""What an accepted thing sends: who gets it and when. Decides; `delivery.outbox` writes the rows.

The transaction that accepts also books: "accepted" and "will be sent" are one fact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Connection, Row, Select, String, bindparam

from server import bridge
from server.delivery import outbox, slices
from server.desk import Desk, mentions
from server.people import marks
from server.store.schema import addresses, deliveries, forums, memberships, posts, subscriptions

FANOUT = 5_000  # receivers; above that a post is booked in slices
SLICE = 1_000
LAST = 2**62  # after every subscription's id

_a, _s, _m = addresses.c, subscriptions.c, memberships.c
_earlier, _parent = posts.alias("earlier"), posts.alias("parent")
_opens = bindparam("opens", type_=sa.Boolean())
_follows = sa.or_(
    _opens, sa.exists().where(_earlier.c.thread_id == bindparam("thread"), _earlier.c.person_id == _s.person_id)
)
_answers_me = sa.exists().where(_parent.c.id == bindparam("parent"), _parent.c.person_id == _s.person_id)
_is_talk = bindparam("talk", type_=sa.Boolean())
_names_me = _s.person_id.in_(mentions.of_post)
_followed = _s.person_id.in_(marks.people(marks.FOLLOWED))
_wanted = sa.or_(
    _s.mode == "each",  # every post
    sa.and_(
        _s.mode == "topics", sa.or_(_follows, _answers_me, _followed, _names_me)
    ),  # first posts, and threads that one takes part in
    sa.and_(_s.mode == "mentions", sa.or_(_answers_me, _followed, _names_me)),  # replies to me, and what names me
)
RECEIVERS: Select[Any] = (
    sa.select(
        sa.literal("post", String).label("item_kind"),
        bindparam("post", type_=BigInteger()).label("item_id"),
        bindparam("origin", type_=BigInteger()).label("origin"),
        _s.forum_id,
        _a.channel,
        _s.address_id,
        _s.id.label("subscription_id"),
        sa.case(
            (_a.channel.in_(bindparam("ordered", expanding=True)), bindparam("thread", type_=BigInteger())), else_=None
        ).label("order_key"),
        sa.case(
            (_a.channel.in_(bindparam("quick", expanding=True)), bindparam("now", type_=BigInteger())),
            else_=bindparam("settled", type_=BigInteger()),
        ).label("not_before"),
        bindparam("now", type_=BigInteger()).label("created_at"),
    )
    .select_from(subscriptions.join(addresses, _a.id == _s.address_id))
    .outerjoin(memberships, sa.and_(_m.person_id == _s.person_id, _m.forum_id == _s.forum_id))
    .where(
        _s.forum_id == bindparam("forum"),
        _s.id > bindparam("after"),
        _s.id <= bindparam("until"),
        _s.state == "active",
        ~_s.filling,
        _wanted,
        sa.or_(~_is_talk, _s.person_id.is_(None), _s.conversations == "each"),
        sa.or_(_s.person_id.is_(None), _s.person_id.not_in(marks.people(marks.MUTED))),
        sa.or_(_s.person_id.is_(None), _m.state == "active"),
        sa.or_(_s.person_id.is_(None), _s.person_id != bindparam("author"), _s.own_posts),
        sa.or_(_s.person_id.is_not(None), _a.channel != bindparam("channel")),
    )
    .order_by(_s.id)
)
"""Deliveries of a post: each active subscription of the forum whose mode wants it, never its author's own unless they ask for it,
never the room that it came from nor one that is still told what was before, and nobody who muted its thread.
Settle time binds the channels that cannot take back what they sent."""

_DIRECT: Select[Any] = (
    sa.select(
        sa.literal("post", String).label("item_kind"),
        posts.c.id.label("item_id"),
        posts.c.origin,
        posts.c.forum_id,
        _a.channel,
        _s.address_id,
        _s.id.label("subscription_id"),
        sa.literal("dropped", String).label("state"),
        sa.literal("the post was sent to this address directly", String).label("detail"),
        bindparam("now", type_=BigInteger()).label("settled_at"),
        bindparam("now", type_=BigInteger()).label("not_before"),
        bindparam("now", type_=BigInteger()).label("created_at"),
    )
    .select_from(subscriptions.join(addresses, _a.id == _s.address_id).join(posts, posts.c.forum_id == _s.forum_id))
    .where(
        posts.c.id == bindparam("post"),
        _s.state == "active",
        _s.addressed == "direct",
        _a.channel == bindparam("channel"),
        _a.address.in_(bindparam("named", expanding=True)),
    )
)

_COUNT = sa.select(sa.func.count(), sa.func.min(_s.id), sa.func.max(_s.id)).where(
    _s.forum_id == bindparam("forum"), _s.state == "active"
)
_RANKED = (
    sa.select(_s.id, sa.func.row_number().over(order_by=_s.id).label("n"))
    .where(_s.forum_id == bindparam("forum"), _s.state == "active")
    .subquery()
)
_EDGES = sa.select(_RANKED.c.id).where(_RANKED.c.n % bindparam("slice") == 0)


def post(tx: Connection, desk: Desk, forum: Row[Any], row: Row[Any], now: int) -> None:
    """Book a published post for everybody who gets it, and release its parent, so that order never inverts."""
    count, first, last = tx.execute(_COUNT, {"forum": forum.id}).one()
    if count > FANOUT:
        edge, *edges = tx.scalars(_EDGES, {"forum": forum.id, "slice": SLICE})
        outbox.book_post(tx, RECEIVERS, facts(desk, row, forum.settle_ms, now, first - 1, edge))  # copies leave at once
        slices.add(tx, row.id, edge, [*edges, last])
    elif count:
        outbox.book_post(tx, RECEIVERS, facts(desk, row, forum.settle_ms, now))
    if row.parent_id is not None:
        outbox.release(tx, "post", row.parent_id, now)


def addressed(tx: Connection, post_id: int, inbound: bridge.NewPost, now: int) -> None:
    """Whom the post itself was sent to, and who is content with that, gets no copy: their row is there, and is dropped from the start.

    Written as soon as the post is stored, so that it holds for one that waits for a decision, and for slices that are booked later.
    """
    if inbound.addressed:
        facts = {"post": post_id, "channel": inbound.author.channel, "named": inbound.addressed, "now": now}
        outbox.book_post(tx, _DIRECT, facts)


def named(tx: Connection, desk: Desk, forum: Row[Any], row: Row[Any], people: Sequence[int]) -> None:
    """A post that was booked already names these people now: who of them wants such posts gets it too."""
    now = desk.now()
    for subscription in tx.scalars(
        sa.select(_s.id).where(_s.forum_id == forum.id, _s.person_id.in_(list(people)))
    ).all():
        outbox.book_post(tx, RECEIVERS, facts(desk, row, forum.settle_ms, now, subscription - 1, subscription))


def facts(desk: Desk, row: Row[Any], settle_ms: int, now: int, after: int = 0, until: int = LAST) -> dict[str, Any]:
    """What RECEIVERS asks for, of a row of posts; of subscriptions with an id after `after`, until `until`."""
    changeable = row.channel == bridge.WEB or row.channel in desk.channels(takes_back=True)
    return {
        "post": row.id,
        "origin": row.origin,
        "forum": row.forum_id,
        "thread": row.thread_id,
        "parent": row.parent_id,
        "talk": bool(row.chat),
        "opens": row.parent_id is None and row.parent_ref_id is None,
        "author": row.person_id if row.person_id is not None else -1,
        "channel": row.channel,
        "ordered": desk.ordered(),
        "quick": desk.channels(takes_back=True),
        "settled": max(row.published_at + settle_ms, now) if changeable else now,
        "now": now,
        "after": after,
        "until": until,
    }


def change(tx: Connection, desk: Desk, kind: str, item_id: int, post_id: int, but_not: str | None, now: int) -> None:
    """Book an edit, retraction or reaction where the post was already sent to (or is being) by a channel that can change it.

    `but_not`: the channel where the change was made, which shows it already.
    """
    outbox.book_change(tx, kind, item_id, post_id, but_not, now, desk.channels(takes_back=True))


def tend(tx: Connection, desk: Desk, forum_id: int, now: int) -> None:
    """The forum is new or changed: every bridge that keeps something standing for it is told, once for many changes."""
    for channel in desk.tending():
        outbox.book_kept(tx, "state", forum_id, channel, forum_id, now)


def tend_new(tx: Connection, desk: Desk) -> None:
    """A bridge was turned on after forums were made: it is told of those."""
    for channel in desk.tending():
        told = sa.select(deliveries.c.item_id).where(deliveries.c.item_kind == "state", deliveries.c.channel == channel)
        for forum_id in tx.scalars(sa.select(forums.c.id).where(forums.c.id.not_in(told)).order_by(forums.c.id)).all():
            outbox.book_kept(tx, "state", forum_id, channel, forum_id, desk.now())
