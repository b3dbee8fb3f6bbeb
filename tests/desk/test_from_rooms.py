"""What somebody in a room may ask and send in private: letters by an author's key, questions about posts, options of their mailbox."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import MESSAGE_ID, Act, Author, Letter, Proof, Ref, Request
from server.delivery import letters as lettered
from server.delivery import notices
from server.desk import commands, letters, linking, members
from server.errors import Rejected
from server.people import handles, identity, membership
from server.store.schema import deliveries, subscriptions
from server.store.schema import letters as letters_table
from tests.desk.conftest import ROOM, Table
from tests.desk.test_accept import rows
from tests.desk.test_linking import lots

BRUNO = Author("room", "bruno@x.test", "Bruno", Proof.HOMESERVER)


@pytest.fixture
def bruno(table: Table) -> identity.Known:
    table.forum()
    table.member("ana")

    def joins(tx: Any) -> identity.Known:
        known = identity.ensure(tx, "room", BRUNO.address, "Bruno", table.now, verified=True)
        membership.join(tx, 1, known.person_id, None, table.now)
        return known

    return table.do(joins)


def key(table: Table, channel: str, address: str) -> str:
    known = table.do(identity.find, channel, address)
    assert known is not None
    return known.key


def ask(table: Table, *words: str, about: Ref | None = None) -> str:
    named = (about,) if about else ()
    table.do(commands.run, table.desk, Request("pools", BRUNO, (words,), named, Ref("room", f"${words}")))
    last = rows(table, sa.select(letters_table).order_by(letters_table.c.id.desc()))[0]
    return str(json.loads(last.data).get("results", ""))


def booked_letters(table: Table) -> list[Any]:
    return rows(
        table, sa.select(deliveries.c.channel, deliveries.c.address_id).where(deliveries.c.item_kind == "letter")
    )


def test_a_letter_by_key_reaches_the_authors_mailbox_and_its_answer_the_room_user(
    table: Table, bruno: identity.Known
) -> None:
    ana = key(table, "post", "ana@x.test")
    table.do(letters.accept, table.desk, Letter("author", BRUNO, subject="Hello", text="just for you", key=ana))
    (letter,) = [lot.item for lot in lots(table) if hasattr(lot.item, "reply_via")]
    assert (letter.text, letter.writer.name) == ("just for you", "Bruno")
    assert letter.forum.slug == "pools"
    back = Letter(
        "author", Author("post", "ana@x.test", "Ana", Proof.AUTHENTICATED), "pools", letter.reply_via, "Re", "hi"
    )
    table.do(letters.accept, table.desk, back)
    (answer,) = lots(table, ROOM)
    assert [target.address for target in answer.targets] == [BRUNO.address]
    assert (answer.item.text, answer.item.writer.key) == ("hi", ana)
    told = rows(table, sa.select(letters_table.c.template).where(letters_table.c.kind == "notice"))
    assert [row.template for row in told if row.template == "letter-sent"] == ["letter-sent"]  # by mail only


def test_a_stranger_writes_to_nobody_by_a_key_and_learns_no_hidden_title(table: Table, bruno: identity.Known) -> None:
    table.forum("kelp", visibility="members")
    table.do(lambda tx: membership.leave(tx, 1, 1))
    table.do(lambda tx: membership.join(tx, 2, 1, None, table.now))
    with pytest.raises(Rejected, match="Only members of kelp"):
        table.do(letters.accept, table.desk, Letter("author", BRUNO, text="x", key=key(table, "post", "ana@x.test")))
    with pytest.raises(Rejected, match="no such address"):
        table.do(letters.accept, table.desk, Letter("author", BRUNO, text="x", key="nobody"))
    assert booked_letters(table) == []


def test_keys_and_private_addresses_of_who_became_another_lead_there(table: Table, bruno: identity.Known) -> None:
    table.member("carla")
    old_key, old_via = key(table, "post", "carla@x.test"), table.do(handles.printed, table.desk.secret, "via", 3)
    table.do(linking.merge, table.desk, 3, 1, "command")
    for how in ({"key": old_key}, {"forum": "pools", "token": old_via}):
        table.do(letters.accept, table.desk, Letter("author", BRUNO, text="x", **how))
    assert {row.address_id for row in booked_letters(table)} == {1}


def test_who_wrote_it_is_told_by_name_and_way(table: Table, bruno: identity.Known) -> None:
    table.post("ana", name="<1@x.test>")
    told = ask(table, "who", about=Ref(MESSAGE_ID, "<1@x.test>"))
    assert told == "Post 1 is Ana's, written by mail."
    assert "which post?" in ask(table, "who", "7")


def test_where_it_went_is_told_to_its_author_and_moderators(table: Table, bruno: identity.Known) -> None:
    table.post("ana", name="<1@x.test>")
    assert "only its author" in ask(table, "trace", "1")
    table.do(lambda tx: membership.set_member(tx, 1, bruno.person_id, {"role": "moderator"}))
    assert "https://talk.test/f/pools/1, went to:" in ask(table, "trace", "1")


def test_who_asks_in_the_room_sets_their_mailbox(table: Table, bruno: identity.Known) -> None:
    assert "by mail" in ask(table, "delivery", "daily")
    assert "delivery: nothing is sent by mail" in ask(table, "whoami")
    table.do(linking.merge, table.desk, bruno.person_id, 1, "command")
    ask(table, "delivery", "daily")
    assert [row.mode for row in rows(table, sa.select(subscriptions))] == ["daily"]
    assert "delivery: daily" in ask(table, "whoami")


def test_a_chat_has_words_of_its_own() -> None:
    facts = {"forum": "Pools", "url": "https://talk.test/f/pools"}
    subject, text = notices.compose("help", facts, in_chat=True)
    assert (subject, "!junto" in text) == ("", True)
    assert "mail program" not in text
    assert notices.compose("probe", facts, in_chat=True) == notices.compose("probe", facts)


def test_the_first_post_of_who_has_no_mailbox_is_acknowledged_where_they_wrote(
    table: Table, bruno: identity.Known
) -> None:
    for number in range(2):
        table.post("bruno", channel="room", name=f"${number}")
    told = rows(table, sa.select(deliveries).where(deliveries.c.item_kind == "notice"))
    assert [(row.channel, row.address_id) for row in told] == [("room", bruno.address_id)]


def test_who_is_invited_in_a_chat_is_a_member_without_mail(table: Table, bruno: identity.Known) -> None:
    table.do(lambda tx: membership.leave(tx, 1, bruno.person_id))
    facts = {"name": "Ana"}
    table.do(lettered.notice, bruno.address_id, "invite", 1, facts, table.now)
    (asked,) = lots(table, ROOM)
    assert "answer with the one word yes" in asked.item.text
    verb, token = asked.item.reply
    table.do(members.act, table.desk, Act("pools", BRUNO, verb, token, words=("yes",)))
    assert membership.is_active(table.do(membership.of, bruno.person_id, 1))
    assert [row.address_id for row in rows(table, sa.select(subscriptions))] == [1]  # Ana's
