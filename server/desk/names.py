"""The rows that threads are made of: names of posts and of ghosts, and the threads. The only writer of refs and threads.

No rules of who stands where: `place` has them, and asks here. `Names` writes each row at once; `desk.many` has the same for many
posts in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from server import subjects
from server.bridge import Ref
from server.desk import posts
from server.people import marks
from server.store.schema import posts as posts_table
from server.store.schema import refs, threads

POST = "post"  # the name space of our own ids: how our own pages name a parent
LOOKUP = 500  # names asked for in one statement: both engines limit the number of parameters

_p, _r, _t = posts_table.c, refs.c, threads.c
_BY_ID: sa.Select[Any] = sa.select(sa.literal(0).label("id"), _p.id.label("post_id"), _p.thread_id).where(
    _p.id == sa.bindparam("post"), _p.forum_id == sa.bindparam("forum"), _p.seq.is_not(None)
)
_BY_NAME: sa.Select[Any] = sa.select(_r.id, _r.post_id, _r.thread_id).where(
    _r.forum_id == sa.bindparam("forum"), _r.space == sa.bindparam("of"), _r.name == sa.bindparam("named")
)
_MANY: sa.Select[Any] = sa.select(_r.id, _r.space, _r.name, _r.post_id, _r.thread_id).where(
    _r.forum_id == sa.bindparam("forum"), _r.name.in_(sa.bindparam("names", expanding=True))
)
_ROOTS: sa.Select[Any] = (
    sa.select(_t.id, _t.root_post_id, _p.parent_ref_id)
    .outerjoin_from(threads, posts_table, _p.id == _t.root_post_id)
    .where(_t.id.in_(sa.bindparam("threads", expanding=True)))
)
_SUBJECTS: sa.Select[Any] = (
    sa.select(_p.subject, _t.subject.label("of_thread"))
    .join_from(posts_table, threads, _t.id == _p.thread_id)
    .where(_p.id == sa.bindparam("post"))
)
_STILL_CALLED: sa.Select[Any] = (
    sa.select(_p.subject)
    .where(_p.thread_id == sa.bindparam("thread"), _p.state == "published", _p.subject != "")
    .order_by(_p.seq)
    .limit(1)
)
_TAKEN_BACK = sa.select(_p.id).where(_p.state != "published")
_ADD = refs.insert().returning(_r.id, _r.post_id, _r.thread_id)
_ARRIVED = (
    refs.update()
    .where(_r.id == sa.bindparam("row"))
    .values(post_id=sa.bindparam("post"), thread_id=sa.bindparam("thread"), part=sa.bindparam("piece"))
)
_NEW_THREAD = threads.insert().returning(_t.id)
_is_newest = _t.last_seq < sa.bindparam("seq")
_PUBLISHED = (
    threads.update()
    .where(_t.id == sa.bindparam("thread"))
    .values(
        posts=_t.posts + sa.bindparam("more"),
        last_seq=sa.case((_is_newest, sa.bindparam("seq")), else_=_t.last_seq),
        last_at=sa.case((_t.last_at < sa.bindparam("now"), sa.bindparam("now")), else_=_t.last_at),
        root_post_id=sa.func.coalesce(_t.root_post_id, sa.bindparam("post", type_=sa.BigInteger())),
        subject=sa.case((_t.root_post_id.is_(None), sa.bindparam("words", type_=sa.String())), else_=_t.subject),
    )
)
_COUNTED = _PUBLISHED.returning(_t.posts)
_REROOTED = (
    threads.update()
    .where(_t.id == sa.bindparam("thread"), _t.root_post_id.in_(sa.bindparam("children", expanding=True)))
    .values(
        root_post_id=sa.bindparam("post", type_=sa.BigInteger()),
        subject=sa.func.coalesce(
            sa.func.nullif(
                sa.select(_p.subject).where(_p.id == sa.bindparam("post", type_=sa.BigInteger())).scalar_subquery(), ""
            ),
            _t.subject,
        ),
    )
)


@dataclass(slots=True)
class Named:
    """A name that is known: its row's id (0 for our own ids), the post that has it (None: a ghost), the thread it belongs to."""

    id: int
    post_id: int | None
    thread_id: int


