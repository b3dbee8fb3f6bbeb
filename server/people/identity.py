"""Who somebody is: people, and the addresses by which they are reached. The only writer of `people` and `addresses`.

An address belongs to one person or is a room. A bridge hands addresses over normalised; nothing here knows their form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from server import limits, tokens
from server.errors import NotFound, Rejected
from server.i18n import _
from server.store.schema import addresses, people
from server.store.upsert import insert_id, insert_new


@dataclass(frozen=True, slots=True)
class Known:
    """A person as one of their addresses leads to them. `key` may be shown anywhere, the address nowhere."""

    person_id: int
    address_id: int
    key: str
    name: str


_FIND = (
    select(people.c.id.label("person_id"), addresses.c.id.label("address_id"), people.c.key, people.c.name)
    .join_from(addresses, people, addresses.c.person_id == people.c.id)
    .where(addresses.c.channel == bindparam("by"), addresses.c.address == bindparam("at"))
)
_FIND_MANY = (
    select(
        addresses.c.address,
        people.c.id.label("person_id"),
        addresses.c.id.label("address_id"),
        people.c.key,
        people.c.name,
    )
    .join_from(addresses, people, addresses.c.person_id == people.c.id)
    .where(addresses.c.channel == bindparam("by"), addresses.c.address.in_(bindparam("at", expanding=True)))
)
_PERSON = select(people).where(people.c.id == bindparam("person"))
_UNIQUE = ["channel", "address"]
LOOKUP = 500  # people asked for in one statement: both engines limit the number of parameters


def find(tx: Connection, channel: str, address: str) -> Known | None:
    """The person with that address, if there is one."""
    row = tx.execute(_FIND, {"by": channel, "at": address}).first()
    return Known(row.person_id, row.address_id, row.key, row.name) if row is not None else None


def find_many(tx: Connection, channel: str, at: Sequence[str]) -> dict[str, Known]:
    """The people with these addresses, by address; who is unknown is left out."""
    found: dict[str, Known] = {}
    for start in range(0, len(at), LOOKUP):
        for row in tx.execute(_FIND_MANY, {"by": channel, "at": at[start : start + LOOKUP]}):
            found[row.address] = Known(row.person_id, row.address_id, row.key, row.name)
    return found


def ensure(tx: Connection, channel: str, address: str, name: str, now: int, verified: bool = False) -> Known:
    """The person with that address, made if there is none. A name fills an empty one and never replaces one.

    Raises Rejected if the address is a room's.
    """
    name = name.strip()[: limits.NAME_CHARS]
    known = find(tx, channel, address)
    if known is None:
        known = _make(tx, channel, address, name, now)
    if name and not known.name:
        tx.execute(update(people).where(people.c.id == known.person_id, people.c.name == "").values(name=name))
        known = Known(known.person_id, known.address_id, known.key, name)
    if verified:
        verify(tx, known.address_id, now)
    return known


def _make(tx: Connection, channel: str, address: str, name: str, now: int) -> Known:
    key = tokens.author_key()
    person_id = insert_id(tx, people, key=key, name=name, created_at=now)
    row = {"channel": channel, "address": address, "person_id": person_id, "created_at": now}
    if not insert_new(tx, addresses, row, _UNIQUE):  # another process was faster, or it is a room
        tx.execute(delete(people).where(people.c.id == person_id))
    known = find(tx, channel, address)
    if known is None:
        raise Rejected("5.1.0", _("This address is a room's, not a person's."))
    return known


def ensure_room(tx: Connection, channel: str, address: str, now: int) -> int:
    """The id of a room's address, made if it is new. Raises Rejected if the address is a person's."""
    insert_new(tx, addresses, {"channel": channel, "address": address, "created_at": now}, _UNIQUE)
    row = tx.execute(
        select(addresses.c.id, addresses.c.person_id).where(
            addresses.c.channel == channel, addresses.c.address == address
        )
    ).one()
    if row.person_id is not None:
        raise Rejected("5.1.0", _("This address is a person's, not a room's."))
    return int(row.id)


def person(tx: Connection, person_id: int) -> Row[Any]:
    """The person's row. Raises NotFound."""
    row = tx.execute(_PERSON, {"person": person_id}).first()
    if row is None:
        raise NotFound(_("There is no such person."))
    return row


