"""What was said before a room was there, told into it while nobody is in it. One delivery for each such room, said again lot by lot.

Until everything is in, the room gets nothing else: what is posted meanwhile is told last. It knows no channel by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Select

from server.bridge import HistoryItem, Ref
from server.delivery import outbox
from server.desk import Desk, book, forums, place, posts
from server.desk.names import Names
from server.people import subscriptions
from server.store.schema import deliveries, threads
from server.store.schema import forums as forums_table
from server.store.schema import posts as post_rows

LOT = 20  # posts told at once: other rooms have their turn in between

_p, _root = post_rows.c, post_rows.alias("root").c
_is_there = sa.exists().where(
    deliveries.c.item_kind == "post", deliveries.c.origin == _p.origin, deliveries.c.address_id == sa.bindparam("at")
)
_written = sa.func.coalesce(_p.written_at, _p.published_at)
_begun = sa.func.coalesce(_root.written_at, _root.published_at, _written)
_UNTOLD: Select[Any] = (
    sa.select(_p.id)
    .join(forums_table, forums_table.c.id == _p.forum_id)
    .join(threads, threads.c.id == _p.thread_id)
    .outerjoin(post_rows.alias("root"), _root.id == threads.c.root_post_id)
    .where(_p.forum_id == sa.bindparam("forum"), _p.state == "published", _p.channel != sa.bindparam("by"), ~_is_there)
    # A room that shows no threads is read from top to bottom.
    .order_by(
        sa.case((forums_table.c.plain_replies, _written), else_=_begun),
        sa.case((forums_table.c.plain_replies, 0), else_=_p.thread_id),
        _written,
        _p.seq,
    )
    .limit(LOT)
)


def fill(tx: Connection, desk: Desk, forum_id: int, subscription_id: int, now: int) -> bool:
    """The room is new and empty. Whether there is something to tell it first; call it again to ask. The caller has the forum's lock."""
    room = subscriptions.by_id(tx, subscription_id)
    filling = bool(untold(tx, forum_id, room.channel, room.address_id))
    subscriptions.change(tx, subscription_id, {"filling": filling})
    if filling:
        outbox.book_history(tx, subscription_id, room.channel, room.address_id, forum_id, now)
    return filling


def untold(tx: Connection, forum_id: int, channel: str, address_id: int) -> Sequence[int]:
    """The next posts that the room was not told: thread after thread, each from its first post on; none that came from a room."""
    return tx.scalars(_UNTOLD, {"forum": forum_id, "at": address_id, "by": channel}).all()


def told(
    tx: Connection,
    desk: Desk,
    channel: str,
    item: HistoryItem,
    post_id: int,
    revision: int,
    refs: Sequence[Ref],
    failure: str,
) -> None:
    """A post of the item is in the room under these names, or (with `failure`) will never be; what changed meanwhile is booked."""
    room, now = subscriptions.by_id(tx, item.id), desk.now()
    forums.lock(tx, room.forum_id)
    row = posts.get(tx, post_id)
    new = outbox.was_told(tx, row, channel, room.address_id, item.id, failure, now)
    if failure or not new:
        return
    place.also_named(Names(tx, row.forum_id), row.thread_id, row.id, refs)
    if row.state == "retracted":
        book.change(tx, desk, "retraction", row.id, row.id, None, now)
    elif row.revision > revision:
        book.change(tx, desk, "edit", posts.revisions(tx, row.id)[-1].id, row.id, None, now)


def went_on(tx: Connection, desk: Desk, item: HistoryItem) -> None:
    """A lot was told. What is left goes behind what else waits for the channel; when nothing is, the room opens."""
    room: Row[Any] = subscriptions.by_id(tx, item.id)
    forums.lock(tx, room.forum_id)
    if room.filling and not fill(tx, desk, room.forum_id, item.id, desk.now()):
        book.tend(tx, desk, room.forum_id, desk.now())
