"""Where moderators decide who joins: who asks waits, a moderator's word lets them in or not, and who asked is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server import clock
from server.bridge import WEB, Accepted, Act, Author, Held, Join, NoticeItem, Proof
from server.desk import entry, forums, invitations, members
from server.errors import CommandError, Rejected
from server.moderation import words
from server.people import identity, membership, subscriptions
from tests.desk.conftest import Table
from tests.desk.test_answers import Notices
from tests.desk.test_commands import sent


@pytest.fixture
def notices(table: Table) -> Notices:
    table.forum()
    table.member("mod", role="moderator")
    table.do(forums.set_options, "pools", {"join": "approval"}, table.now)
    return Notices(table)


def asks(table: Table, notices: Notices, said: str = "I count limpets.\nMay I?", by: str = "kim") -> Any:
    """Somebody asks by mail and confirms that it was them."""
    table.do(members.join, table.desk, Join("pools", Author("post", f"{by}@x.test", by.title()), words=said))
    table.now += clock.MINUTE
    return confirms(table, notices.one(by), by)


def confirms(table: Table, notice: NoticeItem, by: str = "kim") -> Any:
    assert notice.reply is not None
    return table.do(members.act, table.desk, Act("pools", Author("post", f"{by}@x.test"), *notice.reply))


def answers(table: Table, notice: NoticeItem, said: str, by: str = "mod") -> Any:
    assert notice.reply is not None
    author = Author("post", f"{by}@x.test")
    return table.do(members.act, table.desk, Act("pools", author, *notice.reply, words=tuple(said.split())))


def state(table: Table, by: str = "kim", channel: str = "post") -> str:
    def work(tx: Any) -> str:
        known = identity.find(tx, channel, f"{by}@x.test")
        assert known is not None
        member = membership.of(tx, known.person_id, forums.get(tx, "pools").id)
        return member.state if member is not None else "none"

    return table.store.read_now(work)


def test_who_asks_by_mail_waits_until_a_moderator_approves(table: Table, notices: Notices) -> None:
    result = asks(table, notices)
    assert isinstance(result, Held)
    assert state(table) == "pending"
    new = dict(notices.new())
    assert new["kim@x.test"].subject == "You asked to join Pools"
    asked = new["mod@x.test"]
    assert asked.subject == "kim@x.test asks to join Pools"
    assert "    | I count limpets.\n    | May I?" in asked.text
    assert answers(table, asked, "Approve, welcome") == Accepted()
    assert state(table) == "active"
    new = dict(notices.new())
    assert new["kim@x.test"].subject == "Welcome to Pools"
    assert "kim@x.test is a member of Pools now." in new["mod@x.test"].text
    answers(table, asked, "reject")
    assert "let in by you already" in notices.one("mod").text
    assert state(table) == "active"


def test_what_nobody_proved_asks_no_moderator(table: Table, notices: Notices) -> None:
    table.do(members.join, table.desk, Join("pools", Author("post", "kim@x.test"), words="Buy!"))
    (only,) = notices.new()
    assert only[0] == "kim@x.test"
    assert "Buy!" not in only[1].text  # what somebody wrote is never sent to the address that they claimed


def test_who_is_turned_away_is_told_why_and_may_ask_again(table: Table, notices: Notices) -> None:
    asks(table, notices)
    asked = dict(notices.new())["mod@x.test"]
    answers(table, asked, "reject We are full.")
    assert state(table) == "left"
    assert "We are full." in dict(notices.new())["kim@x.test"].text
    table.now += clock.MINUTE
    assert isinstance(asks(table, notices), Held)


def test_words_that_decide_nothing_are_answered_and_others_may_not_answer(table: Table, notices: Notices) -> None:
    asks(table, notices)
    asked = dict(notices.new())["mod@x.test"]
    for said in ("ban", "hm", ""):
        answers(table, asked, said)
        assert "nothing was done" in notices.one("mod").text
    with pytest.raises(Rejected, match="the address that this was sent to"):
        answers(table, asked, "approve", by="kim")
    assert state(table) == "pending"


def test_asking_twice_asks_the_moderators_once(table: Table, notices: Notices) -> None:
    asks(table, notices)
    notices.new()
    assert isinstance(asks(table, notices, "I am serious."), Held)
    assert notices.new() == []
    kim = table.store.read_now(lambda tx: identity.find(tx, "post", "kim@x.test"))
    assert kim is not None
    assert table.store.read_now(lambda tx: entry.entry.of(tx, 1, kim.person_id)).words == "I am serious."


def test_who_asks_from_a_room_is_told_there_and_gets_no_mail(table: Table, notices: Notices) -> None:
    knock = Join("pools", Author("room", "kim@x.test", "Kim", Proof.HOMESERVER), words="Knock knock")
    assert isinstance(table.do(members.join, table.desk, knock), Held)
    answers(table, notices.one("mod"), "approve")
    assert state(table, channel="room") == "active"
    assert [letter.template for letter in sent(table)][-2:] == ["let-in", "entry-verdict"]
    assert (
        table.store.read_now(lambda tx: subscriptions.at(tx, 1, identity.find(tx, "room", "kim@x.test").address_id))
        is None
    )


def test_who_asks_on_a_page_gets_posts_in_their_mailbox_once_let_in(table: Table, notices: Notices) -> None:
    kim = table.do(lambda tx: identity.ensure(tx, "post", "kim@x.test", "Kim", table.now, verified=True))
    by = Author(WEB, str(kim.person_id), "Kim", Proof.SESSION)
    assert isinstance(table.do(members.join, table.desk, Join("pools", by)), Held)
    forum = table.store.read_now(lambda tx: forums.get(tx, "pools"))
    table.do(entry.decide, table.desk, forum, kim.person_id, words.APPROVE, "command")
    mailbox = table.store.read_now(lambda tx: subscriptions.at(tx, forum.id, kim.address_id))
    assert mailbox is not None
    assert mailbox.state == "active"
    with pytest.raises(CommandError, match="did not ask"):
        table.do(entry.decide, table.desk, forum, kim.person_id, words.APPROVE, "command")


def test_an_invitation_lets_in_whoever_waits(table: Table, notices: Notices) -> None:
    asks(table, notices)
    notices.new()

    def invite(tx: Any) -> None:
        kim = identity.find(tx, "post", "kim@x.test")
        assert kim is not None
        invitations.invite(tx, forums.find(tx, "pools"), kim, table.now)

    table.do(invite)
    confirms(table, notices.one("kim"))
    assert state(table) == "active"


def test_many_who_ask_in_one_hour_are_not_many_mails(table: Table, notices: Notices) -> None:
    for number in range(30):
        knock = Join("pools", Author("room", f"k{number}@x.test", "K", Proof.HOMESERVER))
        table.do(members.join, table.desk, knock)
    assert len(sent(table, entry.TEMPLATE)) == entry.REPORTS_AN_HOUR


def test_a_notice_holds_no_address_of_who_asks(table: Table, notices: Notices) -> None:
    asks(table, notices)
    (letter,) = sent(table, entry.TEMPLATE)
    assert "kim" not in json.dumps(json.loads(letter.data))
