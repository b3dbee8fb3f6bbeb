"""Held posts as a page shows them to whoever holds a token for them. Read-only; the token was checked before (`desk.answers`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from server import bridge
from server.archive import posts as archive_posts
from server.store.schema import bodies, held, people, posts

_HELD: Select[Any] = (
    select(posts, people.c.key, bodies.c.html, held.c.name, held.c.reason, held.c.author)
    .join_from(posts, held, held.c.post_id == posts.c.id)
    .join(bodies, bodies.c.post_id == posts.c.id)
    .outerjoin(people, people.c.id == posts.c.person_id)
    .where(posts.c.id.in_(bindparam("posts", expanding=True)))
    .order_by(posts.c.id)
)


@dataclass(frozen=True, slots=True)
class HeldView:
    """A post that waits. Its files are named, and open for nobody before it is published. `address`: its author's, for moderators alone."""

    id: int
    name: str
    reason: str
    subject: str
    by: str
    address: str
    key: str
    channel: str
    at: int
    html: str
    files: Sequence[bridge.File]


def views(tx: Connection, ids: Sequence[int]) -> list[HeldView]:
    """Those of these posts that still wait, oldest first."""
    rows = tx.execute(_HELD, {"posts": list(ids)}).all()
    files = archive_posts.stored_files(tx, [row.id for row in rows])
    return [
        HeldView(
            row.id,
            row.name,
            row.reason,
            row.subject,
            row.author_name,
            "" if row.channel == bridge.WEB else row.author.partition(":")[2],
            row.key or "",
            row.channel,
            row.arrived_at,
            row.html,
            files.get(row.id, ()),
        )
        for row in rows
    ]
