"""Who may neither join nor post: bans by address, domain or pattern, in one forum or in all. The only writer of `bans`.

A pattern is a glob: `*` is any text, `?` any one letter. No regular expression: what an operator writes costs at most its length times
the address's.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, insert, or_, select

from server.store.schema import bans, forums

ADDRESS, DOMAIN, PATTERN = "address", "domain", "pattern"
VALUE_CHARS = 320
_LABELS = 20  # of a domain that are looked at

_APPLIES = (
    select(bans)
    .where(or_(bans.c.forum_id.is_(None), bans.c.forum_id == bindparam("forum")))
    .where(
        or_(
            and_(bans.c.kind == ADDRESS, bans.c.value == bindparam("address")),
            and_(bans.c.kind == DOMAIN, bans.c.value.in_(bindparam("domains", expanding=True))),
            bans.c.kind == PATTERN,
        )
    )
    .order_by(bans.c.id)
)


def applies(tx: Connection, forum_id: int, address: str) -> Row[Any] | None:
    """The ban that keeps this (normalised) address out of the forum, if there is one."""
    found = tx.execute(_APPLIES, {"forum": forum_id, "address": address, "domains": _domains(address)})
    return next((row for row in found if row.kind != PATTERN or matches(row.value, address)), None)


def add(tx: Connection, forum_id: int | None, kind: str, value: str, reason: str, actor: str, now: int) -> bool:
    """Ban it (None: in all forums); False if it is banned there already."""
    if tx.execute(select(bans.c.id).where(_same(forum_id, value))).first() is not None:
        return False
    row = {"forum_id": forum_id, "kind": kind, "value": value, "reason": reason, "actor": actor, "created_at": now}
    tx.execute(insert(bans), row)
    return True


def remove(tx: Connection, forum_id: int | None, value: str) -> bool:
    """End the ban of exactly this value in the forum (None: the one in all); False if there is none."""
    return bool(tx.execute(delete(bans).where(_same(forum_id, value))).rowcount)


def listing(tx: Connection, forum_id: int | None = None) -> list[Row[Any]]:
    """Every ban that holds in the forum (None: all there are), oldest first, with the forum's slug (None: in all)."""
    query = select(bans, forums.c.slug).outerjoin_from(bans, forums, forums.c.id == bans.c.forum_id).order_by(bans.c.id)
    if forum_id is not None:
        query = query.where(or_(bans.c.forum_id.is_(None), bans.c.forum_id == forum_id))
    return list(tx.execute(query))


def _same(forum_id: int | None, value: str) -> ColumnElement[bool]:
    where = bans.c.forum_id.is_(None) if forum_id is None else bans.c.forum_id == forum_id
    return and_(where, bans.c.value == value)


def domain(address: str) -> str:
    """The domain of "ana@x.org" and of "@ana:x.org"."""
    if address.startswith("@"):
        return address.partition(":")[2].partition(":")[0]
    return address.rpartition("@")[2]


def _domains(address: str) -> list[str]:
    """The address's domain and those above it: who bans x.org bans mail.x.org."""
    labels = domain(address).split(".")[-_LABELS:]
    return [".".join(labels[start:]) for start in range(len(labels))]


def matches(pattern: str, address: str) -> bool:
    """Whether the glob covers the whole address: go on greedily, and where it fails let the last `*` take one letter more."""
    at = star_at = 0
    place, star = 0, -1
    while at < len(address):
        letter = pattern[place : place + 1]
        if letter == "*":
            star, star_at = place, at
            place += 1
        elif letter in ("?", address[at]):
            place, at = place + 1, at + 1
        elif star >= 0:
            star_at += 1
            place, at = star + 1, star_at
        else:
            return False
    return not pattern[place:].strip("*")
