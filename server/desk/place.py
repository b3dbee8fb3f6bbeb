"""Where a post stands: names, threads, parents. The only writer of refs and threads.

Threads come from References with ghosts for what has not arrived (RFC 5322 section 3.6.4, RFC 5256 REFERENCES), families are merged when
they meet and orphans adopted, without cycles and without recursion. Equal subjects never join.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import limits
from server.bridge import Ref
from server.desk import posts
from server.store.schema import posts as posts_table
from server.store.schema import refs, threads
from server.store.upsert import insert_id

POST = "post"  # the name space of our own ids: how our own pages name a parent
_NEW_SUBJECT = re.compile(r"\((?:was|war|era|ex|fwd from):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """`parent_ref_id` is the nearest named parent, perhaps a ghost; `parent_id` the nearest one that is here."""

    thread_id: int
    parent_id: int | None
    parent_ref_id: int | None


def find(tx: Connection, forum_id: int, names: Sequence[Ref]) -> Row[Any] | None:
    """The first of these names that is a numbered post's (not a ghost's): post_id, part, and of the post person_id, seq, state."""
    p = posts_table.c
    for name in names:
        if name.space == POST:
            own = (p.id == _number(name), p.forum_id == forum_id, p.seq.is_not(None))
            query = sa.select(p.id.label("post_id"), sa.literal(0).label("part"), p.person_id, p.seq, p.state).where(
                *own
            )
        else:
            query = (
                sa.select(refs.c.post_id, refs.c.part, p.person_id, p.seq, p.state)
                .join(posts_table, p.id == refs.c.post_id)
                .where(refs.c.forum_id == forum_id, refs.c.space == name.space, refs.c.name == name.name)
            )
        row = tx.execute(query).first()
        if row is not None:
            return row
    return None


def _number(name: Ref) -> int:
    return int(name.name) if name.name.isascii() and name.name.isdigit() else 0


def place(tx: Connection, forum_id: int, own: Sequence[Ref], parents: Sequence[Ref], subject: str) -> Place:
    """Find or make the thread of a post that has these names and parents (nearest first)."""
    parents = [ref for ref in _capped(parents) if ref not in own]
    rows = {ref: _row(tx, forum_id, ref) for ref in parents}
    known = [row for ref in parents if (row := rows[ref]) is not None]
    here = [row for row in known if row.post_id is not None]
    awaited = [row for ref in own if (row := _row(tx, forum_id, ref)) is not None and row.post_id is None]
    if here and _NEW_SUBJECT.search(subject):
        return Place(_new_thread(tx, forum_id, subject), here[0].post_id, None)
    families = list(dict.fromkeys(_thread_of(tx, row) for row in [*known, *awaited]))
    thread = families[0] if families else _new_thread(tx, forum_id, subject)
    for family in families[1:]:
        if not _has_true_root(tx, family):
            _merge(tx, family, thread)
        elif not _has_true_root(tx, thread):
            _merge(tx, thread, family)
            thread = family
    ghosts = {ref: rows[ref] or _add(tx, forum_id, ref, None, thread) for ref in parents if ref.space != POST}
    nearest = ghosts[parents[0]].id if parents and parents[0].space != POST else None
    parent = next((row.post_id for row in here if posts.thread_of(tx, row.post_id) == thread), None)
    return Place(thread, parent, nearest)


def thread_of(tx: Connection, forum_id: int, parents: Sequence[Ref]) -> int | None:
    """The thread of the nearest of these names that is here."""
    for ref in _capped(parents):
        row = _row(tx, forum_id, ref)
        if row is not None and row.post_id is not None:
            return int(row.thread_id)
    return None


def claim(tx: Connection, forum_id: int, thread_id: int, post_id: int, own: Sequence[Ref]) -> list[int]:
    """Give the post its names; ghosts come to life. Returns the ids of the refs."""
    ids = []
    for ref in own:
        row = _row(tx, forum_id, ref)
        if row is None:
            ids.append(_add(tx, forum_id, ref, post_id, thread_id).id)
        elif row.post_id is None:
            tx.execute(
                refs.update().where(refs.c.id == row.id).values(post_id=post_id, thread_id=thread_id, part=ref.part)
            )
            ids.append(row.id)
    return ids


def adopt(tx: Connection, post_id: int, parent_id: int | None, thread_id: int, ref_ids: Sequence[int]) -> None:
    """Children that came before their parent are its own now, but for an ancestor of it (a cycle that somebody made up)."""
    children = posts.children_of_refs(tx, ref_ids, thread_id)
    if not children:
        return
    ancestors = {post_id}
    walk = parent_id
    while walk is not None and walk not in ancestors:
        ancestors.add(walk)
        walk = posts.parent_of(tx, walk)
    posts.set_parent(tx, [child for child in children if child not in ancestors], post_id)


def published(tx: Connection, thread_id: int, post_id: int, seq: int, subject: str, now: int) -> None:
    """Count a post that got its number into its thread."""
    thread = tx.execute(sa.select(threads).where(threads.c.id == thread_id)).one()
    values: dict[str, object] = {"posts": threads.c.posts + 1, "last_seq": seq, "last_at": now}
    if thread.root_post_id is None:
        values |= {"root_post_id": post_id, "subject": subject}
    tx.execute(threads.update().where(threads.c.id == thread_id).values(**values))


def withdrawn(tx: Connection, thread_id: int) -> None:
    """A post of the thread was taken back."""
    tx.execute(threads.update().where(threads.c.id == thread_id).values(posts=threads.c.posts - 1))


def names_of(tx: Connection, post_id: int) -> list[Ref]:
    """The names of a post, by part."""
    rows = tx.execute(sa.select(refs).where(refs.c.post_id == post_id).order_by(refs.c.part, refs.c.id))
    return [Ref(row.space, row.name, row.part) for row in rows]


def _capped(parents: Sequence[Ref]) -> list[Ref]:
    unique = list(dict.fromkeys(parents))
    if len(unique) > limits.REFERENCES:
        half = limits.REFERENCES // 2
        unique = unique[:half] + unique[-half:]
    return unique


def _row(tx: Connection, forum_id: int, ref: Ref) -> Row[Any] | None:
    if ref.space == POST:
        p = posts_table.c
        own: sa.Select[Any] = sa.select(sa.literal(0).label("id"), p.id.label("post_id"), p.thread_id)
        return tx.execute(own.where(p.id == _number(ref), p.forum_id == forum_id, p.seq.is_not(None))).first()
    r = refs.c
    named: sa.Select[Any] = sa.select(r.id, r.post_id, r.thread_id)
    return tx.execute(named.where(r.forum_id == forum_id, r.space == ref.space, r.name == ref.name)).first()


def _add(tx: Connection, forum_id: int, ref: Ref, post_id: int | None, thread_id: int) -> Row[Any]:
    return tx.execute(
        refs.insert()
        .values(forum_id=forum_id, space=ref.space, name=ref.name, part=ref.part, post_id=post_id, thread_id=thread_id)
        .returning(refs.c.id, refs.c.post_id, refs.c.thread_id)
    ).one()


def _new_thread(tx: Connection, forum_id: int, subject: str) -> int:
    return insert_id(tx, threads, forum_id=forum_id, subject=subject)


def _thread_of(tx: Connection, row: Row[Any]) -> int:
    """The thread of a name; merges moved every row already, so that one look is enough."""
    assert row.thread_id is not None
    return int(row.thread_id)


def _has_true_root(tx: Connection, thread_id: int) -> bool:
    """Whether the thread begins with a post that names no parent: a stranger's References cannot drag such a thread elsewhere."""
    root = tx.scalar(sa.select(threads.c.root_post_id).where(threads.c.id == thread_id))
    return root is not None and posts.is_root(tx, root)


def _merge(tx: Connection, family: int, into: int) -> None:
    """Move everything of `family` into the thread `into`. Addresses of posts do not change: they never name a thread."""
    if family == into:
        return
    old, new = (tx.execute(sa.select(threads).where(threads.c.id == thread)).one() for thread in (family, into))
    tx.execute(refs.update().where(refs.c.thread_id == family).values(thread_id=into))
    posts.move(tx, family, into)
    first = min((t for t in (old, new) if t.root_post_id is not None), key=lambda t: t.root_post_id, default=new)
    tx.execute(
        threads.update()
        .where(threads.c.id == into)
        .values(
            posts=old.posts + new.posts,
            last_seq=max(old.last_seq, new.last_seq),
            last_at=max(old.last_at, new.last_at),
            root_post_id=first.root_post_id,
            subject=first.subject or new.subject,
        )
    )
    tx.execute(threads.update().where(threads.c.id == family).values(merged_into=into, posts=0, root_post_id=None))
