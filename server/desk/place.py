"""Where a post stands: threads and parents. Rules only; the rows are `names`' to read and write.

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

from server import limits, subjects
from server.bridge import Ref
from server.desk import posts
from server.desk.names import POST, Names, own_id
from server.store.schema import posts as posts_table
from server.store.schema import refs

NEW_SUBJECT = re.compile(r"\((?:was|war|era|ex|fwd from):", re.IGNORECASE)


_p, _r = posts_table.c, refs.c
_BY_NAME: sa.Select[Any] = (
    sa.select(_r.post_id, _r.part, _p.person_id, _p.seq, _p.state)
    .join(posts_table, _p.id == _r.post_id)
    .where(_r.forum_id == sa.bindparam("forum"), _r.space == sa.bindparam("of"), _r.name == sa.bindparam("named"))
)
_BY_ID: sa.Select[Any] = sa.select(
    _p.id.label("post_id"), sa.literal(0).label("part"), _p.person_id, _p.seq, _p.state
).where(_p.id == sa.bindparam("post"), _p.forum_id == sa.bindparam("forum"), _p.seq.is_not(None))


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
            row = tx.execute(_BY_ID, {"post": own_id(name), "forum": forum_id}).first()
        else:
            row = tx.execute(_BY_NAME, {"forum": forum_id, "of": name.space, "named": name.name}).first()
        if row is not None:
            return row
    return None


def place(names: Names, own: Sequence[Ref], parents: Sequence[Ref], subject: str) -> Place:
    """Find or make the thread of a post that has these names and parents (nearest first)."""
    parents = [ref for ref in capped(parents) if ref not in own]
    rows = {ref: names.row(ref) for ref in parents}
    known = [row for ref in parents if (row := rows[ref]) is not None]
    here = [row.post_id for row in known if row.post_id is not None]
    ghosts = {ref: row for ref in own if (row := names.row(ref)) is not None and row.post_id is None}
    awaited = {ref: row.id for ref, row in ghosts.items()}
    if here and _begins_anew(names, subject, here[0]):
        return Place(names.new_thread(subject), here[0], None, awaited)
    families = list(dict.fromkeys(row.thread_id for row in [*known, *ghosts.values()]))
    if not known:  # who names no parent is not drawn into a thread that somebody else's answer stands in
        families = [family for family in families if not names.has_true_root(family)]
    thread = families[0] if families else names.new_thread(subject)
    for family in families[1:]:
        if not names.has_true_root(family):
            names.merge(family, thread)
        elif not names.has_true_root(thread):
            names.merge(thread, family)
            thread = family
    if len(families) > 1:
        rows = {ref: names.row(ref) for ref in parents}
    named = {ref: rows[ref] or names.add(ref, None, thread) for ref in parents if ref.space != POST}
    nearest = named[parents[0]].id if parents and parents[0].space != POST else None
    standing = (row for ref in parents if (row := rows[ref]) is not None)
    parent = next((row.post_id for row in standing if row.post_id is not None and row.thread_id == thread), None)
    return Place(thread, parent, nearest, awaited)


def _begins_anew(names: Names, subject: str, answered: int) -> bool:
    """Whether the subject says that this is a new topic ("New (was: Old)"). Those who answer it say the same and go on with it."""
    return bool(NEW_SUBJECT.search(subject)) and _bare(subject) not in map(_bare, names.subjects(answered))


def _bare(subject: str) -> str:
    """The subject without what answers put before it."""
    return subjects.bare(subject).casefold()


def standing(stands: Place, seq: int, now: int) -> dict[str, Any]:
    """The columns of a post that say where it stands, published as number `seq`."""
    return {
        "state": "published",
        "seq": seq,
        "thread_id": stands.thread_id,
        "parent_id": stands.parent_id,
        "parent_ref_id": stands.parent_ref_id,
        "published_at": now,
    }


def thread_of(names: Names, parents: Sequence[Ref]) -> int | None:
    """The thread of the nearest of these names that is here."""
    for ref in capped(parents):
        row = names.row(ref)
        if row is not None and row.post_id is not None:
            return row.thread_id
    return None


def claim(names: Names, stands: Place, post_id: int, own: Sequence[Ref]) -> None:
    """Give a new post its names. Ghosts come to life, and children that came before their parent are its own now."""
    for ref in own:
        if ref not in stands.awaited:
            names.add(ref, post_id, stands.thread_id)
    if stands.awaited:
        for ref, row in stands.awaited.items():
            names.arrived(ref, row, post_id, stands.thread_id)
        _adopt(names, post_id, stands)


def also_named(names: Names, thread_id: int, post_id: int, more: Sequence[Ref]) -> None:
    """More names of a post that is there: another channel's, another part's. A name that is somebody's already stays theirs.

    Who answered by such a name before we learnt it (an answer in a room can be faster than our own note of the event) is adopted.
    """
    awaited: dict[Ref, int] = {}
    for ref in more:
        row = names.row(ref)
        if row is None:
            names.add(ref, post_id, thread_id)
        elif row.post_id is None:
            awaited[ref] = row.id
            if row.thread_id != thread_id and not names.has_true_root(row.thread_id):
                names.merge(row.thread_id, thread_id)
    if awaited:
        claim(names, Place(thread_id, posts.parent_of(names.tx, post_id), None, awaited), post_id, list(awaited))


def _adopt(names: Names, post_id: int, stands: Place) -> None:
    """An ancestor of the post is not adopted, whatever it claims: that would be a cycle that somebody made up."""
    tx = names.settled()
    children = posts.children_of_refs(tx, list(stands.awaited.values()), stands.thread_id)
    if not children:
        return
    ancestors = {post_id}
    top, walk = post_id, stands.parent_id
    while walk is not None and walk not in ancestors:
        ancestors.add(walk)
        top, walk = walk, posts.parent_of(tx, walk)
    adopted = [child for child in children if child not in ancestors]
    posts.set_parent(tx, adopted, post_id)
    names.reroot(stands.thread_id, top, adopted)


def capped(parents: Sequence[Ref]) -> list[Ref]:
    """The names once each, and of very many the first and the last ones."""
    unique = list(dict.fromkeys(parents))
    if len(unique) > limits.REFERENCES:
        half = limits.REFERENCES // 2
        unique = unique[:half] + unique[-half:]
    return unique
