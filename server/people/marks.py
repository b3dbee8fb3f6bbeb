"""What a person wants of a thread, whatever their mode: nothing of it, or all of it. The only writer of `thread_marks`.

Muted means nothing: no post of the thread is sent to any of the person's mailboxes, answers to their own posts neither. Followed means that
modes which leave threads out (`topics`, `mentions`) bring this one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Connection, Row, Select, bindparam, delete, select, update

from server.store.schema import posts, subscriptions, thread_marks, threads
from server.store.upsert import insert_or_set

MUTED, FOLLOWED = "muted", "followed"

_k = thread_marks.c
_OF = select(_k.mark).where(_k.person_id == bindparam("person"), _k.thread_id == bindparam("thread"))
_MUTED: Select[Any] = (
    select(subscriptions.c.id, posts.c.id.label("post_id"))
    .join_from(thread_marks, posts, posts.c.thread_id == _k.thread_id)
    .join(subscriptions, subscriptions.c.person_id == _k.person_id)
    .where(
        _k.mark == MUTED,
        posts.c.id.in_(bindparam("posts", expanding=True)),
        subscriptions.c.forum_id == posts.c.forum_id,
    )
)

_THREAD: Select[Any] = (
    select(threads.c.id, threads.c.subject)
    .join_from(posts, threads, threads.c.id == posts.c.thread_id)
    .where(posts.c.forum_id == bindparam("forum"), posts.c.seq == bindparam("number"))
)


def people(mark: str) -> Select[Any]:
    """The people who gave the thread (the parameter `thread`) that mark: for statements that choose receivers."""
    return select(_k.person_id).where(_k.thread_id == bindparam("thread", type_=BigInteger()), _k.mark == mark)


def of(tx: Connection, person_id: int, thread_id: int) -> str | None:
    """The person's mark on the thread."""
    return tx.execute(_OF, {"person": person_id, "thread": thread_id}).scalar()


def put(tx: Connection, person_id: int, thread_id: int, mark: str, now: int) -> None:
    """Give the thread that mark, in place of another one."""
    if of(tx, person_id, thread_id) != mark:
        row = {"person_id": person_id, "thread_id": thread_id, "mark": mark, "at": now}
        insert_or_set(tx, thread_marks, row, ["person_id", "thread_id"], ["mark", "at"])


def take_off(tx: Connection, person_id: int, thread_id: int, mark: str) -> None:
    """Take that mark off the thread; the other one stays."""
    tx.execute(delete(thread_marks).where(_k.person_id == person_id, _k.thread_id == thread_id, _k.mark == mark))


def moved(tx: Connection, thread_id: int, into: int) -> None:
    """Everything of a thread belongs to another one now, and so do the marks on it. Of two marks of one person the later one stays."""
    other = thread_marks.alias("other")
    for loser, winner, later in ((into, thread_id, other.c.at > _k.at), (thread_id, into, other.c.at >= _k.at)):
        twice = (other.c.thread_id == winner) & (other.c.person_id == _k.person_id) & later
        tx.execute(delete(thread_marks).where(_k.thread_id == loser, select(other.c.at).where(twice).exists()))
    tx.execute(update(thread_marks).where(_k.thread_id == thread_id).values(thread_id=into))


def merge(tx: Connection, gone: int, into: int) -> None:
    """The marks of one person are the other's from now on; where both have one, the other's stays."""
    other = thread_marks.alias("other")
    twice = (other.c.person_id == into) & (other.c.thread_id == _k.thread_id)
    tx.execute(delete(thread_marks).where(_k.person_id == gone, select(other.c.at).where(twice).exists()))
    tx.execute(update(thread_marks).where(_k.person_id == gone).values(person_id=into))


def muting(tx: Connection, post_ids: list[int]) -> set[tuple[int, int]]:
    """Which subscriptions muted the threads of which of these posts: (subscription, post)."""
    return {(row.id, row.post_id) for row in tx.execute(_MUTED, {"posts": post_ids})} if post_ids else set()


def thread(tx: Connection, forum_id: int, number: int) -> Row[Any] | None:
    """The thread in which post `number` of the forum stands: id, subject."""
    return tx.execute(_THREAD, {"forum": forum_id, "number": number}).first()
