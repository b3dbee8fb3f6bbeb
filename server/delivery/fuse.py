"""Fuses: when posts come as fast as only a loop makes them, the queue is held and the operator told. The only writer of server_state.

A fuse stops what leaves, never what comes: every post is stored.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from server import clock
from server.delivery import outbox
from server.desk import forums
from server.i18n import _
from server.store import db
from server.store.schema import posts, server_state
from server.store.upsert import insert_or_set

WINDOW = 10 * clock.MINUTE
THREAD, FORUM, SERVER = 100, 1_000, 5_000  # posts in a window that no conversation of people reaches


def check(tx: Connection, forum_id: int, thread_id: int, seq: int, post_id: int, now: int) -> str | None:
    """Look whether this post is one too many, and hold the forum's (or the server's) queue if so; the reason."""
    p = posts.c
    nth_of_thread = (
        sa.select(p.published_at).where(p.thread_id == thread_id).order_by(p.seq.desc()).offset(THREAD).limit(1)
    )
    nth_of_forum = sa.select(p.published_at).where(p.forum_id == forum_id, p.seq == seq - FORUM)
    nth_of_all = sa.select(p.arrived_at).where(p.id == post_id - SERVER)
    if _recent(tx.scalar(nth_of_thread), now):
        reason = _("{count} posts in one thread within ten minutes").format(count=THREAD)
    elif _recent(tx.scalar(nth_of_forum), now):
        reason = _("{count} posts in one forum within ten minutes").format(count=FORUM)
    elif _recent(tx.scalar(nth_of_all), now):
        reason = _("{count} posts on this server within ten minutes").format(count=SERVER)
        hold_server(tx, reason, now)
        return reason
    else:
        return None
    forums.set_fuse(tx, forum_id, reason)
    return reason


def _recent(at: int | None, now: int) -> bool:
    return at is not None and now - at < WINDOW


def hold_forum(tx: Connection, slug: str, reason: str, now: int) -> None:
    """Nothing of the forum leaves until `release_forum`. Raises NotFound."""
    forums.set_fuse(tx, forums.get(tx, slug).id, reason)


def release_forum(tx: Connection, slug: str, now: int) -> None:
    """Raises NotFound."""
    forums.set_fuse(tx, forums.get(tx, slug).id, None)
    db.after(tx, "outbox")


def hold_server(tx: Connection, reason: str, now: int) -> None:
    """Nothing leaves until `release_server`."""
    insert_or_set(tx, server_state, {"key": outbox.HELD, "value": reason}, ["key"], ["value"])


def release_server(tx: Connection, now: int) -> None:
    tx.execute(server_state.delete().where(server_state.c.key == outbox.HELD))
    db.after(tx, "outbox")


def held_reason(tx: Connection) -> str | None:
    """Why the server's queue is held, if it is."""
    return tx.scalar(sa.select(server_state.c.value).where(server_state.c.key == outbox.HELD))
