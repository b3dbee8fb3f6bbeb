"""Posts as pages, feeds and sources show them. Read-only; who asks is checked by `access` before a post is touched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from server import bridge
from server.archive import access, places
from server.archive.access import Viewer
from server.errors import NotFound
from server.store.schema import attachments, bodies, forums, people, posts, reactions, refs

_NUMBER: Select[Any] = select(posts.c.id, posts.c.thread_id, posts.c.state, posts.c.person_id, posts.c.channel).where(
    posts.c.forum_id == bindparam("forum"),
    posts.c.seq == bindparam("number"),
    posts.c.state.in_(("published", "retracted")),
)
_POSTS: Select[Any] = (
    select(posts, people.c.key, people.c.name.label("person_name"), bodies.c.html)
    .outerjoin_from(posts, people, people.c.id == posts.c.person_id)
    .outerjoin(bodies, bodies.c.post_id == posts.c.id)
    .where(posts.c.id.in_(bindparam("posts", expanding=True)))
)
_FILES: Select[Any] = (
    select(attachments)
    .where(attachments.c.post_id.in_(bindparam("posts", expanding=True)))
    .order_by(attachments.c.post_id, attachments.c.position)
)
_REACTIONS: Select[Any] = (
    select(reactions.c.post_id, reactions.c.key, func.count().label("times"))
    .where(reactions.c.post_id.in_(bindparam("posts", expanding=True)), reactions.c.removed_at.is_(None))
    .group_by(reactions.c.post_id, reactions.c.key)
    .order_by(func.min(reactions.c.at))
)
_BY_NAME: Select[Any] = (
    select(posts.c.seq, forums)
    .join_from(refs, posts, posts.c.id == refs.c.post_id)
    .join(forums, forums.c.id == posts.c.forum_id)
    .where(
        refs.c.name == bindparam("name"),
        refs.c.space == bridge.MESSAGE_ID,
        posts.c.seq.is_not(None),
        posts.c.state.in_(("published", "retracted")),
    )
    .order_by(forums.c.visibility.desc(), posts.c.id)
)
_BLOB: Select[Any] = (
    select(attachments.c.media_type, attachments.c.filename, attachments.c.size.label("bytes"), forums)
    .join_from(attachments, posts, posts.c.id == attachments.c.post_id)
    .join(forums, forums.c.id == posts.c.forum_id)
    .where(attachments.c.blob_hash == bindparam("hash"), posts.c.state == "published")
)
_THREAD_NUMBERS: Select[Any] = (
    select(posts.c.seq)
    .where(posts.c.thread_id == bindparam("thread"), posts.c.seq.is_not(None), posts.c.state == "published")
    .order_by(posts.c.seq)
)


@dataclass(frozen=True, slots=True)
class PostView:
    """A post as a page shows it. `at` is when it was written, never later than it came; `gone`: taken back, nothing of it is left.

    `parent` is the number that it answers, None at a start; `orphan`: it answers something that never arrived.
    """

    id: int
    number: int
    depth: int
    parent: int | None
    parent_name: str
    orphan: bool
    gone: bool
    key: str
    name: str
    person_id: int | None
    channel: str
    at: int
    edited_at: int | None
    revision: int
    message_id: str
    subject: str
    html: str
    files: Sequence[bridge.File]
    reactions: Sequence[tuple[str, int]]
    chat: str = ""


def number_of(tx: Connection, forum: Row[Any], number: int) -> Row[Any]:
    """id, thread, state, author and channel of post `number` of a forum that the viewer may see. Raises NotFound."""
    row = tx.execute(_NUMBER, {"forum": forum.id, "number": number}).first() if 0 < number < 2**62 else None
    if row is None:
        raise NotFound(f"no post {forum.slug}/{number}")
    return row


def views(
    tx: Connection, ids: Sequence[int], depths: Mapping[int, int], known: Mapping[int, Row[Any]]
) -> list[PostView]:
    """The posts with these ids, in that order. `known` are rows (seq, author_name, state) of posts that they may answer."""
    if not ids:
        return []
    rows = {row.id: row for row in tx.execute(_POSTS, {"posts": ids})}
    files = stored_files(tx, ids)
    signs: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for row in tx.execute(_REACTIONS, {"posts": ids}):
        signs[row.post_id].append((row.key, row.times))
    return [_view(rows[i], depths.get(i, 0), known, files.get(i, ()), signs.get(i, ())) for i in ids if i in rows]


def _view(
    row: Row[Any],
    depth: int,
    known: Mapping[int, Row[Any]],
    files: Sequence[bridge.File],
    signs: Sequence[tuple[str, int]],
) -> PostView:
    parent = known.get(row.parent_id)
    gone = row.state != "published"
    return PostView(
        id=row.id,
        number=row.seq,
        depth=depth,
        parent=parent.seq if parent else None,
        parent_name=parent.author_name if parent and parent.state == "published" else "",
        orphan=parent is None and row.parent_ref_id is not None,
        gone=gone,
        key=row.key or "",
        name=row.author_name or row.person_name or "",
        person_id=row.person_id,
        channel=row.channel,
        at=written(row),
        edited_at=row.edited_at,
        revision=row.revision,
        message_id=row.message_id,
        chat=row.chat,
        subject=row.subject,
        html="" if gone else row.html or "",
        files=() if gone else files,
        reactions=() if gone else signs,
    )


def written(row: Row[Any]) -> int:
    """When a post was written as its author's message claims, but never later than it came."""
    return int(min(row.written_at, row.arrived_at) if row.written_at else row.arrived_at)


def stored_files(tx: Connection, ids: Sequence[int], base_url: str = "") -> dict[int, list[bridge.File]]:
    """The files of these posts, with addresses under `base_url`."""
    found: dict[int, list[bridge.File]] = defaultdict(list)
    for row in tx.execute(_FILES, {"posts": ids}):
        url = f"{base_url}/blob/{row.blob_hash}/{quote(row.filename or 'file', safe='')}"
        found[row.post_id].append(
            bridge.File(
                hash=row.blob_hash,
                filename=row.filename or "file",
                media_type=row.media_type,
                size=row.size,
                url=url,
                content_id=row.content_id,
                inline=row.inline,
            )
        )
    return found


def by_message_id(tx: Connection, viewer: Viewer, message_id: str) -> tuple[str, int]:
    """Forum and number of the post with that Message-ID (no angle brackets needed). Raises NotFound."""
    if not message_id.isprintable():  # no name of ours, and a database may not take it: controls, lone surrogates
        raise NotFound("no post has that Message-ID")
    name = f"<{message_id.strip().strip('<>')}>"
    for row in tx.execute(_BY_NAME, {"name": name}):
        if access.may(viewer, "read", row) is None:
            return row.slug, row.seq
    raise NotFound("no post has that Message-ID")


def file(tx: Connection, viewer: Viewer, blob_hash: str) -> Row[Any]:
    """media_type, filename and bytes of a stored file that hangs on a post which the viewer may see. Raises NotFound."""
    for row in tx.execute(_BLOB, {"hash": blob_hash}):
        if access.may(viewer, "read", row) is None:
            return row
    raise NotFound("no such file")


def thread_numbers(tx: Connection, viewer: Viewer, slug: str, number: int) -> list[int]:
    """Numbers of all published posts of the thread in which post `number` stands. Raises NotFound."""
    forum = places.forum(tx, viewer, slug)
    return list(tx.execute(_THREAD_NUMBERS, {"thread": number_of(tx, forum, number).thread_id}).scalars())
