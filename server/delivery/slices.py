"""Posts with very many receivers, booked a slice at a time after they were accepted. The only writer of fanouts.

The transaction that accepts such a post writes its slices down; `upkeep` books them one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server.store import db
from server.store.schema import fanouts


def add(tx: Connection, post_id: int, after: int, edges: Sequence[int]) -> None:
    """Remember the post's receivers as slices of subscription ids, up to each edge."""
    for edge in dict.fromkeys(edges):
        tx.execute(fanouts.insert().values(post_id=post_id, after_subscription=after, until_subscription=edge))
        after = edge
    db.after(tx, "slices")


def waits(tx: Connection) -> bool:
    """Whether a slice waits to be booked."""
    return tx.scalar(sa.select(fanouts.c.id).where(fanouts.c.state == "due").limit(1)) is not None


def take(tx: Connection) -> Row[Any] | None:
    """The oldest slice that is not booked yet, marked as done: book it in the same transaction."""
    row = tx.execute(
        sa.select(fanouts)
        .where(fanouts.c.state == "due")
        .order_by(fanouts.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).first()
    if row is not None:
        tx.execute(fanouts.update().where(fanouts.c.id == row.id).values(state="done"))
    return row
