"""The newest posts of a forum or a community, for feeds. Read-only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, select

from server.archive import access, places
from server.archive.access import Viewer
from server.archive.posts import PostView, views
from server.store.schema import posts, threads

ENTRIES = 40

_NEWEST: Select[Any] = (
    select(posts.c.id, posts.c.forum_id, posts.c.parent_id, threads.c.subject)
    .join_from(posts, threads, threads.c.id == posts.c.thread_id)
    .where(
        posts.c.forum_id.in_(bindparam("forums", expanding=True)),
        posts.c.seq.is_not(None),
        posts.c.state == "published",
    )
    .order_by(posts.c.published_at.desc(), posts.c.id.desc())
    .limit(ENTRIES)
)
_PARENTS: Select[Any] = select(posts.c.id, posts.c.seq, posts.c.author_name, posts.c.state).where(
    posts.c.id.in_(bindparam("posts", expanding=True)), posts.c.state == "published"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A post in a feed; `subject` is its thread's."""

    forum: Row[Any]
    subject: str
    post: PostView


@dataclass(frozen=True, slots=True)
class Feed:
    """`path` is the page that the feed is of; `modseq` grows with every change in it."""

    title: str
    path: str
    entries: Sequence[Entry]
    modseq: int
    public: bool


def forum(tx: Connection, viewer: Viewer, slug: str) -> Feed:
    """A forum's newest posts. Raises NotFound."""
    row = places.forum(tx, viewer, slug)
    return Feed(row.title, f"/f/{row.slug}", _entries(tx, [row]), row.modseq, row.visibility == "public")


def community(tx: Connection, viewer: Viewer, slug: str) -> Feed:
    """The newest posts of those of a community's forums that the viewer may see. Raises NotFound."""
    place = places.community(tx, viewer, slug)
    rows = [row for row in place.forums if access.may(viewer, "read", row) is None]
    public = all(row.visibility == "public" for row in rows)
    return Feed(place.name, f"/c/{place.slug}", _entries(tx, rows), sum(row.modseq for row in rows), public)


def _entries(tx: Connection, forums: Sequence[Row[Any]]) -> list[Entry]:
    newest = tx.execute(_NEWEST, {"forums": [row.id for row in forums]}).all() if forums else []
    asked = [row.parent_id for row in newest if row.parent_id]
    known = {row.id: row for row in tx.execute(_PARENTS, {"posts": asked})} if asked else {}
    shown = {view.id: view for view in views(tx, [row.id for row in newest], {}, known)}
    by_id = {row.id: row for row in forums}
    return [Entry(by_id[row.forum_id], row.subject, shown[row.id]) for row in newest]
