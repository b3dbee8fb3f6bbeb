"""Who asked to be let into a forum whose moderators decide that. The only writer of `entry_requests`.

The membership of who asks is pending; a row here says where they are told, and what they wrote. Who decides: `desk.entry`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, Select, delete, select, update

from server.store.schema import addresses, entry_requests, memberships, people
from server.store.upsert import insert_new

WORDS_CHARS = 1_000
_WAITING: Select[Any] = (
    select(
        entry_requests,
        memberships.c.forum_id,
        memberships.c.person_id,
        people.c.name,
        addresses.c.channel,
        addresses.c.address,
    )
    .join_from(entry_requests, memberships, memberships.c.id == entry_requests.c.membership_id)
    .join(people, people.c.id == memberships.c.person_id)
    .outerjoin(addresses, addresses.c.id == entry_requests.c.address_id)
    .where(memberships.c.state == "pending")
)


def ask(
    tx: Connection,
    membership_id: int,
    address_id: int | None,
    mailbox_id: int | None,
    mode: str,
    words: str,
    now: int,
) -> bool:
    """Note the request; False where they asked before and nobody decided yet: their new words count then.

    They are told at `address_id`, and the forum's posts will go to `mailbox_id` (None: nowhere).
    """
    row = {"address_id": address_id, "mailbox_id": mailbox_id, "mode": mode, "words": words.strip()[:WORDS_CHARS]}
    if insert_new(tx, entry_requests, row | {"membership_id": membership_id, "asked_at": now}, ["membership_id"]):
        return True
    tx.execute(update(entry_requests).where(entry_requests.c.membership_id == membership_id).values(**row))
    return False


def of(tx: Connection, forum_id: int, person_id: int) -> Row[Any] | None:
    """The person's request, with their `name` and the `channel` and `address` where they are told; None if they wait for nothing."""
    mine = (memberships.c.forum_id == forum_id, memberships.c.person_id == person_id)
    return tx.execute(_WAITING.where(*mine)).first()


def waiting(tx: Connection, forum_id: int) -> list[Row[Any]]:
    """Every request in the forum, as `of`, oldest first."""
    mine = _WAITING.where(memberships.c.forum_id == forum_id)
    return list(tx.execute(mine.order_by(entry_requests.c.asked_at, entry_requests.c.membership_id)))


def done(tx: Connection, membership_id: int) -> None:
    """It was decided, or they came in another way."""
    tx.execute(delete(entry_requests).where(entry_requests.c.membership_id == membership_id))
