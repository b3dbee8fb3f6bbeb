"""The names and threads of a forum for many posts in one transaction: `names.Names`, read beforehand and written together.

The rules of `place` are the same for one post and for many. Only what is rare (families that merge, orphans that are adopted) is done
row by row, after all that waits was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Connection, Table

from server.bridge import Ref
from server.desk import names, posts
from server.desk.names import POST, Named, Names
from server.store.ids import reserve
from server.store.schema import posts as posts_table
from server.store.schema import refs, threads

BLOCK = 256  # ids reserved at once


class ManyNames(Names):
    """As `Names`. `ahead` are names that will be asked for; what they are is read at once."""

    def __init__(self, tx: Connection, forum_id: int, ahead: Iterable[Ref]) -> None:
        super().__init__(tx, forum_id)
        self.posts = posts.Buffer()
        asked = [ref for ref in ahead if ref.space != POST]
        self._asked = {(ref.space, ref.name) for ref in asked}
        self._rows = names.known(tx, forum_id, asked)
        self._roots = names.roots(tx, {row.thread_id for row in self._rows.values()})
        self._ids = {table: _ids(tx, table) for table in (refs, threads, posts_table)}
        self._new_threads: list[dict[str, Any]] = []
        self._new_refs: list[dict[str, Any]] = []
        self._arrived: list[dict[str, Any]] = []
        self._counts: dict[int, dict[str, Any]] = {}

    def post_id(self) -> int:
        """The id of the next post."""
        return next(self._ids[posts_table])

    def settled(self) -> Connection:
        names.add_many(self.tx, new_threads=self._new_threads)
        self.posts.flush(self.tx)
        names.add_many(self.tx, new_refs=self._new_refs)
        names.arrived(self.tx, self._arrived)
        names.count_many(self.tx, list(self._counts.values()))
        for waiting in (self._new_threads, self._new_refs, self._arrived, self._counts):
            waiting.clear()
        return self.tx

    def row(self, ref: Ref) -> Named | None:
        key = (ref.space, ref.name)
        if key not in self._asked:
            self.settled()
            return super().row(ref)
        return self._rows.get(key)

    def add(self, ref: Ref, post_id: int | None, thread_id: int) -> Named:
        made = Named(next(self._ids[refs]), post_id, thread_id)
        values = {"id": made.id, "forum_id": self.forum_id, "space": ref.space, "name": ref.name, "part": ref.part}
        self._new_refs.append(values | {"post_id": post_id, "thread_id": thread_id})
        self._rows[ref.space, ref.name] = made
        self._asked.add((ref.space, ref.name))
        return made

    def arrived(self, ref: Ref, row: int, post_id: int, thread_id: int) -> None:
        self._arrived.append({"row": row, "post": post_id, "thread": thread_id, "piece": ref.part})
        self._rows[ref.space, ref.name] = Named(row, post_id, thread_id)

    def new_thread(self, subject: str) -> int:
        thread_id = next(self._ids[threads])
        self._new_threads.append({"id": thread_id, "forum_id": self.forum_id, "subject": subject})
        self._roots[thread_id] = None
        return thread_id

    def has_true_root(self, thread_id: int) -> bool:
        return self._root(thread_id) is True

    def _root(self, thread_id: int) -> bool | None:
        if thread_id not in self._roots:
            self._roots |= names.roots(self.settled(), [thread_id])
        return self._roots[thread_id]

    def begins(self, thread_id: int, with_parent: bool) -> None:
        """A post stands in the thread now; if it is the first one, whether it names a parent decides what the thread is."""
        if self._root(thread_id) is None:
            self._roots[thread_id] = not with_parent

    def count(self, thread_id: int, post_id: int, seq: int, words: str, now: int, more: int = 1) -> int:
        counted = self._counts.setdefault(
            thread_id, {"thread": thread_id, "post": post_id, "words": words, "more": 0, "seq": 0, "now": 0}
        )
        counted["more"] += more
        counted["seq"], counted["now"] = max(counted["seq"], seq), max(counted["now"], now)
        return 0

    def reroot(self, thread_id: int, post_id: int, children: Iterable[int]) -> None:
        super().reroot(thread_id, post_id, list(children))
        self._roots.pop(thread_id, None)

    def merge(self, family: int, into: int) -> None:
        self.settled()
        super().merge(family, into)
        for row in self._rows.values():
            if row.thread_id == family:
                row.thread_id = into
        for thread_id in (family, into):
            self._roots.pop(thread_id, None)


def _ids(tx: Connection, table: Table) -> Iterator[int]:
    block: list[int] = []
    while True:
        block = reserve(tx, table, BLOCK, block[-1] if block else 0)
        yield from block
