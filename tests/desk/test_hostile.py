"""What somebody tried who wants to lose a post, speak as another, or keep words that were taken back. Each was possible once."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import Act, Attachment, Author, Duplicate, Edit, Held, Letter, NewPost, Proof, Ref, Retract, Sent
from server.delivery import items, outbox
from server.desk import accept, change, decide, letters, members, tidy
from server.desk.prepare import prepare
from server.errors import Rejected
from server.people import handles, identity, membership, subscriptions
from server.store.schema import attachments, bodies, forums, held, originals, people, posts, threads
from tests.desk.conftest import POST, ROOM, Table
from tests.desk.test_accept import booked, rows


def confirm(table: Table, template: str, address_id: int, forum: int = 1, **more: Any) -> Any:
    data = {"address_id": address_id, "template": template} | more
    token = table.do(handles.grant, "confirm", forum, data, table.now, 60_000)
    return table.do(members.act, table.desk, Act("pools", Author("post", "anybody@x.test"), "confirm", token))


def test_a_content_name_cannot_be_taken_beforehand(table: Table) -> None:
    table.forum()
    for name in ("ana", "bo", "cy"):
        table.member(name)
    answers = [table.post(name, "+1", name="<shared-by-a-broken-client>") for name in ("ana", "bo", "cy")]
    assert [answer.post for answer in answers] == ["pools/1", "pools/2", "pools/3"]


def test_a_form_that_was_sent_with_other_words_is_not_swallowed(table: Table) -> None:
    table.forum()
    ana = table.member("ana")

    def write(words: str) -> Any:
        by = Author("web", str(ana.person_id), "Ana", Proof.SESSION)
        return table.do(
            accept.new_post, table.desk, prepare(NewPost("pools", by, (Ref("form", "f"),), text=words), table.blobs)
        )

    assert write("one").post == "pools/1"
    assert write("one") == Duplicate("pools/1")
    with pytest.raises(Rejected, match="other words"):
        write("two")


def test_a_moderated_member_does_not_free_themselves(table: Table) -> None:
    forum = table.forum()
    ana = table.member("ana")
    table.do(membership.set_member, forum, ana.person_id, {"may_post": False})
    assert isinstance(table.post("ana"), Held)
    confirm(table, "confirm-join", ana.address_id)
    table.do(membership.leave, forum, ana.person_id)
    assert isinstance(table.post("ana", "again"), Held)
    confirm(table, "confirm-post", ana.address_id)
    assert rows(table, sa.select(posts.c.state).distinct()) == [("held",)]


def test_joining_publishes_nothing_that_the_question_did_not_name(table: Table) -> None:
    table.forum()
    table.post("vic", "forged in her name")
    vic = rows(table, sa.select(posts.c.address_id))[0].address_id
    confirm(table, "confirm-join", vic)
    assert rows(table, sa.select(posts.c.state)) == [("held",)]


def test_nobody_names_a_stranger(table: Table) -> None:
    table.forum()
    table.do(members.act, table.desk, Act("pools", Author("post", "vic@x.test", "Idiot"), "help"))
    table.post("vic")
    assert [row.name for row in rows(table, sa.select(people.c.name))] == [""]
    vic = rows(table, sa.select(posts.c.address_id))[0].address_id
    confirm(table, "confirm-post", vic, held=rows(table, sa.select(held.c.name))[0].name)
    assert [row.name for row in rows(table, sa.select(people.c.name))] == ["Vic"]


@pytest.mark.parametrize("change_", [{"state": "closed"}, {"join_policy": "invite"}])
def test_an_old_confirmation_does_not_outlive_the_rules(table: Table, change_: dict[str, str]) -> None:
    forum = table.forum()
    table.post("eve")
    eve = rows(table, sa.select(posts.c.address_id))[0].address_id
    table.do(lambda tx: tx.execute(forums.update().where(forums.c.id == forum).values(**change_)))
    with pytest.raises(Rejected):
        confirm(table, "confirm-post", eve)
    assert rows(table, sa.select(posts.c.state)) == [("held",)]


def test_a_rejected_post_is_kept_by_nobody(table: Table) -> None:
    table.forum()
    table.post("eve", "secret", original=b"secret bytes")
    name = rows(table, sa.select(held.c.name))[0].name
    table.do(decide.reject, table.desk, name, "command", "off topic", table.now)
    assert rows(table, sa.select(bodies.c.text)) == [("",)]
    assert rows(table, sa.select(originals)) == []


def test_a_threads_name_goes_with_the_words_it_was_made_of(table: Table) -> None:
    table.forum()
    table.post("ana", "these very words", channel="room", name="$p", subject=None)
    assert rows(table, sa.select(threads.c.subject)) == [("these very words",)]
    ana = Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)
    table.do(change.retract, table.desk, Retract("pools", ana, Ref("room", "$p")))
    assert rows(table, sa.select(threads.c.subject)) == [("",)]


def test_a_picture_of_a_burst_goes_with_its_message_and_no_other(table: Table) -> None:
    table.forum(settle_ms=120_000)
    picture = Attachment("p.png", "image/png", b"png")
    table.post("ana", "look", channel="room", name="$words", gather=True)
    table.post("ana", "", channel="room", name="$picture", gather=True, attachments=(picture,))
    ana = Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)
    table.do(change.retract, table.desk, Retract("pools", ana, Ref("room", "$words")))
    assert len(rows(table, sa.select(attachments))) == 1
    assert rows(table, sa.select(posts.c.state)) == [("published",)]
    table.do(change.retract, table.desk, Retract("pools", ana, Ref("room", "$picture")))
    assert rows(table, sa.select(attachments)) == []
    assert rows(table, sa.select(posts.c.state)) == [("retracted",)]


def test_what_is_claimed_is_looked_at_once_more(table: Table) -> None:
    forum = table.forum()
    for name in ("ana", "bo", "cy", "dora"):
        table.member(name)
    table.post("ana", name="<a>")
    table.do(membership.leave, forum, table.member("bo").person_id)
    table.do(membership.set_member, forum, table.member("cy").person_id, {"state": "banned"})
    dora = table.member("dora")

    def look(tx: sa.Connection) -> list[int]:
        claimed = outbox.claim(tx, POST, "me", 100, table.now)
        ready, dropped = items.check(tx, table.desk, claimed, table.now)
        outbox.set_aside(tx, dropped, table.now)
        return [row.id for each in ready for row in each.rows]

    (one,) = table.do(look)
    assert [row.address_id for row in booked(table) if row.id == one] == [dora.address_id]


def test_a_room_of_a_forum_that_is_no_longer_public_hears_nothing(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    hall = table.do(lambda tx: subscriptions.attach_room(tx, forum, identity.ensure_room(tx, "room", "!hall", 1), 1))
    assert hall
    table.do(lambda tx: tx.execute(forums.update().values(visibility="members")))
    table.post("ana")

    def look(tx: sa.Connection) -> int:
        ready, _dropped = items.check(tx, table.desk, outbox.claim(tx, ROOM, "me", 100, table.now), table.now)
        return len(ready)

    assert table.do(look) == 0


def test_what_is_taken_back_after_the_claim_is_not_said(table: Table) -> None:
    forum = table.forum()
    table.do(lambda tx: subscriptions.attach_room(tx, forum, identity.ensure_room(tx, "room", "!hall", 1), 1))
    ana = table.member("ana")
    table.post("ana", "words")
    by = Author("web", str(ana.person_id), "Ana", Proof.SESSION)

    def claimed(tx: sa.Connection) -> list[items.Ready]:
        rows_ = outbox.claim(tx, ROOM, "me", 100, table.now)
        return items.check(tx, table.desk, rows_, table.now)[0]

    first = table.do(claimed)
    table.do(lambda tx: outbox.settle(tx, ROOM, [outbox.Settled(first[0].rows[0].id, 1, Sent())], table.now))
    new = Edit("pools", by, Ref("post", "1"), Ref("form", "f"), "other words")
    table.do(change.edit, table.desk, prepare(new, table.blobs))
    edit = table.do(claimed)
    table.do(change.retract, table.desk, Retract("pools", by, Ref("post", "1")))
    for ready in (first, edit):
        lots, gone = table.store.read_now(items.load, table.desk, ready)
        assert lots == []
        assert list(gone.values()) == ["taken back"]
    table.do(outbox.set_aside, gone, table.now)
    (retraction,) = table.do(claimed)
    assert retraction.kind == "retraction"


def test_no_address_is_said_in_a_room(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    table.do(lambda tx: subscriptions.attach_room(tx, forum, identity.ensure_room(tx, "room", "!hall", 1), 1))
    table.post("ana", "Write to ana.smith@example.org, please.", subject="From ana.smith@example.org")

    def say(tx: sa.Connection) -> str:
        ready, _dropped = items.check(tx, table.desk, outbox.claim(tx, ROOM, "me", 100, table.now), table.now)
        return str(items.load(tx, table.desk, ready)[0][0].item)

    said = table.do(say)
    assert "please" in said
    assert "ana.smith@" not in said


def test_a_banned_member_writes_to_no_author(table: Table) -> None:
    forum = table.forum()
    ana, bo = table.member("ana"), table.member("bo")
    member = table.store.read_now(membership.of, bo.person_id, forum)
    assert member is not None
    token = table.do(handles.printed, table.desk.secret, "via", member.id)
    table.do(membership.set_member, forum, ana.person_id, {"state": "banned"})
    letter = Letter("author", Author("post", "ana@x.test"), "pools", token, "Hello", "words")
    with pytest.raises(Rejected):
        table.do(letters.accept, table.desk, letter)


def test_text_that_a_database_cannot_hold_is_mended() -> None:
    odd = NewPost("pools", Author("room", "@a:x", "A\0\ud800"), (Ref("room", "$" + "x" * 50_000),), text="a\0b\udfffc")
    plain = tidy.inbound(odd)
    assert isinstance(plain, NewPost)
    assert (plain.text, plain.author.name) == ("ab?c", "A?")
    assert plain.refs[0].name.startswith("sha256:")
    assert tidy.inbound(odd) == plain