class Names:
    """The names and threads of one forum, row by row."""

    def __init__(self, tx: Connection, forum_id: int) -> None:
        self.tx, self.forum_id = tx, forum_id

    def settled(self) -> Connection:
        """The connection, with everything written that was said so far."""
        return self.tx

    def row(self, ref: Ref) -> Named | None:
        """What is known of that name."""
        if ref.space == POST:
            found = self.tx.execute(_BY_ID, {"post": own_id(ref), "forum": self.forum_id}).first()
        else:
            found = self.tx.execute(_BY_NAME, {"forum": self.forum_id, "of": ref.space, "named": ref.name}).first()
        return None if found is None else Named(found.id, found.post_id, found.thread_id)

    def add(self, ref: Ref, post_id: int | None, thread_id: int) -> Named:
        """A name that is new: a post's, or (None) a ghost's."""
        values = {"forum_id": self.forum_id, "space": ref.space, "name": ref.name, "part": ref.part}
        made = self.tx.execute(_ADD, values | {"post_id": post_id, "thread_id": thread_id}).one()
        return Named(made.id, made.post_id, made.thread_id)

    def arrived(self, ref: Ref, row: int, post_id: int, thread_id: int) -> None:
        """The ghost of that row is the post's name now."""
        arrived(self.tx, [{"row": row, "post": post_id, "thread": thread_id, "piece": ref.part}])

    def new_thread(self, subject: str) -> int:
        return int(self.tx.execute(_NEW_THREAD, {"forum_id": self.forum_id, "subject": subject}).scalar_one())

    def has_true_root(self, thread_id: int) -> bool:
        """Whether the thread begins with a post that was meant to begin one: nobody else's References move such a thread."""
        return roots(self.tx, [thread_id]).get(thread_id) is True

    def subjects(self, post_id: int) -> tuple[str, str]:
        """The subject of a post that is here, and that of its thread."""
        row = self.settled().execute(_SUBJECTS, {"post": post_id}).one()
        return row.subject, row.of_thread

    def count(self, thread_id: int, post_id: int, seq: int, words: str, now: int, more: int = 1) -> int:
        """One post more in the thread (or, with `more` 0, the place of one); how many that are."""
        facts = {"thread": thread_id, "post": post_id, "seq": seq, "now": now, "words": words, "more": more}
        return int(self.tx.execute(_COUNTED, facts).scalar_one())

    def reroot(self, thread_id: int, post_id: int, children: Sequence[int]) -> None:
        """If the thread began with one of these posts, it begins with `post_id` now, and has its name from it."""
        if children:
            self.tx.execute(_REROOTED, {"thread": thread_id, "post": post_id, "children": list(children)})

    def merge(self, family: int, into: int) -> None:
        """Move everything of `family` into the thread `into`. Addresses of posts do not change: they never name a thread."""
        if family == into:
            return
        old, new = (self.tx.execute(sa.select(threads).where(_t.id == thread)).one() for thread in (family, into))
        self.tx.execute(refs.update().where(_r.thread_id == family).values(thread_id=into))
        posts.move(self.tx, family, into)
        marks.moved(self.tx, family, into)
        first = min((t for t in (old, new) if t.root_post_id is not None), key=lambda t: t.root_post_id, default=new)
        self.tx.execute(
            threads.update()
            .where(_t.id == into)
            .values(
                posts=old.posts + new.posts,
                last_seq=max(old.last_seq, new.last_seq),
                last_at=max(old.last_at, new.last_at),
                root_post_id=first.root_post_id,
                subject=first.subject or new.subject,
            )
        )
        self.tx.execute(threads.update().where(_t.id == family).values(merged_into=into, posts=0, root_post_id=None))


def own_id(name: Ref) -> int:
    """The id that a name of ours (`POST`) stands for; 0 if it is none."""
    return int(name.name) if name.name.isascii() and name.name.isdigit() else 0


def roots(tx: Connection, thread_ids: Iterable[int]) -> dict[int, bool | None]:
    """Of each of these threads whether its first post names no parent, or left its parent's thread on purpose ("New (was: Old)").

    None if it has no post yet.
    """
    found: dict[int, bool | None] = {}
    for row in tx.execute(_ROOTS, {"threads": list(thread_ids)}):
        found[row.id] = None if row.root_post_id is None else row.parent_ref_id is None
    return found


def known(tx: Connection, forum_id: int, names: Sequence[Ref]) -> dict[tuple[str, str], Named]:
    """What is known of these names, by name space and name; of our own ids (`POST`) nothing is."""
    words = list({ref.name for ref in names})
    found: dict[tuple[str, str], Named] = {}
    for start in range(0, len(words), LOOKUP):
        for row in tx.execute(_MANY, {"forum": forum_id, "names": words[start : start + LOOKUP]}):
            found[row.space, row.name] = Named(row.id, row.post_id, row.thread_id)
    return found


def withdrawn(tx: Connection, thread_id: int) -> None:
    """A post of the thread was taken back. If the thread had its name from it, it is called as what is left of it calls it."""
    mine = _t.id == thread_id
    tx.execute(threads.update().where(mine).values(posts=_t.posts - 1))
    called = tx.scalar(_STILL_CALLED, {"thread": thread_id}) or ""
    tx.execute(threads.update().where(mine, _t.root_post_id.in_(_TAKEN_BACK)).values(subject=subjects.bare(called)))


# Many rows at once, for `desk.many` -----------------------------------------------------------------------------------
def add_many(
    tx: Connection, new_threads: Sequence[Mapping[str, Any]] = (), new_refs: Sequence[Mapping[str, Any]] = ()
) -> None:
    """New threads and names, with ids that the caller reserved."""
    if new_threads:
        tx.execute(threads.insert(), [dict(row) for row in new_threads])
    if new_refs:
        tx.execute(refs.insert(), [dict(row) for row in new_refs])


def arrived(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Ghosts came to life: row, post, thread, piece of each."""
    if rows:
        tx.execute(_ARRIVED, [dict(row) for row in rows])


def count_many(tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Posts more in threads: thread, more, and as in `Names.count` the first post, the highest number and the latest time."""
    if rows:
        tx.execute(_PUBLISHED, [dict(row) for row in rows])
