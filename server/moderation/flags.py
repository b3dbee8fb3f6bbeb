"""Published posts that members reported. The only writer of `flags`. What follows: `desk.flagging`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from server.store.schema import flags
from server.store.upsert import insert_new

OPEN, DISMISSED, UPHELD = "open", "dismissed", "upheld"
REASON_CHARS = 1_000


def add(tx: Connection, forum_id: int, post_id: int, part: int, person_id: int, reason: str, now: int) -> int | None:
    """The person reports the post, or that part of it; the report's id, None where they did before."""
    row = {"forum_id": forum_id, "post_id": post_id, "part": part, "person_id": person_id, "at": now}
    if not insert_new(tx, flags, row | {"reason": reason.strip()[:REASON_CHARS]}, ["post_id", "part", "person_id"]):
        return None
    mine = (flags.c.post_id == post_id, flags.c.part == part, flags.c.person_id == person_id)
    return int(tx.execute(select(flags.c.id).where(*mine)).scalar_one())


def count(tx: Connection, forum_id: int, person_id: int, since: int) -> int:
    """How many posts of the forum the person reported since then."""
    mine = (flags.c.forum_id == forum_id, flags.c.person_id == person_id, flags.c.at >= since)
    return tx.scalar(select(func.count()).select_from(flags).where(*mine)) or 0


def find(tx: Connection, flag_id: int) -> Row[Any] | None:
    return tx.execute(select(flags).where(flags.c.id == flag_id)).first()


def waiting(tx: Connection, forum_id: int) -> list[Row[Any]]:
    """What nobody decided on yet, oldest first."""
    mine = (flags.c.forum_id == forum_id, flags.c.state == OPEN)
    return list(tx.execute(select(flags).where(*mine).order_by(flags.c.id)))


def unreported(tx: Connection, forum_id: int, most: int) -> list[Row[Any]]:
    """What the forum's moderators were not written of yet, oldest first."""
    return [row for row in waiting(tx, forum_id) if row.reported_at is None][:most]


def forums_to_report(tx: Connection) -> list[int]:
    """The forums with something that their moderators were not written of yet."""
    new = (flags.c.state == OPEN, flags.c.reported_at.is_(None))
    return list(tx.scalars(select(flags.c.forum_id).where(*new).distinct().order_by(flags.c.forum_id)))


def reported(tx: Connection, ids: Sequence[int], now: int) -> None:
    tx.execute(update(flags).where(flags.c.id.in_(ids)).values(reported_at=now))


def decide(tx: Connection, post_id: int, part: int, state: str, actor: str, now: int) -> list[int]:
    """End every open report of the post, or of that part of it; their ids."""
    mine = (flags.c.post_id == post_id, flags.c.part == part, flags.c.state == OPEN)
    done = update(flags).where(*mine).values(state=state, decided_by=actor, decided_at=now).returning(flags.c.id)
    return sorted(tx.scalars(done))


def end(tx: Connection, post_id: int, actor: str, now: int) -> list[int]:
    """The post is gone, whoever took it back; the ids of its open reports."""
    mine = (flags.c.post_id == post_id, flags.c.state == OPEN)
    done = update(flags).where(*mine).values(state=UPHELD, decided_by=actor, decided_at=now).returning(flags.c.id)
    return sorted(tx.scalars(done))


def merge(tx: Connection, gone: int, into: int) -> None:
    """What one person reported, the other did; what both did stays once."""
    other = flags.alias("other")
    same = (other.c.post_id == flags.c.post_id) & (other.c.part == flags.c.part) & (other.c.person_id == into)
    both = select(flags.c.id).where(flags.c.person_id == gone, select(other.c.id).where(same).exists())
    tx.execute(flags.delete().where(flags.c.id.in_(list(tx.scalars(both)))))
    tx.execute(update(flags).where(flags.c.person_id == gone).values(person_id=into))
