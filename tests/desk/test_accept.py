"""The desk: who may post, what is a duplicate, what is held, who gets it, and what a change does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import (
    MESSAGE_ID,
    Accepted,
    Act,
    Attachment,
    Author,
    Bounce,
    Doubt,
    Duplicate,
    Held,
    Leave,
    Letter,
    Proof,
    Ref,
    Refusal,
    Retract,
)
from server.delivery import fuse, outbox
from server.desk import change, decide, letters, members
from server.errors import Rejected
from server.people import handles, identity, membership
from server.store.schema import (
    bodies,
    deliveries,
    forums,
    held,
    people,
    posts,
    revisions,
    subscriptions,
    threads,
)
from tests.desk.conftest import POST, Table


def rows(table: Table, statement: sa.Select[Any]) -> list[Any]:
    return table.store.read_now(lambda tx: list(tx.execute(statement)))


def booked(table: Table, kind: str = "post") -> list[Any]:
    return rows(table, sa.select(deliveries).where(deliveries.c.item_kind == kind).order_by(deliveries.c.id))


def test_everybody_but_its_author_gets_it(table: Table) -> None:
    table.forum()
    ana, bo, _cy = (table.member(name) for name in ("ana", "bo", "cy"))
    assert table.post("ana") == Accepted("pools/1", "https://talk.test/f/pools/1")
    assert {row.address_id for row in booked(table)} == {bo.address_id, _cy.address_id}
    assert ana.address_id not in {row.address_id for row in booked(table)}


def test_modes_choose(table: Table) -> None:
    table.forum()
    table.member("ana")
    modes = {mode: table.member(mode, mode=mode) for mode in ("each", "topics", "mentions", "none", "daily")}

    def got(post: int) -> set[str]:
        ids = {row.address_id for row in booked(table) if row.item_id == post}
        return {mode for mode, known in modes.items() if known.address_id in ids}

    table.post("ana", name="<a>")
    assert got(1) == {"each", "topics"}
    table.post("ana", parents=("<a>",))
    assert got(2) == {"each"}
    table.post("mentions", name="<m>", parents=("<a>",))
    table.post("ana", parents=("<m>", "<a>"))
    assert got(4) == {"each", "mentions"}


def test_an_id_that_is_used_again_for_other_words_is_another_post(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.post("ana", "I counted forty.\n", subject="Limpets", name="<one>")
    listed = "I counted forty.\n_______\npools mailing list\n"
    assert table.post("ana", listed, subject="[pools] Limpets", name="<one>") == Duplicate("pools/1")
    assert table.post("ana", "Something else", subject="Re: limpets", name="<one>") == Duplicate("pools/1")
    other = ("ana", "The boat leaves at six.\n")
    assert table.post(*other, subject="Boat", name="<one>").post == "pools/2"
    assert table.post(*other, subject="Boat", name="<one>") == Duplicate("pools/2")


def test_what_was_taken_back_does_not_come_again_by_its_id(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.post("ana", "I counted forty.\n", subject="Limpets", name="<one>")
    author = Author("post", "ana@x.test", "Ana", Proof.SESSION)
    table.do(change.retract, table.desk, Retract("pools", author, Ref(MESSAGE_ID, "<one>")))
    assert table.post("ana", "The boat leaves at six.\n", subject="Boat", name="<one>") == Duplicate("pools/1")


def test_the_same_again_is_a_duplicate_and_a_strangers_same_id_is_not(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.member("mal")
    table.post("ana", name="<one>")
    assert table.post("ana", "other bytes", name="<one>") == Duplicate("pools/1")
    assert table.post("mal", "forged", name="<one>").post == "pools/2"
    assert table.post("mal", "forged", name="<one>") == Duplicate("pools/2")


def test_one_post_in_two_forums_reaches_a_mailbox_once(table: Table) -> None:
    table.forum()
    table.forum("rocks")
    for slug in ("pools", "rocks"):
        table.member("ana", slug)
        table.member("bo", slug)
    table.post("ana", name="<both>")
    table.post("ana", name="<both>", forum="rocks")
    assert len(rows(table, sa.select(posts))) == 2
    assert len(booked(table)) == 1


def test_a_stranger_is_held_once_and_asked_once(table: Table) -> None:
    table.forum()
    assert isinstance(table.post("eve", "hello", name="<h1>"), Held)
    again = table.post("eve", "hello", name="<h2>")
    assert isinstance(again, Held)
    assert isinstance(table.post("eve", "something else"), Held)
    assert len(rows(table, sa.select(held))) == 2
    assert len(booked(table, "notice")) == 1
    assert rows(table, sa.select(posts.c.seq)) == [(None,), (None,)]


def test_a_held_post_keeps_nobody_elses_mail_out(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.post("eve", "forged", name="<ana-will-use-this>")
    assert table.post("ana", "the real one", name="<ana-will-use-this>").post == "pools/1"
    name = rows(table, sa.select(held.c.name))[0].name
    assert table.do(decide.approve, table.desk, name, "command", table.now) == "pools/2"


@pytest.mark.parametrize(
    ("how", "more"),
    [
        ({"join_policy": "invite"}, {}),
        ({"join_policy": "approval"}, {}),
        ({"post_policy": "moderators"}, {}),
        ({}, {"automatic": True}),
    ],
)
def test_refusals_say_why(table: Table, how: dict[str, Any], more: dict[str, Any]) -> None:
    table.forum(**how)
    with pytest.raises(Rejected) as refused:
        table.post("eve", **more)
    assert refused.value.code == "5.7.1"
    assert "Pools" in refused.value.reason
    assert rows(table, sa.select(posts)) == []


def test_a_post_that_is_too_large_is_refused(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    table.do(lambda tx: tx.execute(forums.update().where(forums.c.id == forum).values(max_size=1_000)))
    with pytest.raises(Rejected) as refused:
        table.post("ana", attachments=(Attachment("a.bin", "application/octet-stream", b"x" * 1_001),))
    assert refused.value.code == "5.3.4"


def test_who_is_banned_neither_posts_nor_gets(table: Table) -> None:
    forum = table.forum()
    bo = table.member("bo")
    table.member("ana")
    table.do(membership.set_member, forum, bo.person_id, {"state": "banned"})
    with pytest.raises(Rejected):
        table.post("bo")
    table.post("ana")
    assert booked(table) == []


def test_settle_time_binds_what_cannot_be_taken_back(table: Table) -> None:
    table.forum(settle_ms=120_000)
    table.member("bo")
    table.post("ana", "question?", channel="room", name="$q")
    (mail,) = booked(table)
    assert mail.not_before == table.now + 120_000
    table.now += 1_000
    table.post("cy", "an answer", channel="room", name="$a", parents=("$q",))
    first, second = booked(table)
    assert first.not_before == table.now  # an answer releases what it answers
    assert second.not_before == table.now + 120_000


def test_a_burst_is_one_post_until_somebody_else_speaks(table: Table) -> None:
    table.forum(settle_ms=120_000)
    table.member("bo")
    for n, words in enumerate(("one", "two", "three")):
        table.post("ana", words, channel="room", name=f"$b{n}", gather=True)
    assert len(rows(table, sa.select(posts))) == 1
    assert rows(table, sa.select(bodies.c.text))[0].text.split() == ["one", "two", "three"]
    table.edit("ana", "$b1", "TWO")
    assert rows(table, sa.select(bodies.c.text))[0].text.split() == ["one", "TWO", "three"]
    taken = Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)
    table.do(change.retract, table.desk, Retract("pools", taken, Ref("room", "$b0")))
    assert rows(table, sa.select(bodies.c.text))[0].text.split() == ["TWO", "three"]
    table.post("cy", "hm", channel="room", gather=True)
    table.post("ana", "four", channel="room", gather=True)
    assert len(rows(table, sa.select(posts))) == 3


def test_nothing_is_gathered_where_posts_settle_at_once(table: Table) -> None:
    table.forum(settle_ms=0)
    for n in range(2):
        table.post("ana", "words", channel="room", name=f"${n}", gather=True)
    assert len(rows(table, sa.select(posts))) == 2


def test_an_edit_is_its_authors_or_a_moderators(table: Table) -> None:
    table.forum()
    table.member("mod", role="moderator", channel="room")
    table.post("ana", "helo", channel="room", name="$p")
    with pytest.raises(Rejected):
        table.edit("eve", "$p", "mine now")
    assert isinstance(table.edit("ana", "$p", "hello"), Accepted)
    assert rows(table, sa.select(bodies.c.text))[0].text.strip() == "hello"
    assert rows(table, sa.select(revisions.c.text))[0].text.strip() == "helo"


def test_a_retracted_post_leaves_no_words_and_its_pending_mail_never_leaves(table: Table) -> None:
    table.forum(settle_ms=120_000)
    table.member("bo")
    table.post("ana", "secret", channel="room", name="$p", original=b"secret bytes")
    ana = Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)
    table.do(change.retract, table.desk, Retract("pools", ana, Ref("room", "$p")))
    assert [row.state for row in booked(table)] == ["dropped"]
    with table.store._engine.connect() as tx:
        everything = " ".join(str(line) for line in tx.connection.dbapi_connection.iterdump())  # type: ignore[union-attr]
    assert "secret" not in everything


def test_letters_to_an_author_are_limited_and_only_members(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    bo = table.member("bo")

    def via(tx: sa.Connection) -> str:
        member = membership.of(tx, bo.person_id, forum)
        assert member is not None
        return handles.printed(tx, table.desk.secret, "via", member.id)

    token = table.do(via)

    def write(by: str, proof: Proof = Proof.AUTHENTICATED) -> None:
        letter = Letter("author", Author("post", f"{by}@x.test", "", proof), "pools", token, "Hello", "in private")
        table.do(letters.accept, table.desk, letter)

    with pytest.raises(Rejected):
        write("eve")
    with pytest.raises(Rejected, match="something shows who wrote it"):
        write("ana", Proof.NONE)
    for _ in range(letters.LETTERS_AN_HOUR):
        write("ana")
    with pytest.raises(Rejected, match="many private letters"):
        write("ana")
    table.now += clock.HOUR + 1
    write("ana")
    assert {row.address_id for row in booked(table, "letter")} == {bo.address_id}


def test_mail_for_an_operator_is_kept_until_there_is_one(table: Table) -> None:
    letter = Letter("operator", Author("post", "eve@x.test"), subject="abuse", text="look at this")
    table.do(letters.accept, table.desk, letter)
    assert booked(table, "letter") == []
    assert table.do(letters.bring_kept, table.desk) == 0
    named = replace(table.desk, operator=("post", "op@x.test"))
    assert table.do(letters.bring_kept, named) == 1
    assert table.do(letters.bring_kept, named) == 0
    assert len(booked(table, "letter")) == 1


def test_who_left_and_writes_again_is_asked_again(table: Table) -> None:
    forum = table.forum()
    table.post("eve", "first")
    table.now += 1_000
    eve = table.member("eve")
    table.do(membership.leave, forum, eve.person_id)
    assert isinstance(table.post("eve", "second"), Held)
    assert len(booked(table, "notice")) == 2


def test_a_fuse_holds_the_queue_and_stores_all_the_same(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "FORUM", 5)
    table.forum()
    table.member("ana")
    table.member("bo")
    for _ in range(7):
        assert isinstance(table.post("ana"), Accepted)
    assert table.do(outbox.claim, POST, "me", 100, table.now) == []
    table.do(lambda tx: fuse.release_forum(tx, "pools"))
    assert len(table.do(outbox.claim, POST, "me", 100, table.now)) == 7


def test_a_confirmation_works_once(table: Table) -> None:
    forum = table.forum()
    table.post("eve", "hello")
    eve = rows(table, sa.select(posts.c.address_id))[0].address_id
    data = {"address_id": eve, "template": "confirm-post", "held": rows(table, sa.select(held.c.name))[0].name}
    token = table.do(handles.grant, "confirm", forum, data, table.now, 60_000)
    act = Act("pools", Author("post", "anybody@x.test"), "confirm", token)
    table.do(members.act, table.desk, act)
    assert rows(table, sa.select(posts.c.state)) == [("published",)]
    before = len(rows(table, sa.select(deliveries)))
    assert table.do(members.act, table.desk, act) == Accepted(reply="You are a member of Pools already.")
    assert len(rows(table, sa.select(posts))) == 1
    assert len(rows(table, sa.select(deliveries))) == before + 1  # the mail that says so


def test_one_confirmation_publishes_the_post_that_it_was_asked_of(table: Table) -> None:
    """Another one in the same name may be a forgery: a moderator looks at it."""
    forum = table.forum()
    asked_of = table.post("vic", "Where are limpets?", subject="My question")
    table.post("vic", "Insults.", subject="Forged")
    vic = rows(table, sa.select(posts.c.address_id))[0].address_id
    data = {"address_id": vic, "template": "confirm-post", "held": asked_of.name}
    token = table.do(handles.grant, "confirm", forum, data, table.now, 60_000)
    table.do(members.act, table.desk, Act("pools", Author("post", "vic@x.test"), "confirm", token))
    found = rows(table, sa.select(posts.c.subject, posts.c.state).order_by(posts.c.id))
    assert found == [("My question", "published"), ("Forged", "held")]
    assert rows(table, sa.select(held.c.awaits)) == [("moderators",)]


def test_a_post_that_was_held_and_then_came_surely_is_published_once(table: Table) -> None:
    table.forum()
    table.member("ana")
    waits = table.post("ana", "One and only", name="<1@x.test>", doubt=Doubt.FAILS)
    table.post("ana", "One and only", name="<1@x.test>", proof=Proof.AUTHENTICATED)
    assert table.do(decide.approve, table.desk, waits.name, "command", table.now) == "pools/1"
    assert rows(table, sa.select(posts.c.state, posts.c.seq).order_by(posts.c.id)) == [
        ("rejected", None),
        ("published", 1),
    ]


def test_a_token_of_one_forum_does_nothing_at_another(table: Table) -> None:
    table.forum()
    table.forum("birds")
    table.member("bo")
    mine = rows(table, sa.select(subscriptions.c.id))[0].id
    leave, back = [table.do(handles.printed, table.desk.secret, kind, mine) for kind in ("leave", "bounces")]
    with pytest.raises(Rejected):
        table.do(members.leave, table.desk, Leave("birds", token=leave))
    with pytest.raises(Rejected):
        table.do(members.bounce, table.desk, Bounce("birds", back, Refusal.GONE))
    assert rows(table, sa.select(subscriptions.c.state)) == [("active",)]


def test_who_joined_without_a_name_gets_the_one_on_the_first_post_that_is_surely_theirs(table: Table) -> None:
    table.forum()
    ana = table.member("ana")
    table.do(lambda tx: tx.execute(people.update().values(name="")))

    def name() -> str:
        return table.do(lambda tx: identity.person(tx, ana.person_id)).name

    table.post("ana")  # a claim
    assert name() == ""
    table.post("ana", proof=Proof.AUTHENTICATED)
    assert name() == "Ana"


def test_a_thread_whose_first_post_was_taken_back_is_called_as_its_answers_call_it(table: Table) -> None:
    table.forum()
    for name in ("ana", "bo"):
        table.member(name)
    table.post("ana", subject="Low tide", name="<1@x.test>")
    table.post("bo", subject="Re: Low tide", name="<2@x.test>", parents=["<1@x.test>"])
    ana = Author("post", "ana@x.test", "Ana", Proof.SESSION)
    table.do(change.retract, table.desk, Retract("pools", ana, Ref(MESSAGE_ID, "<1@x.test>")))
    assert rows(table, sa.select(threads.c.subject))[0].subject == "Low tide"
    bo = Author("post", "bo@x.test", "Bo", Proof.SESSION)
    table.do(change.retract, table.desk, Retract("pools", bo, Ref(MESSAGE_ID, "<2@x.test>")))
    assert rows(table, sa.select(threads.c.subject))[0].subject == ""


def test_two_held_messages_under_one_id_are_two_posts(table: Table) -> None:
    """There are programs that give all their mails one id."""
    table.forum()
    table.member("ana")
    held_ones = [
        table.post("ana", words, subject=words, name="<same@x.test>", doubt=Doubt.FAILS)
        for words in ("Limpets", "Kelp")
    ]
    where = [table.do(decide.approve, table.desk, each.name, "command", table.now) for each in held_ones]
    assert where == ["pools/1", "pools/2"]
    assert [row.state for row in rows(table, sa.select(posts.c.state))] == ["published", "published"]