def person_at(tx: Connection, address_id: int) -> int:
    """The id of the person whose address this is. Raises NotFound for a room's."""
    person_id = tx.execute(select(addresses.c.person_id).where(addresses.c.id == address_id)).scalar()
    if person_id is None:
        raise NotFound(_("There is nobody at this address."))
    return int(person_id)


def address(tx: Connection, address_id: int) -> str:
    """The address with that id."""
    return str(tx.execute(select(addresses.c.address).where(addresses.c.id == address_id)).scalar_one())


def address_of(tx: Connection, person_id: int, channel: str) -> str | None:
    """The person's address on a channel: the one verified first, else the oldest."""
    a = addresses.c
    query = (
        select(a.address)
        .where(a.person_id == person_id, a.channel == channel)
        .order_by(a.verified_at.is_(None), a.verified_at, a.id)
        .limit(1)
    )
    return tx.execute(query).scalar()


def addresses_of(tx: Connection, person_ids: Sequence[int]) -> list[Row[Any]]:
    """Every address of these people, oldest first. For operators only: addresses are private."""
    found: list[Row[Any]] = []
    for start in range(0, len(person_ids), LOOKUP):
        some = addresses.c.person_id.in_(person_ids[start : start + LOOKUP])
        found += tx.execute(select(addresses).where(some).order_by(addresses.c.id))
    return found


def beside(tx: Connection, address: str) -> list[str]:
    """Every address of whoever has this one, on whatever channel."""
    people_there = select(addresses.c.person_id).where(addresses.c.address == address)
    return list(tx.scalars(select(addresses.c.address).where(addresses.c.person_id.in_(people_there))))


def reader(tx: Connection, address_id: int) -> tuple[str, str]:
    """(channel, language) of an address: the language of its person, English in a room."""
    query = select(addresses.c.channel, people.c.language).outerjoin_from(addresses, people)
    row = tx.execute(query.where(addresses.c.id == address_id)).one()
    return row.channel, row.language or "en"


def is_verified(tx: Connection, address_id: int) -> bool:
    """Whether somebody proved that they read what is sent there."""
    proved = select(addresses.c.id).where(addresses.c.id == address_id, addresses.c.verified_at.is_not(None))
    return tx.scalar(proved) is not None


def verify(tx: Connection, address_id: int, now: int) -> None:
    """Note that the address was shown to be its person's; the first time counts."""
    unverified = (addresses.c.id == address_id) & addresses.c.verified_at.is_(None)
    tx.execute(update(addresses).where(unverified).values(verified_at=now))


def merge(tx: Connection, gone: int, into: int) -> None:
    """Two people were one all along: the addresses of `gone` are `into`'s from now on. What else was theirs moves by `desk.linking`."""
    name = person(tx, gone).name
    tx.execute(update(addresses).where(addresses.c.person_id == gone).values(person_id=into))
    tx.execute(update(people).where(people.c.id == into, people.c.name == "").values(name=name))
    tx.execute(update(people).where((people.c.id == gone) | (people.c.merged_into == gone)).values(merged_into=into))


def of_key(tx: Connection, key: str) -> int | None:
    """The id of the person with that opaque key, or of whom they were merged into."""
    row = tx.execute(select(people.c.id, people.c.merged_into).where(people.c.key == key)).first()
    return None if row is None else int(row.merged_into or row.id)


def survivor(tx: Connection, person_id: int) -> int:
    """The person, or whom they were merged into."""
    return int(person(tx, person_id).merged_into or person_id)


def set_person(tx: Connection, person_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a person: language, timezone. A new time zone goes through `sending`, which knows digests."""
    tx.execute(update(people).where(people.c.id == person_id).values(**values))


def rename(tx: Connection, person_id: int, name: str) -> None:
    """Replace the person's name, as they or an operator ask."""
    tx.execute(update(people).where(people.c.id == person_id).values(name=name.strip()[: limits.NAME_CHARS]))
