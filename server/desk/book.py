"""What an accepted thing sends: who gets it and when. Decides; `delivery.outbox` writes the rows.

The transaction that accepts also books: "accepted" and "will be sent" are one fact.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row, Select

from server import bridge
from server.delivery import outbox
from server.desk import Desk
from server.store.schema import addresses, memberships, posts, subscriptions

FANOUT = 5_000  # receivers; above that a post is booked in slices
SLICE = 2_500


def post(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, now: int) -> None:
    """Book a published post for everybody who gets it, and release its parent, so that order never inverts."""
    row = tx.execute(sa.select(posts).where(posts.c.id == post_id)).one()
    ids = subscriptions.c.id
    count, first, last = tx.execute(
        sa.select(sa.func.count(), sa.func.min(ids), sa.func.max(ids)).where(
            subscriptions.c.forum_id == forum.id, subscriptions.c.state == "active"
        )
    ).one()
    if count > FANOUT:
        edges = [*tx.scalars(_edges(forum.id)), last]
        outbox.slice_fanout(tx, post_id, first - 1, edges)
    elif count:
        outbox.book_post(tx, receivers(desk, row, forum.settle_ms, now), now)
    if row.parent_id is not None:
        outbox.release(tx, "post", row.parent_id, now)


def _edges(forum_id: int) -> Select[tuple[int]]:
    ranked = (
        sa.select(subscriptions.c.id, sa.func.row_number().over(order_by=subscriptions.c.id).label("n"))
        .where(subscriptions.c.forum_id == forum_id, subscriptions.c.state == "active")
        .subquery()
    )
    return sa.select(ranked.c.id).where(ranked.c.n % SLICE == 0)


def receivers(
    desk: Desk, row: Row[Any], settle_ms: int, now: int, only: ColumnElement[bool] | None = None
) -> Select[Any]:
    """SELECT of deliveries' columns: each active subscription of the forum whose mode wants this post.

    Never back to the room it came from, not to its author unless they ask for it; settle time binds channels that cannot
    take back what they sent, and only posts of channels that can change them.
    """
    due = row.published_at + settle_ms if row.channel in (*desk.channels(takes_back=True), bridge.WEB) else now
    a, s, m = addresses.c, subscriptions.c, memberships.c
    author = row.person_id if row.person_id is not None else -1
    wanted = sa.or_(
        s.mode == "each",
        sa.and_(s.mode == "topics", _follows(row)),
        sa.and_(s.mode.in_(("mentions", "topics")), _answers(row)),
    )
    query = (
        sa.select(
            sa.literal("post").label("item_kind"),
            sa.literal(row.id).label("item_id"),
            sa.literal(row.origin).label("origin"),
            s.forum_id,
            a.channel,
            s.address_id,
            s.id.label("subscription_id"),
            sa.case((a.channel.in_(desk.ordered()), row.thread_id), else_=None).label("order_key"),
            sa.case((a.channel.in_(desk.channels(takes_back=True)), now), else_=max(due, now)).label("not_before"),
            sa.literal(now).label("created_at"),
        )
        .select_from(subscriptions.join(addresses, a.id == s.address_id))
        .outerjoin(memberships, sa.and_(m.person_id == s.person_id, m.forum_id == s.forum_id))
        .where(
            s.forum_id == row.forum_id,
            s.state == "active",
            wanted,
            sa.or_(s.person_id.is_(None), m.state == "active"),
            sa.or_(s.person_id.is_(None), s.person_id != author, s.own_posts),
            sa.or_(s.person_id.is_not(None), a.channel != row.channel),
        )
        .order_by(s.id)
    )
    return query if only is None else query.where(only)


def _follows(row: Row[Any]) -> ColumnElement[bool]:
    """Mode `topics`: first posts, then the threads that one follows by asking or replying."""
    if row.parent_id is None and row.parent_ref_id is None:
        return sa.true()
    earlier = posts.alias("earlier")
    return sa.exists().where(earlier.c.thread_id == row.thread_id, earlier.c.person_id == subscriptions.c.person_id)


def _answers(row: Row[Any]) -> ColumnElement[bool]:
    """Mode `mentions`: replies to me."""
    if row.parent_id is None:
        return sa.false()
    parent = posts.alias("parent")
    return sa.exists().where(parent.c.id == row.parent_id, parent.c.person_id == subscriptions.c.person_id)


def change(tx: Connection, desk: Desk, kind: str, item_id: int, post_id: int, but_not: str | None, now: int) -> None:
    """Book an edit, retraction or reaction where the post was already sent to (or is being) by a channel that can change it.

    `but_not`: the channel where the change was made, which shows it already.
    """
    outbox.book_change(tx, kind, item_id, post_id, but_not, now, desk.channels(takes_back=True))


def missed(tx: Connection, desk: Desk, forum: Row[Any], subscription_id: int, now: int) -> None:
    """A room that is new gets what was posted before it was there, oldest first, a thousand posts at most."""
    latest = (
        sa.select(posts)
        .where(posts.c.forum_id == forum.id, posts.c.state == "published")
        .order_by(posts.c.seq.desc())
        .limit(1_000)
    )
    for row in reversed(tx.execute(latest).all()):
        outbox.book_post(tx, receivers(desk, row, 0, now, subscriptions.c.id == subscription_id), now)


def tend(tx: Connection, desk: Desk, forum_id: int, now: int) -> None:
    """The forum is new or changed: every bridge that keeps something standing for it is told, once for many changes."""
    for channel in desk.tending():
        outbox.book_state(tx, channel, forum_id, now)
