"""What is done to somebody in a room: by who looks after the forum it counts there, by others in the room alone."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import Accepted, Author, Discipline, Held, Join, Proof
from server.desk import discipline, forums, members, rooms
from server.errors import Rejected
from server.people import identity, subscriptions
from server.store.schema import addresses, audit, bans, letters, memberships
from tests.desk.conftest import Table
from tests.desk.test_accept import rows
from tests.desk.test_answers import Notices
from tests.desk.test_waiting_room import attached, say


@pytest.fixture
def room(table: Table) -> Table:
    table.forum()
    for name in ("ana", "bo"):
        author = Author("room", f"{name}@x.test", name.title(), Proof.HOMESERVER)
        table.do(members.join, table.desk, Join("pools", author))
    table.member("mod", role="moderator", channel="room", mode="none")
    table.member("boss", role="owner")
    attached(table)
    return table


def does(table: Table, verb: str, whom: str = "ana", by: str = "mod", **more: Any) -> Any:
    author = Author("room", f"{by}@x.test", by.title(), more.get("proof", Proof.HOMESERVER))
    act = Discipline("pools", author, f"{whom}@x.test", verb, more.get("reason", ""))
    return table.do(discipline.discipline, table.desk, act)


def stands(table: Table, name: str = "ana") -> Any:
    """(state, may_post) of the membership."""
    query = sa.select(memberships.c.state, memberships.c.may_post).join(
        addresses, addresses.c.person_id == memberships.c.person_id
    )
    return tuple(rows(table, query.where(addresses.c.address == f"{name}@x.test"))[0])


def linked(table: Table, name: str) -> None:
    """The person of the room has posts sent to a mailbox too."""

    def work(tx: sa.Connection) -> None:
        known = identity.find(tx, "room", f"{name}@x.test")
        assert known is not None
        row = {"channel": "post", "address": f"{name}@mail.test", "person_id": known.person_id, "created_at": 0}
        address_id = tx.execute(addresses.insert().values(**row).returning(addresses.c.id)).scalar_one()
        subscriptions.subscribe(tx, forums.get(tx, "pools").id, address_id, known.person_id, table.now)

    table.do(work)


def told(table: Table) -> int:
    return len(rows(table, sa.select(letters.c.id).where(letters.c.template == "room-act")))


def test_a_ban_in_the_room_is_a_ban_from_the_forum_until_it_is_lifted_there(room: Table) -> None:
    linked(room, "ana")
    does(room, "ban", reason="Enough.")
    assert stands(room)[0] == "banned"
    assert {row.value for row in rows(room, sa.select(bans.c.value))} == {"ana@x.test", "ana@mail.test"}
    with pytest.raises(Rejected):
        say(room, "ana", "$1")
    state = room.do(rooms.state, room.desk, 1, "room")
    assert "ana@x.test" in state.banned
    does(room, "unban")
    assert stands(room)[0] == "left"
    assert rows(room, sa.select(bans.c.value)) == []


def test_somebody_whom_nobody_knows_is_banned_before_they_come(room: Table) -> None:
    does(room, "ban", whom="stranger")
    joins = Join("pools", Author("room", "stranger@x.test", "S", Proof.HOMESERVER))
    with pytest.raises(Rejected):
        room.do(members.join, room.desk, joins)
    does(room, "unban", whom="stranger")
    assert isinstance(room.do(members.join, room.desk, joins), Accepted)


def test_put_out_is_no_member_and_may_come_again(room: Table) -> None:
    does(room, "kick", reason="Calm down.")
    assert stands(room) == ("left", True)
    (row,) = rows(room, sa.select(audit).where(audit.c.verb == "kick"))
    assert row.detail == "room Calm down."
    room.do(members.join, room.desk, Join("pools", Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)))
    assert stands(room) == ("active", True)


def test_the_silenced_wait_for_a_moderator_wherever_they_write(room: Table) -> None:
    does(room, "mute")
    assert stands(room) == ("active", False)
    assert isinstance(say(room, "ana", "$1"), Held)
    assert room.do(rooms.state, room.desk, 1, "room").muted == ("ana@x.test",)
    does(room, "unmute")
    assert isinstance(say(room, "ana", "$2"), Accepted)


@pytest.mark.parametrize("verb", ["ban", "kick", "mute"])
def test_who_looks_after_the_forum_is_spared(room: Table, verb: str) -> None:
    room.member("two", role="moderator", channel="room", mode="none")
    with pytest.raises(Rejected, match="look"):
        does(room, verb, whom="two")
    assert stands(room, "two") == ("active", True)


def test_who_asks_to_be_let_in_is_let_in_or_turned_away_in_the_room(room: Table) -> None:
    room.do(forums.set_options, "pools", {"join": "approval"}, room.now)
    for name, verb, state in (("kim", "admit", "active"), ("li", "kick", "left")):
        author = Author("room", f"{name}@x.test", name.title(), Proof.HOMESERVER)
        assert isinstance(room.do(members.join, room.desk, Join("pools", author)), Held)
        does(room, verb, whom=name, by="bo")  # whom nobody asked
        assert stands(room, name)[0] == "pending"
        does(room, verb, whom=name)
        assert stands(room, name)[0] == state


# By somebody else -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", ["ban", "kick"])
def test_an_act_of_somebody_else_ends_what_is_of_the_room_alone(room: Table, verb: str) -> None:
    linked(room, "bo")
    for whom in ("ana", "bo", "mod"):
        does(room, verb, whom=whom, by="admin", reason="Spam.")
    assert stands(room, "ana")[0] == "left"
    assert stands(room, "bo") == ("active", True)
    assert stands(room, "mod") == ("active", True)
    assert rows(room, sa.select(bans.c.id)) == []
    first, *_more = [notice for address, notice in Notices(room).new() if address == "boss@x.test"]
    assert first.subject.startswith("In the room of Pools: Admin (admin@x.test)")
    assert "Ana (ana@x.test)" in first.text
    assert "Spam." in first.text


def test_what_machines_and_forgers_do_counts_as_somebody_elses(room: Table) -> None:
    does(room, "ban", proof=Proof.NONE)
    assert stands(room)[0] == "left"
    assert rows(room, sa.select(bans.c.id)) == []


def test_others_cannot_lift_what_the_forum_decided_nor_silence_anybody_there(room: Table) -> None:
    does(room, "ban")
    does(room, "unban", by="admin")
    assert stands(room)[0] == "banned"
    does(room, "mute", whom="bo", by="admin")
    assert stands(room, "bo") == ("active", True)


def test_moderators_are_not_written_to_without_end(room: Table) -> None:
    for _again in range(discipline.TOLD_AN_HOUR + 5):
        does(room, "mute", by="admin")
    assert told(room) <= discipline.TOLD_AN_HOUR + 1
    room.now += clock.HOUR + 1
    does(room, "mute", by="admin")
    assert told(room) > discipline.TOLD_AN_HOUR


def test_nobody_disciplines_themselves(room: Table) -> None:
    does(room, "kick", whom="mod")
    assert stands(room, "mod") == ("active", True)
    with pytest.raises(Rejected):
        does(room, "dance")
