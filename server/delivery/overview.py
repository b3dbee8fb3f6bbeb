"""The queue as people see it: how much waits, and what. Reads only."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server.store.schema import addresses, deliveries, forums

_d = deliveries.c


def counts(tx: Connection) -> list[Row[Any]]:
    """(channel, state, number) of everything that is not settled."""
    open_states = ("due", "claimed", "held", "failed")
    grouped = sa.select(_d.channel, _d.state, sa.func.count().label("number")).group_by(_d.channel, _d.state)
    return list(tx.execute(grouped.where(_d.state.in_(open_states))))


def listing(tx: Connection, limit: int = 100, state: str | None = None) -> list[Row[Any]]:
    """Rows that are not sent, oldest first, with the address and the forum's slug."""
    query = (
        sa.select(deliveries, addresses.c.address, forums.c.slug.label("forum"))
        .outerjoin(addresses, addresses.c.id == _d.address_id)
        .outerjoin(forums, forums.c.id == _d.forum_id)
        .order_by(_d.id)
        .limit(limit)
    )
    states = (state,) if state else ("due", "claimed", "held", "failed")
    return list(tx.execute(query.where(_d.state.in_(states))))
