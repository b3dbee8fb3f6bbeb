"""Two addresses become one person: only when the address that was named says yes, and never around what a moderator decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import MESSAGE_ID, Act, Author, MemberItem, Proof, Ref, Request, Retract
from server.delivery import items, outbox
from server.desk import change, commands, forums, linking, rooms
from server.desk import members as members_desk
from server.errors import Rejected
from server.moderation import audit, bans
from server.people import handles, identity, marks, membership, subscriptions
from server.store.schema import addresses, deliveries, letters, memberships, people, posts
from tests.desk.conftest import POST, ROOM, Table
from tests.desk.test_accept import booked, rows

ANA, BRUNO = "ana@x.test", "@bruno@x.test"


@pytest.fixture
def shore(table: Table) -> Table:
    """Ana by mail and Bruno in the room: in truth one and the same."""
    table.forum()
    claims = {
        "post": lambda address: None if address.startswith("@") or "@" not in address else address,
        "room": lambda address: address if address.startswith("@") else None,
    }
    table.desk = replace(table.desk, claims=claims)
    table.member("ana")
    table.do(
        lambda tx: membership.join(
            tx, 1, identity.ensure(tx, "room", BRUNO, "Bruno", table.now).person_id, None, table.now
        )
    )
    return table


def ask(table: Table, *words: str, channel: str = "room", by: str = BRUNO) -> Any:
    author = Author(channel, by, "", Proof.HOMESERVER if channel == "room" else Proof.AUTHENTICATED)
    return table.do(commands.run, table.desk, Request("pools", author, (words,), (), Ref(channel, f"$ask{words}")))


def lots(table: Table, traits: Any = POST) -> list[Any]:
    ready, _dropped = table.do(items.check, table.desk, table.do(outbox.claim, traits, "me", 100, table.now), table.now)
    return table.do(items.load, table.desk, ready)[0]


def question(table: Table, traits: Any = POST) -> Any:
    return next(lot for lot in lots(table, traits) if lot.item.reply and lot.item.reply[0] == "confirm")


def answer(table: Table, token: str, *words: str, channel: str = "post", by: str = ANA) -> Any:
    return table.do(members_desk.act, table.desk, Act("pools", Author(channel, by), "confirm", token, words=words))


def person(table: Table, channel: str, address: str) -> int:
    known = table.do(identity.find, channel, address)
    assert known is not None
    return known.person_id


def test_a_yes_of_the_mailbox_makes_both_one(shore: Table) -> None:
    ask(shore, "link", ANA)
    asked = question(shore)
    assert [target.address for target in asked.targets] == [ANA]
    assert BRUNO in asked.item.text
    assert "called Bruno" in asked.item.text
    assert ANA in asked.item.text
    answer(shore, asked.item.reply[1], "Yes.")
    assert person(shore, "post", ANA) == person(shore, "room", BRUNO)
    assert [row.detail for row in rows(shore, sa.text("SELECT * FROM audit WHERE verb = 'link'"))] == ["person:2"]
    told = rows(shore, sa.select(letters).where(letters.c.template == "linked"))
    assert len(told) == 2


def test_a_mailbox_may_name_a_user_of_the_room_who_answers_there(shore: Table) -> None:
    ask(shore, "link", BRUNO, channel="post", by=ANA)
    meant = question(shore)  # a signed mail may have been handed on by anybody
    assert [target.address for target in meant.targets] == [ANA]
    answer(shore, meant.item.reply[1], "yes")
    asked = question(shore, ROOM)
    assert [target.address for target in asked.targets] == [BRUNO]
    assert ANA in asked.item.text
    answer(shore, asked.item.reply[1], channel="room", by=BRUNO)
    assert person(shore, "post", ANA) == person(shore, "room", BRUNO) == 1  # who has a mailbox stays


@pytest.mark.parametrize("words", [(), ("I", "am", "on", "holiday"), ("no",)])
def test_a_machine_that_answers_mail_links_nobody(shore: Table, words: tuple[str, ...]) -> None:
    ask(shore, "link", ANA)
    token = question(shore).item.reply[1]
    with pytest.raises(Rejected, match="the one word yes"):
        answer(shore, token, *words)
    assert person(shore, "post", ANA) != person(shore, "room", BRUNO)
    answer(shore, token, "yes")  # the token is not used up by that
    assert person(shore, "post", ANA) == person(shore, "room", BRUNO)


def test_another_address_cannot_say_yes(shore: Table) -> None:
    ask(shore, "link", ANA)
    token = question(shore).item.reply[1]
    for channel, by in (("post", "eve@x.test"), ("room", BRUNO)):
        with pytest.raises(Rejected, match="from the address that was asked"):
            answer(shore, token, "yes", channel=channel, by=by)


def test_a_question_is_answered_once(shore: Table) -> None:
    ask(shore, "link", ANA)
    token = question(shore).item.reply[1]
    answer(shore, token, "yes")
    assert "answered this before" in answer(shore, token, "yes").reply
    assert len(rows(shore, sa.text("SELECT * FROM audit WHERE verb = 'link'"))) == 1


def test_an_address_is_asked_once_a_day_and_few_are_asked_by_one_person(shore: Table) -> None:
    for _ in range(2):
        ask(shore, "link", "carla@x.test")
    for number in range(9):
        ask(shore, "link", f"p{number}@x.test")
    asked = rows(shore, sa.select(letters).where(letters.c.template == "confirm-link"))
    assert len(asked) == linking.ASKED_A_DAY - 1


@pytest.mark.parametrize("who", [ANA, BRUNO])
def test_a_ban_is_not_escaped(shore: Table, who: str) -> None:
    shore.forum("kelp")
    ask(shore, "link", ANA)
    token = question(shore).item.reply[1]
    shore.do(lambda tx: bans.add(tx, 2, bans.ADDRESS, who, "", "command", shore.now))
    with pytest.raises(Rejected, match="banned"):
        answer(shore, token, "yes")
    ask(shore, "link", "other@x.test")
    others = rows(shore, sa.select(addresses).where(addresses.c.address == "other@x.test"))
    assert len(others) == (who == ANA)  # who is banned asks nobody


def test_who_may_not_write_does_not_write_as_somebody_else(shore: Table) -> None:
    bruno = person(shore, "room", BRUNO)
    shore.do(lambda tx: membership.set_member(tx, 1, bruno, {"may_post": False}))
    ask(shore, "link", ANA)
    answer(shore, question(shore).item.reply[1], "yes")
    (mine,) = rows(shore, sa.select(memberships).where(memberships.c.state == "active"))
    assert (mine.person_id, mine.may_post) == (1, False)


def test_all_that_was_theirs_is_the_one_persons(shore: Table) -> None:
    bruno = person(shore, "room", BRUNO)
    shore.post("ana", name="<1@x.test>")
    shore.do(lambda tx: tx.execute(posts.update().values(person_id=bruno)))
    shore.do(lambda tx: membership.set_member(tx, 1, bruno, {"role": "moderator"}))
    shore.do(lambda tx: marks.put(tx, bruno, 1, marks.MUTED, shore.now))
    via = shore.do(handles.printed, shore.desk.secret, "via", 2)
    ask(shore, "link", ANA)
    answer(shore, question(shore).item.reply[1], "yes")
    assert [row.person_id for row in rows(shore, sa.select(posts))] == [1]
    (mine,) = rows(shore, sa.select(memberships).where(memberships.c.state == "active"))
    assert (mine.person_id, mine.role) == (1, "moderator")
    assert shore.do(marks.of, 1, 1) == marks.MUTED
    assert shore.do(identity.of_key, rows(shore, sa.select(people.c.key).where(people.c.id == bruno))[0].key) == 1
    author = Author("room", BRUNO, "", Proof.HOMESERVER)
    shore.do(change.retract, shore.desk, Retract("pools", author, Ref(MESSAGE_ID, "<1@x.test>")))
    assert [row.state for row in rows(shore, sa.select(posts))] == ["retracted"]
    assert via


def test_what_the_one_writes_in_the_room_is_not_mailed_to_the_other(shore: Table) -> None:
    ask(shore, "link", ANA)
    answer(shore, question(shore).item.reply[1], "yes")
    shore.do(lambda tx: tx.execute(deliveries.delete()))
    author = Author("room", BRUNO, "Bruno", Proof.HOMESERVER)
    shore.post("bruno", channel="room", name="$one")  # somebody else of that name
    before = len(booked(shore))
    from server.bridge import NewPost
    from server.desk import accept
    from server.desk.prepare import prepare

    new = NewPost("pools", author, (Ref("room", "$two"),), text="mine")
    shore.do(accept.new_post, shore.desk, prepare(new, shore.blobs))
    assert len(booked(shore)) == before


def test_the_words_of_the_answer_say_what_is_wrong(shore: Table) -> None:
    for words, expected in ((("link", ""), "such as"), (("link", BRUNO), "yours already")):
        ask(shore, *words)
        last = rows(shore, sa.select(letters).order_by(letters.c.id.desc()))[0]
        assert expected in last.data
    assert shore.do(audit.count, "person:2", linking.ASKED, 1, 0) == 0
    assert shore.do(subscriptions.of_person, 1, 1) is not None


# What rooms are told of members ------------------------------------------------------------------------------------------
def with_room(table: Table) -> None:
    """A room of the forum, where Ana's post went to."""
    table.do(rooms.attach, table.desk, "room", "pools", "!pools", False)
    table.post("ana", name="<1@x.test>")
    table.do(outbox.claim, ROOM, "me", 100, table.now)


