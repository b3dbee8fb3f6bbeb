"""Private words, booked: letters from one person to another, notices of the server itself. The only writer of letters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import clock, tokens
from server.delivery import outbox
from server.desk import Desk
from server.people import identity
from server.store.schema import deliveries, letters
from server.store.upsert import insert_id

ONCE_IN = clock.DAY
"""A question, a help or a warning goes to an address once in this time, however often it is asked for."""


def notice(
    tx: Connection,
    address_id: int,
    template: str,
    forum_id: int | None,
    facts: Mapping[str, Any],
    now: int,
    *,
    subscription_id: int | None = None,
    person_id: int | None = None,
    not_before: int | None = None,
) -> None:
    """Book words of the server itself for one address, in its reader's language. No secret in `facts`.

    `template` is one of `delivery.notices.TEMPLATES`. With a `subscription_id` it is a probe: what comes back of it is told from what
    comes back of posts. `person_id`: whom it is about, where it is said once to each. `not_before`: it does not go at once.
    """
    channel, language = identity.reader(tx, address_id)
    letter_id = insert_id(
        tx,
        letters,
        kind="notice",
        forum_id=forum_id,
        person_id=person_id,
        template=template,
        data=json.dumps({"uuid": tokens.uuid7(), "language": language, "address_id": address_id, **facts}),
        created_at=now,
    )
    outbox.book_one(tx, "notice", letter_id, channel, address_id, now, forum_id, subscription_id, not_before)


def operator(tx: Connection, desk: Desk) -> int | None:
    """The id of the operator's address; None where the configuration names nobody."""
    if desk.operator is None:
        return None
    channel, address = desk.operator
    return identity.ensure(tx, channel, address, "", desk.now()).address_id


def tell_operator(tx: Connection, desk: Desk, template: str, forum_id: int, reason: str) -> None:
    """Book a notice for the operator's own address, at most once a day and forum."""
    at = operator(tx, desk)
    if at is not None and not recent(tx, template, at, forum_id, desk.now() - ONCE_IN):
        notice(tx, at, template, forum_id, {"reason": reason}, desk.now())


def letter(
    tx: Connection,
    *,
    to: str,
    receivers: Sequence[int],
    data: dict[str, Any],
    original: bytes | None,
    forum_id: int | None,
    person_id: int | None,
    now: int,
) -> int:
    """Book a person's private words for each address. Without a receiver it is kept all the same."""
    letter_id = insert_id(
        tx,
        letters,
        kind="letter",
        forum_id=forum_id,
        person_id=person_id,
        template=to,
        data=json.dumps(data),
        original=original,
        created_at=now,
    )
    for address_id in receivers:
        bring(tx, letter_id, address_id, forum_id, now)
    return letter_id


def bring(tx: Connection, letter_id: int, address_id: int, forum_id: int | None, now: int) -> None:
    """Book a letter that is stored already for one address."""
    channel, _language = identity.reader(tx, address_id)
    outbox.book_one(tx, "letter", letter_id, channel, address_id, now, forum_id)


def kept(tx: Connection) -> list[int]:
    """Letters that had nobody to go to when they came, oldest first."""
    booked = sa.exists().where(deliveries.c.item_kind == "letter", deliveries.c.item_id == letters.c.id)
    return list(tx.scalars(sa.select(letters.c.id).where(letters.c.kind == "letter", ~booked).order_by(letters.c.id)))


def merge(tx: Connection, gone: int, into: int) -> None:
    """Letters of, and notices about, the one person are the other's."""
    tx.execute(sa.update(letters).where(letters.c.person_id == gone).values(person_id=into))


def get(tx: Connection, letter_id: int) -> Row[Any]:
    return tx.execute(sa.select(letters).where(letters.c.id == letter_id)).one()


def recent(tx: Connection, template: str, address_id: int, forum_id: int | None, since: int) -> bool:
    """Whether this address was sent such a notice about the forum since then: a stranger cannot make us repeat ourselves."""
    return latest(tx, template, address_id, forum_id, since) is not None


def latest(tx: Connection, template: str, address_id: int, forum_id: int | None, since: int) -> Row[Any] | None:
    """The last such notice about the forum that this address was sent since then."""
    query = (
        sa.select(letters)
        .join(deliveries, sa.and_(deliveries.c.item_kind == "notice", deliveries.c.item_id == letters.c.id))
        .where(letters.c.template == template, letters.c.created_at >= since, deliveries.c.address_id == address_id)
        .where(letters.c.forum_id.is_(None) if forum_id is None else letters.c.forum_id == forum_id)
        .order_by(letters.c.id.desc())
        .limit(1)
    )
    return tx.execute(query).first()


def was_told(tx: Connection, template: str, person_id: int) -> bool:
    """Whether such a notice about the person was ever booked."""
    mine = (letters.c.person_id == person_id, letters.c.template == template, letters.c.kind == "notice")
    return tx.scalar(sa.select(letters.c.id).where(*mine).limit(1)) is not None


def sent(tx: Connection, templates: Sequence[str], forum_id: int, since: int, address_id: int | None = None) -> int:
    """How many such notices a forum sent since then, to that address or (None) to anybody."""
    query = sa.select(sa.func.count()).select_from(letters)
    if address_id is not None:
        booked = sa.and_(deliveries.c.item_kind == "notice", deliveries.c.item_id == letters.c.id)
        query = query.join(deliveries, booked).where(deliveries.c.address_id == address_id)
    mine = (letters.c.template.in_(templates), letters.c.forum_id == forum_id, letters.c.created_at >= since)
    return tx.scalar(query.where(*mine)) or 0


def sent_by(tx: Connection, person_id: int, since: int) -> int:
    """How many letters to authors a person wrote since then."""
    query = sa.select(sa.func.count()).select_from(letters)
    mine = (letters.c.kind == "letter", letters.c.person_id == person_id, letters.c.created_at >= since)
    return tx.scalar(query.where(*mine)) or 0
