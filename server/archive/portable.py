"""A stored post in the port's words, as bridges compose it (raw, mbox, ways to answer). Read-only; asks nobody who may see it."""

from __future__ import annotations

from typing import Any

import zstandard
from sqlalchemy import Connection, Row, Select, bindparam, literal, select

from server import bridge, limits
from server.archive import posts as archive_posts
from server.desk import forums as desk_forums
from server.errors import NotFound
from server.store.schema import bodies, originals, people, posts, refs, threads

ANCESTORS = 50
"""Message-IDs of a References field at most, beside the root's."""

_POST: Select[Any] = (
    select(
        posts,
        people.c.key,
        people.c.name.label("person_name"),
        bodies.c.text,
        bodies.c.html,
        bodies.c.fresh_text,
        bodies.c.fresh_html,
        threads.c.subject.label("thread_subject"),
    )
    .outerjoin_from(posts, people, people.c.id == posts.c.person_id)
    .outerjoin(bodies, bodies.c.post_id == posts.c.id)
    .outerjoin(threads, threads.c.id == posts.c.thread_id)
    .where(posts.c.id == bindparam("post"))
)
_above = (
    select(posts.c.id, posts.c.parent_id, posts.c.message_id, literal(1).label("up"))
    .where(posts.c.id == bindparam("parent"), posts.c.thread_id == bindparam("thread"))
    .cte("above", recursive=True)
)
_child = posts.alias("next")
_above = _above.union_all(
    select(_child.c.id, _child.c.parent_id, _child.c.message_id, _above.c.up + 1)
    .join_from(_above, _child, _child.c.id == _above.c.parent_id)
    .where(_above.c.up < ANCESTORS, _child.c.thread_id == bindparam("thread"))
)
_ANCESTORS: Select[Any] = select(_above.c.id, _above.c.message_id).order_by(_above.c.up.desc())
_ROOT: Select[Any] = (
    select(posts.c.id, posts.c.message_id)
    .where(posts.c.thread_id == bindparam("thread"), posts.c.seq.is_not(None))
    .order_by(posts.c.seq)
    .limit(1)
)
_REFS: Select[Any] = (
    select(refs.c.post_id, refs.c.space, refs.c.name, refs.c.part)
    .where(refs.c.post_id.in_(bindparam("posts", expanding=True)))
    .order_by(refs.c.part, refs.c.id)
)
_ORIGINAL: Select[Any] = (
    select(originals.c.bytes)
    .where(originals.c.post_id == bindparam("post"), originals.c.channel == bindparam("channel"))
    .order_by(originals.c.part)
    .limit(1)
)


def port_post(tx: Connection, post_id: int, channel: str, base_url: str) -> bridge.Post:
    """The post for the bridge of that channel, with names of every name space; received bytes only if it was born there.

    A post from elsewhere has its thread's subject, for what is generated of it stays in its thread that way. Raises NotFound.
    """
    row = tx.execute(_POST, {"post": post_id}).first()
    if row is None:
        raise NotFound("no such post")
    forum = desk_forums.view(desk_forums.by_id(tx, row.forum_id), base_url)
    root = tx.execute(_ROOT, {"thread": row.thread_id}).first() or row
    names: dict[int | None, list[bridge.Ref]] = {post_id: [], root.id: []}
    if row.parent_id is not None:
        names[row.parent_id] = []
    for ref in tx.execute(_REFS, {"posts": list(names)}):
        names[ref.post_id].append(bridge.Ref(ref.space, ref.name, ref.part))
    original = received(tx, post_id, channel) if row.channel == channel else None
    return bridge.Post(
        id=row.id,
        forum=forum,
        number=row.seq or 0,
        url=f"{forum.url}/{row.seq}",
        message_id=row.message_id,
        channel=row.channel,
        writer=bridge.Writer(row.key or "", row.author_name or row.person_name or ""),
        subject=row.subject if row.channel == channel else row.thread_subject or row.subject,
        text=row.text or "",
        html=row.html or "",
        fresh_text=row.fresh_text or "",
        fresh_html=row.fresh_html or "",
        files=tuple(archive_posts.stored_files(tx, [post_id], base_url).get(post_id, ())),
        written_at=archive_posts.written(row),
        revision=row.revision,
        opens_thread=root.id == row.id,
        references=_references(tx, row, root),
        refs=tuple(names[post_id]),
        parent_refs=tuple(names.get(row.parent_id, ())),
        root_refs=tuple(names[root.id]),
        original=original,
    )


def received(tx: Connection, post_id: int, channel: str) -> bytes | None:
    """The bytes as they came by that channel, None if there are none."""
    packed = tx.execute(_ORIGINAL, {"post": post_id, "channel": channel}).scalar()
    return None if packed is None else zstandard.decompress(packed, max_output_size=2 * limits.MESSAGE_BYTES)


def _references(tx: Connection, row: Row[Any], root: Row[Any]) -> tuple[str, ...]:
    """Message-IDs from the root to the parent (RFC 5322 section 3.6.4), of a long line the root and the nearest ones.

    Who answers what is not here yet is put under the root, for a mail program knows no other way to show it in its thread; who left
    the thread of the parent on purpose ("New (was: Old)") begins one there too.
    """
    if root.id == row.id:
        return ()
    above = tx.execute(_ANCESTORS, {"parent": row.parent_id, "thread": row.thread_id}).all()
    ids = [post.message_id for post in above]
    if len(above) in (0, ANCESTORS) and root.message_id not in ids:
        ids.insert(0, root.message_id)
    return tuple(dict.fromkeys(ids))
