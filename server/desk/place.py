"""Where a post stands: names, threads, parents. The only writer of refs and threads.

Threads come from References with ghosts for what has not arrived (RFC 5322 section 3.6.4, RFC 5256 REFERENCES), families are merged when
they meet and orphans adopted, without cycles and without recursion. Equal subjects never join.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import limits
from server.bridge import Ref
from server.desk import posts
from server.store.schema import posts as posts_table
from server.store.schema import refs, threads

POST = "post"  # the name space of our own ids: how our own pages name a parent
_NEW_SUBJECT = re.compile(r"\((?:was|war|era|ex|fwd from):", re.IGNORECASE)


_p, _r, _t = posts_table.c, refs.c, threads.c
_NAMED = (_r.forum_id == sa.bindparam("forum"), _r.space == sa.bindparam("of"), _r.name == sa.bindparam("named"))
_BY_NAME: sa.Select[Any] = (
    sa.select(_r.post_id, _r.part, _p.person_id, _p.seq, _p.state).join(posts_table, _p.id == _r.post_id).where(*_NAMED)
)
_BY_ID: sa.Select[Any] = sa.select(
    sa.literal(0).label("id"),
    sa.literal(0).label("part"),
    _p.id.label("post_id"),
    _p.thread_id,
    _p.person_id,
    _p.seq,
    _p.state,
).where(_p.id == sa.bindparam("post"), _p.forum_id == sa.bindparam("forum"), _p.seq.is_not(None))
_REF: sa.Select[Any] = sa.select(_r.id, _r.post_id, _r.thread_id).where(*_NAMED)
_ADD = refs.insert().returning(_r.id, _r.post_id, _r.thread_id)
_NEW_THREAD = threads.insert().returning(_t.id)
_PUBLISHED = (
    threads.update()
    .where(_t.id == sa.bindparam("thread"))
    .values(
        posts=_t.posts + 1,
        last_seq=sa.bindparam("seq"),
        last_at=sa.bindparam("now"),
        root_post_id=sa.func.coalesce(_t.root_post_id, sa.bindparam("post", type_=sa.BigInteger())),
        subject=sa.case((_t.root_post_id.is_(None), sa.bindparam("words", type_=sa.String())), else_=_t.subject),
    )
    .returning(_t.posts)
)


@dataclass(frozen=True, slots=True)
class Place:
    """`parent_ref_id` is the nearest named parent, perhaps a ghost; `parent_id` the nearest one that is here.

    `awaited`: own names that were ghosts until now (their refs' ids), so that somebody may be waiting for this post.
    """

    thread_id: int
    parent_id: int | None
    parent_ref_id: int | None
    awaited: Mapping[Ref, int]


def find(tx: Connection, forum_id: int, names: Sequence[Ref]) -> Row[Any] | None:
    """The first of these names that is a numbered post's (not a ghost's): post_id, part, and of the post person_id, seq, state."""
    for name in names:
        if name.space == POST:
            row = tx.execute(_BY_ID, {"post": _number(name), "forum": forum_id}).first()
        else:
            row = tx.execute(_BY_NAME, {"forum": forum_id, "of": name.space, "named": name.name}).first()
        if row is not None:
            return row
    return None


def place(tx: Connection, forum_id: int, own: Sequence[Ref], parents: Sequence[Ref], subject: str) -> Place:
    """Find or make the thread of a post that has these names and parents (nearest first)."""
    parents = [ref for ref in _capped(parents) if ref not in own]
    rows = {ref: _row(tx, forum_id, ref) for ref in parents}
    known = [row for ref in parents if (row := rows[ref]) is not None]
    here = [row for row in known if row.post_id is not None]
    ghosts = {ref: row for ref in own if (row := _row(tx, forum_id, ref)) is not None and row.post_id is None}
    awaited = {ref: int(row.id) for ref, row in ghosts.items()}
    if here and _NEW_SUBJECT.search(subject):
        return Place(_new_thread(tx, forum_id, subject), here[0].post_id, None, awaited)
    families = list(dict.fromkeys(int(row.thread_id) for row in [*known, *ghosts.values()]))
    if not known:  # who names no parent is not drawn into a thread that somebody else's answer stands in
        families = [family for family in families if not _has_true_root(tx, family)]
    thread = families[0] if families else _new_thread(tx, forum_id, subject)
    for family in families[1:]:
        if not _has_true_root(tx, family):
            _merge(tx, family, thread)
        elif not _has_true_root(tx, thread):
            _merge(tx, thread, family)
            thread = family
    named = {ref: rows[ref] or _add(tx, forum_id, ref, None, thread) for ref in parents if ref.space != POST}
    nearest = named[parents[0]].id if parents and parents[0].space != POST else None
    parent = next((row.post_id for row in here if posts.thread_of(tx, row.post_id) == thread), None)
    return Place(thread, parent, nearest, awaited)


def thread_of(tx: Connection, forum_id: int, parents: Sequence[Ref]) -> int | None:
    """The thread of the nearest of these names that is here."""
    for ref in _capped(parents):
        row = _row(tx, forum_id, ref)
        if row is not None and row.post_id is not None:
            return int(row.thread_id)
    return None


def claim(tx: Connection, forum_id: int, stands: Place, post_id: int, own: Sequence[Ref]) -> None:
    """Give a new post its names. Ghosts come to life, and children that came before their parent are its own now."""
    for ref in own:
        if ref not in stands.awaited:
            _add(tx, forum_id, ref, post_id, stands.thread_id)
    if stands.awaited:
        for ref, row in stands.awaited.items():
            values = {"post_id": post_id, "thread_id": stands.thread_id, "part": ref.part}
            tx.execute(refs.update().where(refs.c.id == row).values(**values))
        _adopt(tx, post_id, stands)


def also_named(tx: Connection, forum_id: int, thread_id: int, post_id: int, names: Sequence[Ref]) -> None:
    """More names of a post that is there: another channel's, another part's. A name that is somebody's already stays theirs.

    Who answered by such a name before we learnt it (an answer in a room can be faster than our own note of the event) is adopted.
    """
    awaited: dict[Ref, int] = {}
    for ref in names:
        row = _row(tx, forum_id, ref)
        if row is None:
            _add(tx, forum_id, ref, post_id, thread_id)
        elif row.post_id is None:
            awaited[ref] = row.id
            if row.thread_id != thread_id and not _has_true_root(tx, row.thread_id):
                _merge(tx, row.thread_id, thread_id)
    if awaited:
        claim(tx, forum_id, Place(thread_id, posts.parent_of(tx, post_id), None, awaited), post_id, list(awaited))


def _adopt(tx: Connection, post_id: int, stands: Place) -> None:
    """An ancestor of the post is not adopted, whatever it claims: that would be a cycle that somebody made up."""
    children = posts.children_of_refs(tx, list(stands.awaited.values()), stands.thread_id)
    if not children:
        return
    ancestors = {post_id}
    walk = stands.parent_id
    while walk is not None and walk not in ancestors:
        ancestors.add(walk)
        walk = posts.parent_of(tx, walk)
    posts.set_parent(tx, [child for child in children if child not in ancestors], post_id)


def published(tx: Connection, thread_id: int, post_id: int, seq: int, words: str, now: int) -> int:
    """Count a post that got its number into its thread; how many that has now. `words` name the thread if this is its first post."""
    facts = {"thread": thread_id, "post": post_id, "seq": seq, "now": now, "words": words}
    return int(tx.execute(_PUBLISHED, facts).scalar_one())


def withdrawn(tx: Connection, thread_id: int, post_id: int) -> None:
    """A post of the thread was taken back. If the thread has its name from it, that goes too: it may be its very words."""
    mine = threads.c.id == thread_id
    tx.execute(threads.update().where(mine).values(posts=threads.c.posts - 1))
    tx.execute(threads.update().where(mine, threads.c.root_post_id == post_id).values(subject=""))


def _capped(parents: Sequence[Ref]) -> list[Ref]:
    unique = list(dict.fromkeys(parents))
    if len(unique) > limits.REFERENCES:
        half = limits.REFERENCES // 2
        unique = unique[:half] + unique[-half:]
    return unique


def _row(tx: Connection, forum_id: int, ref: Ref) -> Row[Any] | None:
    if ref.space == POST:
        return tx.execute(_BY_ID, {"post": _number(ref), "forum": forum_id}).first()
    return tx.execute(_REF, {"forum": forum_id, "of": ref.space, "named": ref.name}).first()


def _number(name: Ref) -> int:
    return int(name.name) if name.name.isascii() and name.name.isdigit() else 0


def _add(tx: Connection, forum_id: int, ref: Ref, post_id: int | None, thread_id: int) -> Row[Any]:
    values = {"forum_id": forum_id, "space": ref.space, "name": ref.name, "part": ref.part}
    return tx.execute(_ADD, values | {"post_id": post_id, "thread_id": thread_id}).one()


def _new_thread(tx: Connection, forum_id: int, subject: str) -> int:
    return int(tx.execute(_NEW_THREAD, {"forum_id": forum_id, "subject": subject}).scalar_one())


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
