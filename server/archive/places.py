"""Readers, communities and forums as pages show them. Read-only statements; `access` is asked before anything is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from server.archive import access
from server.archive.access import STRANGER, Viewer
from server.desk import forums as desk_forums
from server.errors import NotFound
from server.moderation import bans
from server.store.schema import communities, forums, memberships, people, threads

_PERSON: Select[Any] = select(people.c.name).where(people.c.id == bindparam("person"), people.c.erased_at.is_(None))
_MEMBERSHIPS: Select[Any] = select(memberships.c.forum_id, memberships.c.role).where(
    memberships.c.person_id == bindparam("person"), memberships.c.state == "active"
)
_COMMUNITIES: Select[Any] = select(communities).order_by(communities.c.name)
_FORUMS: Select[Any] = (
    select(
        forums,
        communities.c.slug.label("community_slug"),
        communities.c.name.label("community_name"),
        select(func.count())
        .where(threads.c.forum_id == forums.c.id, threads.c.merged_into.is_(None), threads.c.posts > 0)
        .scalar_subquery()
        .label("thread_count"),
        select(func.max(threads.c.last_at)).where(threads.c.forum_id == forums.c.id).scalar_subquery().label("last_at"),
    )
    .join_from(forums, communities)
    .order_by(forums.c.title)
)


@dataclass(frozen=True, slots=True)
class Place:
    """A community with those of its forums that the viewer may see; each has `thread_count` and `last_at` (None: silent yet)."""

    slug: str
    name: str
    purpose: str
    forums: Sequence[Row[Any]]


def viewer(tx: Connection, person_id: int | None) -> Viewer:
    """Who asks, with what they are in each forum. A person who is gone is a stranger."""
    row = tx.execute(_PERSON, {"person": person_id}).first() if person_id is not None else None
    if row is None:
        return STRANGER
    return Viewer(
        person_id=person_id,
        roles={row.forum_id: row.role for row in tx.execute(_MEMBERSHIPS, {"person": person_id})},
        shut_out=bans.shut_out_of(tx, person_id),
        name=row.name,
    )


def directory(tx: Connection, viewer: Viewer) -> list[Place]:
    """Every community that has a forum which the viewer may see, or none at all yet."""
    every = tx.execute(_FORUMS).all()
    return [
        Place(community.slug, community.name, community.purpose, seen)
        for community in tx.execute(_COMMUNITIES)
        for own in [[f for f in every if f.community_id == community.id]]
        for seen in [[f for f in own if access.may(viewer, "read", f) is None]]
        if seen or not own
    ]


def community(tx: Connection, viewer: Viewer, slug: str) -> Place:
    """One community. Raises NotFound, also where all of its forums are hidden from the viewer."""
    found = next((place for place in directory(tx, viewer) if place.slug == slug.lower()), None)
    if found is None:
        raise NotFound(f"no community {slug}")
    return found


def forum(tx: Connection, viewer: Viewer, slug: str) -> Row[Any]:
    """The forum with its community's `community_slug` and `community_name`. Raises NotFound."""
    return access.ask(viewer, desk_forums.find(tx, slug))
