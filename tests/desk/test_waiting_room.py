"""A held post that its readers see: what answers it waits with it, what is decided is shown where it waits."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import Accepted, Author, DecisionItem, Held, Proof, Ref, Retract
from server.delivery import items, outbox
from server.desk import change, decide, forums
from server.errors import NotFound, Rejected
from server.moderation import queue
from server.people import identity, subscriptions
from server.store.schema import audit, deliveries, held, memberships, posts
from tests.desk.conftest import ROOM, Table
from tests.desk.test_accept import booked, rows


@pytest.fixture
def room(table: Table) -> Table:
    """A forum with a room and a mailbox, where first posts wait."""
    table.forum()
    table.member("mail")
    table.member("mod", role="moderator", channel="room", mode="none")
    table.do(forums.set_options, "pools", {"first_post": "hold"}, table.now)

    attached(table)
    return table


def attached(table: Table) -> None:
    """The forum has a room."""

    def attach(tx: sa.Connection) -> None:
        address = identity.ensure_room(tx, "room", "!pools", table.now)
        subscriptions.attach_room(tx, forums.get(tx, "pools").id, address, table.now)

    table.do(attach)


def say(table: Table, by: str, name: str, *parents: str, **more: Any) -> Any:
    return table.post(
        by, f"Words of {by}", channel="room", name=name, parents=parents, gather=True, subject=None, **more
    )


def waits(table: Table, by: str, name: str, *parents: str, **more: Any) -> str:
    answer = say(table, by, name, *parents, **more)
    assert isinstance(answer, Held)
    return answer.name


def settled(table: Table) -> None:
    """Bo and Cy have posted before, so that nothing of theirs waits by itself."""
    for by in ("bo", "cy"):
        decide_ = waits(table, by, f"$first-{by}")
        table.do(decide.approve, table.desk, decide_, "command", table.now)
    decisions(table)
    table.now += clock.HOUR


def decisions(table: Table) -> list[tuple[str, DecisionItem]]:
    """(address, item) of every decision that is due, as a courier would hand it over."""

    def work(tx: sa.Connection) -> list[Any]:
        claimed = outbox.claim(tx, ROOM, "me", 100, table.now)
        ready, _dropped = items.check(tx, table.desk, claimed, table.now)
        return items.load(tx, table.desk, ready)[0]

    lots = table.do(work)
    return [(target.address, lot.item) for lot in lots for target in lot.targets if isinstance(lot.item, DecisionItem)]


def numbered(table: Table) -> list[tuple[int, int | None]]:
    """(number, number of the parent) of what is published."""
    parent = posts.alias("parent")
    query = sa.select(posts.c.seq, parent.c.seq).outerjoin(parent, parent.c.id == posts.c.parent_id)
    return [(row[0], row[1]) for row in rows(table, query.where(posts.c.seq.is_not(None)).order_by(posts.c.seq))]


def test_approved_it_is_unmarked_where_it_waits_and_told_elsewhere(room: Table) -> None:
    name = waits(room, "ana", "$1")
    assert booked(room) == []
    room.do(decide.approve, room.desk, name, "command", room.now)
    ((address, item),) = decisions(room)
    assert address == "!pools"
    assert (item.name, item.approved, item.refs) == (name, True, (Ref("room", "$1"),))
    assert {row.channel for row in booked(room)} == {"post"}


def test_refused_it_is_named_once_more_so_that_it_can_be_taken_away(room: Table) -> None:
    name = waits(room, "ana", "$1")
    room.do(decide.reject, room.desk, name, "command", "", room.now)
    ((_address, item),) = decisions(room)
    assert (item.approved, item.refs) == (False, (Ref("room", "$1"),))
    assert rows(room, sa.select(posts.c.subject, posts.c.state)) == [("", "rejected")]
    with pytest.raises(NotFound):
        room.do(decide.approve, room.desk, name, "command", room.now)
    assert decisions(room) == []


def test_the_same_words_said_twice_are_decided_once_and_shown_twice(room: Table) -> None:
    for _again in range(2):
        name = waits(room, "ana", "$1")
        assert waits(room, "ana", "$2") == name
    room.do(decide.reject, room.desk, name, "command", "", room.now)
    ((_address, item),) = decisions(room)
    assert item.refs == (Ref("room", "$1"), Ref("room", "$2"))


def test_what_was_mailed_is_shown_nowhere_else(room: Table) -> None:
    held_ = room.post("eve", "hm", proof=Proof.AUTHENTICATED, subject="x")
    assert isinstance(held_, Held)
    room.do(decide.forget_unconfirmed, room.desk)
    assert rows(room, sa.select(deliveries.c.id).where(deliveries.c.item_kind == "decision")) == []


def test_what_answers_it_waits_with_it_and_is_published_after_it(room: Table) -> None:
    settled(room)
    first = waits(room, "ana", "$1")
    second = waits(room, "bo", "$2", "$1")
    waits(room, "cy", "$3", "$2", "$1")
    assert isinstance(say(room, "cy", "$4"), Accepted)  # which answers nothing
    assert [row.awaits for row in rows(room, sa.select(held.c.awaits).order_by(held.c.post_id))] == [
        queue.MODERATORS,
        queue.PARENT,
        queue.PARENT,
    ]
    room.do(decide.approve, room.desk, first, "command", room.now)
    assert numbered(room)[2:] == [(3, None), (4, None), (5, 4), (6, 5)]
    assert [item.refs[0].name for _address, item in decisions(room)] == ["$1", "$2", "$3"]
    with pytest.raises(NotFound):
        room.do(decide.approve, room.desk, second, "command", room.now)


def test_answers_to_what_is_refused_are_published_for_themselves(room: Table) -> None:
    settled(room)
    first = waits(room, "ana", "$1")
    waits(room, "bo", "$2", "$1")
    waits(room, "cy", "$3", "$2", "$1")
    room.do(decide.reject, room.desk, first, "command", "", room.now)
    assert numbered(room)[2:] == [(3, None), (4, 3)]
    assert [item.approved for _address, item in decisions(room)] == [False, True, True]


def test_an_answer_approved_alone_finds_its_parent_when_that_is_approved(room: Table) -> None:
    settled(room)
    first = waits(room, "ana", "$1")
    room.do(decide.approve, room.desk, waits(room, "bo", "$2", "$1"), "command", room.now)
    assert numbered(room)[2:] == [(3, None)]
    room.do(decide.approve, room.desk, first, "command", room.now)
    assert sorted(numbered(room)[2:]) == [(3, 4), (4, None)]


def test_a_moderators_answer_releases_what_it_answers(room: Table) -> None:
    settled(room)
    waits(room, "ana", "$1")
    waits(room, "bo", "$2", "$1")
    assert isinstance(say(room, "mod", "$3", "$2"), Accepted)
    assert numbered(room)[2:] == [(3, None), (4, 3), (5, 4)]
    actors = rows(room, sa.select(audit.c.actor).where(audit.c.verb == "approve").order_by(audit.c.id.desc()).limit(2))
    assert {actor for (actor,) in actors} == {f"person:{person(room, 'mod')}"}


def test_an_answer_of_somebody_shut_out_meanwhile_is_refused(room: Table) -> None:
    settled(room)
    first = waits(room, "ana", "$1")
    waits(room, "bo", "$2", "$1")
    room.do(
        lambda tx: tx.execute(
            memberships.update().where(memberships.c.person_id == person(room, "bo")).values(state="banned")
        )
    )
    room.do(decide.approve, room.desk, first, "command", room.now)
    assert len(numbered(room)) == 3
    assert [item.approved for _address, item in decisions(room)] == [True, False]


def test_a_line_of_talk_that_waits_holds_nothing_and_is_a_post_of_its_own_later(room: Table) -> None:
    settled(room)
    assert isinstance(say(room, "bo", "$1", chat=True), Accepted)
    line = waits(room, "ana", "$2", chat=True)
    assert isinstance(say(room, "cy", "$3", chat=True), Accepted)
    assert isinstance(say(room, "bo", "$4", "$2"), Accepted)
    room.now += clock.HOUR
    post = room.do(decide.approve, room.desk, line, "command", room.now)
    assert "ana" not in str(rows(room, sa.select(posts.c.author_name).where(posts.c.chat == "lines")))
    assert post == "pools/6"


def test_an_opener_that_waits_holds_its_answers(room: Table) -> None:
    settled(room)
    waits(room, "ana", "$1", chat=True)
    waits(room, "bo", "$2", "$1", chat=True)


def test_names_in_mail_hold_nothing_back(room: Table) -> None:
    settled(room)
    room.member("dan")
    assert isinstance(room.post("eve", "forged", name="<x@x.test>"), Held)
    room.do(forums.set_options, "pools", {"first_post": "post"}, room.now)
    assert isinstance(room.post("dan", "an answer", parents=("<x@x.test>",)), Accepted)


def person(table: Table, name: str) -> int:
    (row,) = rows(table, sa.select(posts.c.person_id).where(posts.c.author_name == name.title()).limit(1)) or [None]
    if row is not None:
        return int(row[0])
    known = table.store.read_now(identity.find, "room", f"{name}@x.test")
    assert known is not None
    return known.person_id


# Changes where it was written -----------------------------------------------------------------------------------------
def retract(table: Table, by: str, target: str, proof: Proof = Proof.HOMESERVER) -> Any:
    author = Author("room", f"{by}@x.test", by.title(), proof)
    return table.do(change.retract, table.desk, Retract("pools", author, Ref("room", target)))


def test_its_author_mends_it_while_it_waits(room: Table) -> None:
    name = waits(room, "ana", "$1")
    with pytest.raises(Rejected):
        room.edit("bo", "$1", "Not mine")
    room.edit("ana", "$1", "Better words")
    room.do(decide.approve, room.desk, name, "command", room.now)
    assert [row.subject for row in rows(room, sa.text("SELECT subject FROM threads"))] == ["Better words"]


def test_its_author_takes_it_back_and_a_moderator_takes_it_away(room: Table) -> None:
    for by, target in (("ana", "$1"), ("mod", "$2")):
        waits(room, "ana", target)
        for other in ("bo", "mail"):
            with pytest.raises(Rejected):
                retract(room, other, target)
        with pytest.raises(Rejected):
            retract(room, by, target, Proof.NONE)
        assert retract(room, by, target) == Accepted()
    assert [row.state for row in rows(room, sa.select(posts.c.state).order_by(posts.c.id))] == ["retracted", "rejected"]
    assert rows(room, sa.select(held.c.name)) == []


def test_a_moderators_retraction_of_anybodys_post_is_in_the_audit_with_its_channel(room: Table) -> None:
    room.do(forums.set_options, "pools", {"first_post": "post"}, room.now)
    room.post("mail", "Sent by mail", name="<m@x.test>")
    author = Author("room", "mod@x.test", "Mod", Proof.HOMESERVER)
    room.do(change.retract, room.desk, Retract("pools", author, Ref("message-id", "<m@x.test>")))
    (row,) = rows(room, sa.select(audit).where(audit.c.verb == "retract"))
    assert (row.actor, row.thing, row.detail) == (f"person:{person(room, 'mod')}", "pools/1", "room")
