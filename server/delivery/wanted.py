"""Which claimed rows must not leave after all, and why: each is looked at once more before it goes. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server.people import marks
from server.store.listed import listed
from server.store.schema import forums, memberships, posts, reactions, revisions, subscriptions

_s, _m = subscriptions.c, memberships.c
_WANTED = (
    sa.select(_s.id)
    .join(forums, forums.c.id == _s.forum_id)
    .outerjoin(memberships, sa.and_(_m.person_id == _s.person_id, _m.forum_id == _s.forum_id))
    .where(
        listed(_s.id, "ids"),
        _s.state == "active",
        # A room is open to its homeserver's eyes: it gets what everybody may read, or only members are in it.
        sa.or_(
            _m.state == "active",
            sa.and_(_s.person_id.is_(None), sa.or_(forums.c.visibility == "public", _s.members_only)),
        ),
    )
)
_PUBLISHED = sa.select(posts.c.id).where(listed(posts.c.id, "ids"), posts.c.state == "published")


def unwanted(tx: Connection, rows: Sequence[Row[Any]]) -> dict[int, str]:
    """The rows that must not leave, each with the reason: not subscribed or no member any more, not published, its thread muted."""
    return _left(tx, rows) | _vanished(tx, rows) | _muted(tx, rows)


def _left(tx: Connection, rows: Sequence[Row[Any]]) -> dict[int, str]:
    """Words that are taken back are taken back everywhere; what stays away is what would be said."""
    said = [row for row in rows if row.item_kind != "retraction"]
    ids = {row.subscription_id for row in said if row.subscription_id is not None}
    gone = ids - set(tx.scalars(_WANTED, {"ids": list(ids)})) if ids else set()
    return {row.id: "no longer subscribed" for row in said if row.subscription_id in gone}


def _vanished(tx: Connection, rows: Sequence[Row[Any]]) -> dict[int, str]:
    ids = {row.item_id for row in rows if row.item_kind == "post"}
    gone = ids - set(tx.scalars(_PUBLISHED, {"ids": list(ids)})) if ids else set()
    return {row.id: "no longer published" for row in rows if row.item_kind == "post" and row.item_id in gone}


def _muted(tx: Connection, rows: Sequence[Row[Any]]) -> dict[int, str]:
    """Whose reader muted the thread while it waited."""
    about = {row.id: row.item_id for row in rows if row.item_kind == "post"}
    about |= {row.id: post_id(tx, row.item_kind, row.item_id) for row in rows if row.item_kind == "correction"}
    muting = marks.muting(tx, list(set(about.values())))
    return (
        {row.id: "thread muted" for row in rows if (row.subscription_id, about.get(row.id)) in muting} if muting else {}
    )


def post_id(tx: Connection, kind: str, item_id: int) -> int:
    """The id of the post that an item is, or is about."""
    if kind in ("edit", "correction"):
        return int(tx.execute(sa.select(revisions.c.post_id).where(revisions.c.id == item_id)).scalar_one())
    if kind == "reaction":
        return int(tx.execute(sa.select(reactions.c.post_id).where(reactions.c.id == item_id)).scalar_one())
    return item_id
