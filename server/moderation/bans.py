"""Who is shut out: bans by address, domain or pattern, in one forum or in all. The only writer of `bans`.

Every door asks `shut_out_of`, or `is_shut_out` of one forum; bans are made and lifted by `desk.shutting`, which also ends memberships.
A pattern is a glob: `*` is any text, `?` any one letter. No regular expression: what an operator writes costs at most its length times
the address's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, bindparam, delete, insert, or_, select

from server import globs
from server.store.schema import addresses, bans, forums, memberships

ADDRESS, DOMAIN, PATTERN = "address", "domain", "pattern"
VALUE_CHARS = 320
_LABELS = 20  # of a domain that are looked at

_COVERING: Select[Any] = (
    select(bans)
    .where(
        or_(
            and_(bans.c.kind == ADDRESS, bans.c.value.in_(bindparam("addresses", expanding=True))),
            and_(bans.c.kind == DOMAIN, bans.c.value.in_(bindparam("domains", expanding=True))),
            bans.c.kind == PATTERN,
        )
    )
    .order_by(bans.c.id)
)
_COVERING_IN = _COVERING.where(or_(bans.c.forum_id.is_(None), bans.c.forum_id == bindparam("forum")))
_ADDRESSES = select(addresses.c.address).where(addresses.c.person_id == bindparam("person"))
_ENDED: Select[Any] = select(memberships.c.forum_id).where(
    memberships.c.person_id == bindparam("person"), memberships.c.state == "banned"
)


def shut_out_of(
    tx: Connection, person_id: int | None, address: str = "", forum_id: int | None = None
) -> frozenset[int | None]:
    """The ids of the forums that this person is shut out of, with None among them: out of all. This is the rule that every door asks.

    A person is shut out by any of their addresses, or because their membership was ended by a ban. `address` is the one that they
    come by, as whoever we do not know has no other. With a `forum_id` only what holds there is looked for.
    """
    theirs = {address} if address else set()
    ended: set[int | None] = set()
    if person_id is not None:
        theirs.update(tx.scalars(_ADDRESSES, {"person": person_id}))
        ended.update(tx.scalars(_ENDED, {"person": person_id}))
    return frozenset(ended | {row.forum_id for row in covering(tx, forum_id, sorted(theirs))})


def is_shut_out(tx: Connection, forum_id: int, person_id: int | None, address: str = "") -> bool:
    """Whether the person is shut out of this forum, as `shut_out_of` says."""
    return not shut_out_of(tx, person_id, address, forum_id).isdisjoint((forum_id, None))


def covering(tx: Connection, forum_id: int | None, theirs: Sequence[str]) -> list[Row[Any]]:
    """The bans that hold in the forum (None: anywhere) and cover one of these (normalised) addresses, oldest first."""
    if not theirs:
        return []
    wanted = {"addresses": theirs, "domains": sorted({name for address in theirs for name in _domains(address)})}
    found = (
        tx.execute(_COVERING, wanted) if forum_id is None else tx.execute(_COVERING_IN, wanted | {"forum": forum_id})
    )
    return [row for row in found if any(covers(row.kind, row.value, address) for address in theirs)]


def covers(kind: str, value: str, address: str) -> bool:
    """Whether a ban of that kind and value is one of the address."""
    if kind == PATTERN:
        return globs.matches(value, address)
    return value == address if kind == ADDRESS else value in _domains(address)


def add(tx: Connection, forum_id: int | None, kind: str, value: str, reason: str, actor: str, now: int) -> bool:
    """Ban it (None: in all forums); False if it is banned there already."""
    if tx.execute(select(bans.c.id).where(_in(forum_id), bans.c.value == value)).first() is not None:
        return False
    row = {"forum_id": forum_id, "kind": kind, "value": value, "reason": reason, "actor": actor, "created_at": now}
    tx.execute(insert(bans), row)
    return True


def remove(tx: Connection, forum_id: int | None, values: Collection[str]) -> list[tuple[str, str]]:
    """End the bans of exactly these values in the forum (None: those in all); kind and value of each that there was."""
    mine = delete(bans).where(_in(forum_id), bans.c.value.in_(sorted(values))).returning(bans.c.kind, bans.c.value)
    return [(row.kind, row.value) for row in tx.execute(mine)]


def listing(tx: Connection, forum_id: int | None = None) -> list[Row[Any]]:
    """Every ban that holds in the forum (None: all there are), oldest first, with the forum's slug (None: in all)."""
    query = select(bans, forums.c.slug).outerjoin_from(bans, forums, forums.c.id == bans.c.forum_id).order_by(bans.c.id)
    if forum_id is not None:
        query = query.where(or_(bans.c.forum_id.is_(None), bans.c.forum_id == forum_id))
    return list(tx.execute(query))


def _in(forum_id: int | None) -> ColumnElement[bool]:
    return bans.c.forum_id.is_(None) if forum_id is None else bans.c.forum_id == forum_id


def domain(address: str) -> str:
    """The domain of "ana@x.org" and of "@ana:x.org"."""
    if address.startswith("@"):
        return address.partition(":")[2].partition(":")[0]
    return address.rpartition("@")[2]


def _domains(address: str) -> list[str]:
    """The address's domain and those above it: who bans x.org bans mail.x.org."""
    labels = domain(address).split(".")[-_LABELS:]
    return [".".join(labels[start:]) for start in range(len(labels))]
