"""Threads: whatever the order of arrival, the same tree; no cycle, no recursion, and no stranger moves another's thread."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from server.bridge import MESSAGE_ID, Ref
from server.desk import forums, place, posts
from server.desk.names import Names
from server.store.schema import metadata, threads
from server.store.schema import posts as posts_table


class Board:
    """A forum in memory, with just what placing needs."""

    def __init__(self, tx: Connection) -> None:
        self.tx = tx
        forums.create_community(tx, "shore", "Shore", 1)
        self.forum = forums.create_forum(tx, "pools", "shore", title="Pools", mail_domain="x.test", now=1)
        self.rows = Names(tx, self.forum)
        self.names: dict[int, str] = {}

    def post(self, name: str, *references: str, subject: str = "s") -> int:
        """A post that names its References from the root to the parent, as mail does."""
        own = [Ref(MESSAGE_ID, f"<{name}>")]
        parents = [Ref(MESSAGE_ID, f"<{each}>") for each in reversed(references)]
        post_id = posts.add(self.tx, forum_id=self.forum, channel="web", message_id=f"<{name}>", subject=subject)
        stands = place.place(self.rows, own, parents, subject)
        seq, _modseq = forums.next_number(self.tx, self.forum)
        posts.update(
            self.tx,
            post_id,
            seq=seq,
            thread_id=stands.thread_id,
            parent_id=stands.parent_id,
            parent_ref_id=stands.parent_ref_id,
        )
        place.claim(self.rows, stands, post_id, own)
        self.rows.count(stands.thread_id, post_id, seq, subject, 1)
        self.names[post_id] = name
        return post_id

    def tree(self) -> dict[str, str | None]:
        rows = self.tx.execute(sa.select(posts_table.c.id, posts_table.c.parent_id))
        return {self.names[row.id]: self.names.get(row.parent_id) for row in rows}

    def families(self) -> set[frozenset[str]]:
        rows = self.tx.execute(sa.select(posts_table.c.id, posts_table.c.thread_id)).all()
        together: dict[int, set[str]] = {}
        for row in rows:
            together.setdefault(row.thread_id, set()).add(self.names[row.id])
        return {frozenset(names) for names in together.values()}


@pytest.fixture
def board() -> Iterator[Board]:
    engine = sa.create_engine("sqlite://")
    with engine.begin() as tx:
        metadata.create_all(tx)
        yield Board(tx)


def fresh() -> Board:
    tx = sa.create_engine("sqlite://").connect()
    metadata.create_all(tx)
    return Board(tx)


def test_a_reply_stands_under_what_it_answers(board: Board) -> None:
    board.post("a")
    board.post("b", "a")
    board.post("c", "a", "b")
    assert board.tree() == {"a": None, "b": "a", "c": "b"}
    assert board.families() == {frozenset("abc")}


def test_equal_subjects_never_join(board: Board) -> None:
    board.post("a", subject="Hello")
    board.post("b", subject="Re: Hello")
    assert board.families() == {frozenset("a"), frozenset("b")}


@pytest.mark.parametrize("order", list(itertools.permutations(["a", "b", "c", "d"])))
def test_every_order_of_arrival_gives_the_same_tree(board: Board, order: tuple[str, ...]) -> None:
    chains: dict[str, tuple[str, ...]] = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("a", "b")}
    for name in order:
        board.post(name, *chains[name])
    assert board.tree() == {"a": None, "b": "a", "c": "b", "d": "b"}
    assert board.families() == {frozenset("abcd")}


def test_siblings_of_a_parent_that_never_came_are_one_thread(board: Board) -> None:
    board.post("b", "ghost")
    board.post("c", "ghost")
    assert board.families() == {frozenset("bc")}


def test_two_families_that_meet_are_merged(board: Board) -> None:
    board.post("a")
    board.post("c", "b")  # only In-Reply-To: nobody knows yet that b answers a
    assert len(board.families()) == 2
    board.post("d", "a", "b", "c")
    assert board.families() == {frozenset("acd")}
    merged = board.tx.execute(sa.select(threads).where(threads.c.merged_into.is_not(None))).all()
    assert len(merged) == 1
    kept = board.tx.execute(sa.select(threads).where(threads.c.merged_into.is_(None))).one()
    assert kept.posts == 3


def test_a_strangers_references_do_not_drag_threads_together(board: Board) -> None:
    board.post("a")
    board.post("b")
    board.post("evil", "a", "b")
    assert frozenset("a") in board.families() or frozenset("b") in board.families()


def test_a_new_topic_is_not_drawn_where_somebody_awaited_it(board: Board) -> None:
    board.post("old")
    board.post("evil", "old", "anas-next")
    board.post("anas-next")
    assert frozenset({"anas-next"}) in board.families()


def test_a_made_up_cycle_is_cut(board: Board) -> None:
    board.post("a", "b")
    board.post("b", "a")
    tree = board.tree()
    assert tree["a"] is None or tree["b"] is None
    board.post("self", "self")
    assert board.tree()["self"] is None


def test_a_new_subject_that_names_the_old_one_is_a_thread_of_its_own(board: Board) -> None:
    board.post("a", subject="Tides")
    board.post("b", "a", subject="Weeds (was: Tides)")
    assert board.families() == {frozenset("a"), frozenset("b")}
    assert board.tree()["b"] == "a"


def test_an_answer_that_was_faster_than_our_own_note_of_the_name_is_adopted(board: Board) -> None:
    first = board.post("a")
    board.post("b", "event")
    assert board.families() == {frozenset("a"), frozenset("b")}
    thread = board.tx.scalar(sa.select(posts_table.c.thread_id).where(posts_table.c.id == first))
    place.also_named(board.rows, thread, first, [Ref(MESSAGE_ID, "<event>")])
    assert board.families() == {frozenset("ab")}
    assert board.tree()["b"] == "a"


def test_very_many_references_are_capped(board: Board) -> None:
    board.post("a")
    board.post("b", "a", *(f"g{i}" for i in range(5_000)))
    assert board.families() == {frozenset("ab")}


def test_a_deep_thread_needs_no_recursion(board: Board) -> None:
    for n in range(600, 0, -1):
        board.post(str(n), *([str(n - 1)] if n > 1 else []))
    assert board.tree()["600"] == "599"
    assert len(board.families()) == 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_no_cycle_whatever_is_claimed(seed: int) -> None:
    chance, board = random.Random(seed), fresh()
    names = [str(n) for n in range(12)]
    chance.shuffle(names)
    for name in names:
        board.post(name, *chance.sample(names, chance.randint(0, 4)))
    tree = board.tree()
    for start in tree:
        walked, at = set(), tree[start]
        while at is not None:
            assert at not in walked
            walked.add(at)
            at = tree[at]
    parted = {row.thread_id: row.n for row in board.tx.execute(_counts())}
    shown = {row.id: row.posts for row in board.tx.execute(sa.select(threads).where(threads.c.posts > 0))}
    assert parted == shown
    board.tx.close()


def _counts() -> sa.Select[tuple[int, int]]:
    return sa.select(posts_table.c.thread_id, sa.func.count().label("n")).group_by(posts_table.c.thread_id)


def test_who_answers_in_a_thread_that_began_anew_stays_in_it(board: Board) -> None:
    board.post("a", subject="Tides")
    board.post("b", "a", subject="Weeds (was: Tides)")
    board.post("c", "a", "b", subject="Re: Weeds (was: Tides)")
    assert board.families() == {frozenset("a"), frozenset("bc")}
    board.post("d", "a", "b", "c", subject="Kelp (was: Weeds)")
    assert board.families() == {frozenset("a"), frozenset("bc"), frozenset("d")}


def test_a_thread_whose_beginning_comes_late_begins_with_it(board: Board) -> None:
    board.post("b", "a", subject="Re: Tides")
    first = board.post("a", subject="Tides")
    thread = board.tx.execute(sa.select(threads).where(threads.c.merged_into.is_(None))).one()
    assert (thread.root_post_id, thread.subject, thread.posts) == (first, "Tides", 2)
