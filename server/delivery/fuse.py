"""Fuses: when posts come as fast as only a loop makes them, the queue is held and the operator told. The only writer of server_state.

A fuse stops what leaves, never what comes: every post is stored.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import clock
from server.delivery import outbox
from server.desk import forums
from server.i18n import _
from server.store import db
from server.store.schema import posts, server_state
from server.store.upsert import insert_or_set

WINDOW = 10 * clock.MINUTE
THREAD, FORUM, SERVER = 100, 1_000, 5_000  # posts in a window that no conversation of people reaches
EVERY = 50  # the whole server is counted at each fiftieth post


_p = posts.c
_NTH_OF_THREAD = (
    sa.select(_p.published_at)
    .where(_p.thread_id == sa.bindparam("thread"), _p.imported.is_(False))
    .order_by(_p.seq.desc())
    .offset(THREAD)
    .limit(1)
)
_NTH_OF_FORUM = sa.select(_p.published_at).where(
    _p.forum_id == sa.bindparam("forum"), _p.seq == sa.bindparam("nth"), _p.imported.is_(False)
)
_OF_ALL = sa.select(sa.func.count()).where(_p.published_at > sa.bindparam("since"), _p.imported.is_(False))


def check(tx: Connection, post: Row[Any], in_thread: int, now: int) -> str | None:
    """Look whether this post is one too many, and hold the forum's (or the server's) queue if so; the reason."""
    if in_thread > THREAD and _recent(tx.scalar(_NTH_OF_THREAD, {"thread": post.thread_id}), now):
        reason = _("{count} posts in one thread within ten minutes").format(count=THREAD)
    elif post.seq > FORUM and _recent(tx.scalar(_NTH_OF_FORUM, {"forum": post.forum_id, "nth": post.seq - FORUM}), now):
        reason = _("{count} posts in one forum within ten minutes").format(count=FORUM)
    elif post.id > SERVER and post.id % EVERY == 0 and (tx.scalar(_OF_ALL, {"since": now - WINDOW}) or 0) > SERVER:
        reason = _("{count} posts on this server within ten minutes").format(count=SERVER)
        hold_server(tx, reason)
        return reason
    else:
        return None
    forums.set_fuse(tx, post.forum_id, reason)
    return reason


def _recent(at: int | None, now: int) -> bool:
    return at is not None and now - at < WINDOW


def hold_forum(tx: Connection, slug: str, reason: str) -> None:
    """Nothing of the forum leaves until `release_forum`. Raises NotFound."""
    forums.set_fuse(tx, forums.get(tx, slug).id, reason)


def release_forum(tx: Connection, slug: str) -> None:
    """Raises NotFound."""
    forums.set_fuse(tx, forums.get(tx, slug).id, None)
    db.after(tx, "outbox")


def hold_server(tx: Connection, reason: str) -> None:
    """Nothing leaves until `release_server`."""
    insert_or_set(tx, server_state, {"key": outbox.HELD, "value": reason}, ["key"], ["value"])


def release_server(tx: Connection) -> None:
    tx.execute(server_state.delete().where(server_state.c.key == outbox.HELD))
    db.after(tx, "outbox")


def held_reason(tx: Connection) -> str | None:
    """Why the server's queue is held, if it is."""
    return tx.scalar(sa.select(server_state.c.value).where(server_state.c.key == outbox.HELD))
