"""What a reader wants of a thread: muted means nothing of it, followed means all of it; and who is content with the author's own mail."""

from __future__ import annotations

import sqlalchemy as sa

from server.bridge import MESSAGE_ID, Author, Held, NewPost, Proof, Ref
from server.delivery import items, outbox
from server.desk import accept, book, decide
from server.desk.prepare import prepare
from server.people import identity, marks, membership, subscriptions
from server.store.schema import posts, thread_marks
from tests.desk.conftest import POST, Table
from tests.desk.test_accept import booked, rows


def thread_of(table: Table, seq: int) -> int:
    return int(rows(table, sa.select(posts.c.thread_id).where(posts.c.seq == seq))[0].thread_id)


def put(table: Table, person: int, seq: int, mark: str) -> None:
    table.do(marks.put, person, thread_of(table, seq), mark, table.now)


def receivers(table: Table, seq: int) -> set[int]:
    query = sa.select(posts.c.id).where(posts.c.seq == seq)
    (post,) = rows(table, query)
    return {row.address_id for row in booked(table) if row.item_id == post.id and row.state == "due"}


def test_muted_means_nothing_not_even_an_answer_to_oneself(table: Table) -> None:
    table.forum()
    table.member("ana")
    bo, cy = table.member("bo"), table.member("cy", mode="mentions")
    table.post("ana", name="<a>")
    table.post("cy", name="<c>", parents=("<a>",))
    for who in (bo, cy):
        put(table, who.person_id, 1, marks.MUTED)
    table.post("ana", name="<b>", parents=("<c>", "<a>"))
    assert receivers(table, 3) == set()
    table.post("ana", name="<other>")
    assert receivers(table, 4) == {bo.address_id}


def test_muting_is_undone(table: Table) -> None:
    table.forum()
    table.member("ana")
    bo = table.member("bo")
    table.post("ana", name="<a>")
    put(table, bo.person_id, 1, marks.MUTED)
    table.do(marks.take_off, bo.person_id, thread_of(table, 1), marks.FOLLOWED)
    assert table.do(marks.of, bo.person_id, thread_of(table, 1)) == marks.MUTED
    table.do(marks.take_off, bo.person_id, thread_of(table, 1), marks.MUTED)
    table.post("ana", parents=("<a>",))
    assert receivers(table, 2) == {bo.address_id}


def test_a_followed_thread_comes_in_modes_that_leave_threads_out(table: Table) -> None:
    table.forum()
    table.member("ana")
    who = {mode: table.member(mode, mode=mode) for mode in ("topics", "mentions", "daily", "none")}
    table.post("ana", name="<a>")
    for known in who.values():
        put(table, known.person_id, 1, marks.FOLLOWED)
    table.post("ana", parents=("<a>",))
    assert receivers(table, 2) == {who["topics"].address_id, who["mentions"].address_id}


def test_a_room_hears_threads_that_somebody_muted(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    bo = table.member("bo")
    table.post("ana", name="<a>")
    put(table, bo.person_id, 1, marks.MUTED)

    def attach(tx: sa.Connection) -> None:
        subscriptions.attach_room(tx, forum, identity.ensure_room(tx, "room", "!pools", table.now), table.now)

    table.do(attach)
    table.post("ana", parents=("<a>",))
    assert [row.channel for row in booked(table) if row.item_id == 2] == ["room"]


def test_what_waits_when_its_thread_is_muted_does_not_leave(table: Table) -> None:
    table.forum()
    table.member("ana")
    bo, cy = table.member("bo"), table.member("cy")
    table.post("ana", name="<a>")
    put(table, bo.person_id, 1, marks.MUTED)
    claimed = table.do(outbox.claim, POST, "me", 10, table.now)
    ready, dropped = table.do(items.check, table.desk, claimed, table.now)
    assert dropped == {row.id: "thread muted" for row in booked(table) if row.address_id == bo.address_id}
    assert [row.address for each in ready for row in each.rows] == ["cy@x.test"]
    (lot,), _gone = table.store.read_now(items.load, table.desk, ready)
    assert set(lot.targets[0].tokens) == {"leave", "bounces", "mute"}
    assert cy.address_id in {row.address_id for row in booked(table)}


def test_marks_go_along_when_threads_meet_and_the_later_one_counts(table: Table) -> None:
    table.forum()
    people = [table.member(name) for name in ("ana", "bo", "cy", "di")]
    table.post("ana", name="<a>", parents=("<ghost>",))
    table.post("ana", name="<b>", parents=("<other>",))
    one, two = thread_of(table, 1), thread_of(table, 2)
    assert one != two
    _ana, bo, cy, di = (known.person_id for known in people)
    table.do(marks.put, bo, one, marks.MUTED, 10)
    table.do(marks.put, bo, two, marks.FOLLOWED, 20)
    table.do(marks.put, cy, one, marks.FOLLOWED, 30)
    table.do(marks.put, cy, two, marks.MUTED, 20)
    table.do(marks.put, di, two, marks.MUTED, 5)
    table.post("ana", name="<c>", parents=("<b>", "<a>"))
    assert thread_of(table, 1) == thread_of(table, 2)
    found = {(row.person_id, row.mark) for row in rows(table, sa.select(thread_marks))}
    assert found == {(bo, marks.FOLLOWED), (cy, marks.FOLLOWED), (di, marks.MUTED)}
    assert {row.thread_id for row in rows(table, sa.select(thread_marks))} == {thread_of(table, 1)}


def test_who_is_named_in_to_or_cc_gets_one_copy_by_their_choice(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    bo, cy = table.member("bo"), table.member("cy")
    at = table.store.read_now(lambda tx: subscriptions.at(tx, forum, bo.address_id))
    assert at is not None
    table.do(subscriptions.change, at.id, {"addressed": "direct"})
    table.post("ana", addressed=("pools@x.test", "bo@x.test", "cy@x.test"))
    assert receivers(table, 1) == {cy.address_id}
    table.post("ana", "to the forum alone", addressed=("pools@x.test",))
    assert receivers(table, 2) == {bo.address_id, cy.address_id}


def test_the_choice_holds_for_a_post_that_waited_and_for_slices(table: Table) -> None:
    forum = table.forum()
    ana, bo = table.member("ana"), table.member("bo")
    at = table.store.read_now(lambda tx: subscriptions.at(tx, forum, bo.address_id))
    assert at is not None
    table.do(subscriptions.change, at.id, {"addressed": "direct"})
    table.do(membership.set_member, forum, ana.person_id, {"may_post": False})
    by = Author("post", "ana@x.test", "Ana", Proof.NONE)
    new = NewPost("pools", by, (Ref(MESSAGE_ID, "<a>"),), text="words", addressed=("bo@x.test",))
    answer = table.do(accept.new_post, table.desk, prepare(new, table.blobs))
    assert isinstance(answer, Held)
    table.do(decide.approve, table.desk, answer.name, "command", table.now)
    assert receivers(table, 1) == set()
    row = rows(table, sa.select(posts))[0]
    table.do(outbox.book_post, book.RECEIVERS, book.facts(table.desk, row, 0, table.now))
    assert receivers(table, 1) == set()
