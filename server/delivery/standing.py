"""What rooms are told of members: who is called otherwise, or gone. Only those rooms that have posts of theirs. Books through `outbox`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from server.delivery import outbox
from server.store.schema import addresses, memberships, posts, subscriptions

_AUTHOR = (
    sa.select(memberships.c.id)
    .where(memberships.c.forum_id == sa.bindparam("forum"), memberships.c.person_id == sa.bindparam("person"))
    .where(
        sa.exists().where(
            posts.c.person_id == memberships.c.person_id,
            posts.c.forum_id == memberships.c.forum_id,
            posts.c.published_at.is_not(None),
        )
    )
)
_ROOMS: Select[Any] = (
    sa.select(
        sa.literal("member", sa.String).label("item_kind"),
        sa.bindparam("member", type_=sa.BigInteger()).label("item_id"),
        sa.bindparam("member", type_=sa.BigInteger()).label("origin"),
        subscriptions.c.forum_id,
        addresses.c.channel,
        subscriptions.c.address_id,
        sa.bindparam("now", type_=sa.BigInteger()).label("not_before"),
        sa.bindparam("now", type_=sa.BigInteger()).label("created_at"),
    )
    .join_from(subscriptions, addresses)
    .where(
        subscriptions.c.forum_id == sa.bindparam("forum"),
        subscriptions.c.person_id.is_(None),
        subscriptions.c.state == "active",
    )
)


def book(tx: Connection, forum_id: int, person_id: int, now: int) -> None:
    """Book what became of a member; many changes before it is said are one item."""
    asked = {"forum": forum_id, "person": person_id, "now": now}
    member_id = tx.scalar(_AUTHOR, asked)
    if member_id is not None and not outbox.kept_changed(tx, "member", member_id, now):
        outbox.book_post(tx, _ROOMS, asked | {"member": member_id})