def members(table: Table) -> list[MemberItem]:
    return [lot.item for lot in lots(table, ROOM) if isinstance(lot.item, MemberItem)]


def test_a_room_is_told_of_a_new_name_and_of_who_left(shore: Table) -> None:
    with_room(shore)
    ana = Author("post", ANA, "", Proof.AUTHENTICATED)
    shore.do(commands.run, shore.desk, Request("pools", ana, (("name", "Ana F"),), (), Ref("post", "$n")))
    (renamed,) = members(shore)
    assert (renamed.writer.name, renamed.here) == ("Ana F", True)

    def leaves(tx: Any) -> None:
        membership.leave(tx, 1, 1)
        forums.changed(tx, 1, "member", 1, shore.now)

    shore.do(leaves)
    (gone,) = members(shore)
    assert (gone.writer.name, gone.here) == ("A former member", False)
    assert gone.writer.key == renamed.writer.key


def test_a_room_is_told_nothing_of_who_never_wrote(shore: Table) -> None:
    with_room(shore)
    ask(shore, "name", "Bruno C")
    assert members(shore) == []


def test_the_ghost_of_who_became_another_goes(shore: Table) -> None:
    shore.member("carla")
    with_room(shore)
    shore.post("carla", name="<2@x.test>")
    shore.do(outbox.claim, ROOM, "me", 100, shore.now)
    carla = person(shore, "post", "carla@x.test")
    shore.do(linking.merge, shore.desk, carla, 1, "command")
    assert {(item.writer.name, item.here) for item in members(shore)} == {("Ana", True)}


@pytest.mark.parametrize("name", ["PayPal: pay at http://evil.test/now", "evil.test", "x" * 60])
def test_a_name_that_advertises_is_not_sent_to_whom_was_named(shore: Table, name: str) -> None:
    shore.do(lambda tx: tx.execute(people.update().values(name=name)))
    ask(shore, "link", ANA)
    assert name not in question(shore).item.text
