"""Everything by mail alone: what is asked in words, who may ask it, and that each request is answered once and to nobody else."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import MESSAGE_ID, Accepted, Act, Author, Doubt, Duplicate, Join, Leave, Proof, Ref, Request, Sent
from server.delivery import items, notices, outbox
from server.desk import asking, commands, members
from server.desk import posts as desk_posts
from server.errors import Deferred, Rejected
from server.i18n import _
from server.moderation import bans
from server.people import handles, identity, marks, membership, options, subscriptions
from server.store.schema import changes, deliveries, letters, memberships, people, posts
from server.store.schema import subscriptions as subscribed
from tests.desk.conftest import POST, Table
from tests.desk.test_accept import booked, rows

PROVED = Proof.AUTHENTICATED
_NAMES = itertools.count()


def ask(table: Table, *lines: str, by: str = "bo", proof: Proof = PROVED, about: str = "", **more: Any) -> Any:
    """Somebody asks; the desk's answer."""
    author = Author("post", f"{by}@x.test", more.pop("name", ""), proof, more.pop("doubt", Doubt.NONE))
    words = tuple(_split(line) for line in lines)
    named = (Ref(MESSAGE_ID, about),) if about else ()
    own = Ref(MESSAGE_ID, more.pop("own", f"<{next(_NAMES)}@x.test>"))
    request = Request(more.pop("forum", "pools"), author, words, named, own, **more)
    return table.do(commands.run, table.desk, request)


def _split(line: str) -> tuple[str, ...]:
    verb, _space, value = line.partition(" ")
    return (verb, value) if value else (verb,)


def sent(table: Table, template: str | None = None) -> list[Any]:
    query = sa.select(letters, deliveries.c.address_id).join(deliveries, deliveries.c.item_id == letters.c.id)
    query = query.where(deliveries.c.item_kind == "notice").order_by(letters.c.id)
    return [row for row in rows(table, query) if template in (None, row.template)]


def said(table: Table) -> str:
    """The results in the last mail that went out."""
    return str(json.loads(sent(table)[-1].data)["results"])


def claimed(table: Table) -> list[Any]:
    taken = table.do(outbox.claim, POST, "me", 100, table.now)
    ready, _dropped = table.do(items.check, table.desk, taken, table.now)
    return table.do(items.load, table.desk, ready)[0]


def answered(table: Table) -> Any:
    """The last question is answered, by somebody who has nothing but its token."""
    verb, token = next(lot.item.reply for lot in reversed(claimed(table)) if lot.item.reply and lot.item.reply[1])
    return table.do(members.act, table.desk, Act("pools", Author("post", "other@x.test"), verb, token))


def mailbox(table: Table, who: identity.Known) -> Any:
    return rows(table, sa.select(subscribed).where(subscribed.c.address_id == who.address_id))[0]


@pytest.fixture
def bo(table: Table) -> identity.Known:
    table.forum()
    table.member("ana")
    return table.member("bo")


def test_each_mode_is_set_by_its_word(table: Table, bo: identity.Known) -> None:
    for mode in options.MODES:
        ask(table, f"delivery {mode}")
        assert mailbox(table, bo).mode == mode
        assert mode in said(table)
    assert len(sent(table)) == len(options.MODES)


def test_a_mail_that_comes_again_is_answered_once(table: Table, bo: identity.Known) -> None:
    for _time in range(2):
        ask(table, "own-posts yes", "help", own="<once@x.test>")
        ask(table, "delivery none", own="<unproved@x.test>", proof=Proof.NONE)
    assert ask(table, "help", own="<once@x.test>") == Duplicate()
    assert [letter.template for letter in sent(table)] == ["answer", "confirm-words"]


def test_several_words_are_answered_in_one_mail(table: Table, bo: identity.Known) -> None:
    ask(table, "delivery topics", "conversations none", "hide", "own-posts yes", "addressed direct", "name Bo the 2nd")
    (answer,) = sent(table)
    assert (answer.template, answer.address_id) == ("answer", bo.address_id)
    row = mailbox(table, bo)
    assert (row.mode, row.conversations, row.own_posts, row.addressed) == ("topics", "none", True, "direct")
    assert rows(table, sa.select(memberships.c.hide_address).where(memberships.c.person_id == bo.person_id))[0][0]
    assert rows(table, sa.select(people.c.name).where(people.c.id == bo.person_id))[0].name == "Bo the 2nd"
    ask(table, "show")
    assert not rows(table, sa.select(memberships.c.hide_address).where(memberships.c.person_id == bo.person_id))[0][0]


def test_a_bad_value_changes_nothing_and_says_what_there_is(table: Table, bo: identity.Known) -> None:
    ask(table, "delivery fortnightly", "own-posts yes")
    assert "each, topics, mentions" in said(table)
    assert (mailbox(table, bo).mode, mailbox(table, bo).own_posts) == ("each", True)


def test_a_private_address_is_renewed_by_a_word(table: Table, bo: identity.Known) -> None:
    def via() -> str:
        member = table.store.read_now(lambda tx: membership.of(tx, bo.person_id, 1))
        assert member is not None
        return table.do(handles.printed, table.desk.secret, "via", member.id)

    before = via()
    ask(table, "renew")
    assert via() != before
    assert "reach nobody" in said(table)


def test_a_thread_is_muted_in_answer_to_a_post_or_by_number(table: Table, bo: identity.Known) -> None:
    table.post("ana", name="<a>", subject="Limpets")
    thread = rows(table, sa.select(posts.c.thread_id))[0].thread_id

    def mark() -> str | None:
        return table.store.read_now(lambda tx: marks.of(tx, bo.person_id, thread))

    ask(table, "mute", about="<a>")
    assert mark() == "muted"
    assert "Limpets" in said(table)
    ask(table, "unfollow 1")
    assert mark() == "muted"
    ask(table, "unmute 1")
    assert mark() is None
    ask(table, "follow", about="<a>")
    assert mark() == "followed"
    ask(table, "mute", "mute 99")
    assert "which thread?" in said(table)
    assert "no such post" in said(table)


def test_ones_own_post_is_taken_back_and_the_answer_says_where_it_is(table: Table, bo: identity.Known) -> None:
    table.post("bo", "said too much", subject="Oops")
    for delivery in table.do(outbox.claim, POST, "me", 10, table.now):
        table.do(outbox.settle, POST, [outbox.Settled(delivery.id, delivery.attempts, Sent())], table.now)
    ask(table, "delete 1", by="ana")
    assert "only its author" in said(table)
    ask(table, "delete 1")
    assert "in 1 mailbox already" in said(table)
    assert rows(table, sa.select(posts.c.state))[0].state == "retracted"
    assert table.store.read_now(lambda tx: desk_posts.body(tx, 1).text) == ""
    ask(table, "delete 1", "delete 77")
    assert "gone already" in said(table)
    assert "no such post" in said(table)


def test_mail_that_was_stopped_is_resumed(table: Table, bo: identity.Known) -> None:
    ask(table, "resume")
    assert "was not stopped" in said(table)
    stopped = {"state": "stopped", "stopped_at": table.now, "stop_reason": "bounces", "bounce_score": 5_000}
    table.do(subscriptions.change, mailbox(table, bo).id, stopped)
    ask(table, "whoami")
    assert "bounces" in said(table)
    ask(table, "resume")
    row = mailbox(table, bo)
    assert (row.state, row.stop_reason, row.bounce_score) == ("active", "", 0)
    noted = sa.select(sa.func.count()).select_from(changes).where(changes.c.kind == "member")
    before = table.do(lambda tx: tx.scalar(noted))
    table.do(subscriptions.change, mailbox(table, bo).id, stopped)
    ask(table, "resume")
    assert table.do(lambda tx: tx.scalar(noted)) == before + 1


def test_who_chooses_how_mail_comes_wants_it_again(table: Table, bo: identity.Known) -> None:
    stopped = {"state": "stopped", "stopped_at": table.now, "stop_reason": "bounces", "bounce_score": 5_000}
    table.do(subscriptions.change, mailbox(table, bo).id, stopped)
    ask(table, "delivery topics")
    row = mailbox(table, bo)
    assert (row.state, row.mode, row.bounce_score) == ("active", "topics", 0)


def test_who_am_i_tells_only_the_address_itself(table: Table, bo: identity.Known) -> None:
    ask(table, "whoami", proof=Proof.NONE)
    (answer,) = sent(table)
    assert answer.address_id == bo.address_id
    for fact in ("Bo", "bo@x.test", "member", "each", "UTC"):
        assert fact in said(table)
    ask(table, "whoami", by="stranger")
    assert "no member" in said(table)


# Proof ----------------------------------------------------------------------------------------------------------------
def test_what_nobody_proved_is_done_when_the_address_says_so(table: Table, bo: identity.Known) -> None:
    table.post("ana", name="<a>", subject="Limpets")
    ask(table, "delivery weekly", "mute", "name Free iPhones at evil.test", about="<a>", proof=Proof.NONE)
    (question,) = sent(table)
    assert (question.template, question.address_id) == ("confirm-words", bo.address_id)
    words = json.loads(question.data)["list"]
    assert "delivery weekly" in words
    assert "Limpets" in words
    assert "evil" not in words
    assert mailbox(table, bo).mode == "each"
    assert isinstance(answered(table), Accepted)
    assert mailbox(table, bo).mode == "weekly"
    assert [letter.template for letter in sent(table)] == ["confirm-words", "answer"]
    with pytest.raises(Rejected, match="answered before, or is too old"):
        table.do(members.act, table.desk, Act("pools", Author("post", "bo@x.test"), "confirm", "a" * 26))


def test_an_address_is_asked_one_thing_at_a_time(table: Table, bo: identity.Known) -> None:
    ask(table, "delivery weekly", proof=Proof.NONE)
    assert "answer that mail first" in ask(table, "hide", proof=Proof.NONE).reply
    table.now += 1
    answered(table)
    table.now += 1
    ask(table, "hide", proof=Proof.NONE)
    assert [letter.template for letter in sent(table)] == ["confirm-words", "answer", "confirm-words"]


def test_what_a_forger_wrote_is_never_sent_to_who_did_not_ask(table: Table, bo: identity.Known) -> None:
    ask(table, "delivery http://evil.test/", "unknown", proof=Proof.NONE, name="Buy at evil.test")
    assert "evil" not in sent(table)[0].data
    ask(table, "help", by="victim", proof=Proof.NONE, name="Buy at evil.test")
    assert "evil" not in sent(table)[1].data


def test_a_forgery_that_its_domain_disowns_does_nothing(table: Table, bo: identity.Known) -> None:
    for words in (("help",), ("delivery none",), ("join",), ("leave",)):
        with pytest.raises(Rejected, match="DMARC"):
            ask(table, *words, proof=Proof.NONE, doubt=Doubt.FORBIDDEN)
    forged = Author("post", "bo@x.test", "", Proof.NONE, Doubt.FORBIDDEN)
    for inbound, run in ((Join("pools", forged), members.join), (Leave("pools", forged), members.leave)):
        with pytest.raises(Rejected, match="DMARC"):
            table.do(run, table.desk, inbound)
    assert not sent(table)


def test_joining_and_leaving_are_confirmed_first_and_are_one_mail(table: Table, bo: identity.Known) -> None:
    ask(table, "join daily", by="cy")
    ask(table, "join", by="cy")
    assert [letter.template for letter in sent(table)] == ["confirm-join"]
    answered(table)
    cy = table.store.read_now(lambda tx: identity.find(tx, "post", "cy@x.test"))
    assert cy is not None
    assert mailbox(table, cy).mode == "daily"
    ask(table, "leave")
    assert sent(table)[-1].template == "confirm-leave"
    answered(table)
    assert mailbox(table, bo).state == "ended"


def test_who_is_no_member_is_told_so(table: Table, bo: identity.Known) -> None:
    ask(table, "delivery daily", "mute 1", by="stranger")
    assert said(table).count("no member") == 2


def test_a_closed_door_is_said_at_the_door(table: Table) -> None:
    table.forum(join_policy="invite")
    with pytest.raises(Rejected, match="by invitation"):
        ask(table, "join")
    ask(table, "join", "help")
    assert "by invitation" in said(table)


# Machines and limits --------------------------------------------------------------------------------------------------
def test_machines_are_not_answered(table: Table, bo: identity.Known) -> None:
    assert ask(table, "help", "delivery none", automatic=True) == Accepted()
    assert not sent(table)
    assert mailbox(table, bo).mode == "each"


def test_an_automatic_answer_to_everybody_is_dropped_and_not_refused(table: Table, bo: identity.Known) -> None:
    assert isinstance(table.post("bo", "I am away", automatic=True, answering=True), Accepted)
    with pytest.raises(Rejected, match="machines"):
        table.post("bo", "Build 7 failed", automatic=True)
    assert not rows(table, sa.select(posts))


def test_an_address_that_proves_nothing_is_answered_once_a_day(table: Table, bo: identity.Known) -> None:
    for _time in range(5):
        ask(table, "help", by="stranger", proof=Proof.NONE)
        ask(table, "whoami", by="stranger", proof=Proof.NONE)
        table.do(members.leave, table.desk, Leave("pools", Author("post", "stranger@x.test")))
    assert len(sent(table)) == 1
    table.now += 24 * 3_600_000 + 1
    ask(table, "help", by="stranger", proof=Proof.NONE)
    assert len(sent(table)) == 2


def test_there_is_a_limit_for_who_proves_who_they_are_too(table: Table, bo: identity.Known) -> None:
    for _time in range(commands.ANSWERS_AN_HOUR):
        ask(table, "help")
    with pytest.raises(Rejected, match="many requests"):
        ask(table, "delivery none")
    assert mailbox(table, bo).mode == "each"
    table.now += 3_600_001
    ask(table, "delivery none")
    assert mailbox(table, bo).mode == "none"


def test_a_bomb_ends_as_one_question_an_address_and_forum_and_so_many_an_hour(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "QUESTIONS_AN_HOUR", 12)
    table.forum()
    table.forum("kelp")
    for _round in range(3):
        for number in range(6):
            for forum in ("pools", "kelp"):
                by = Author("post", f"victim{number}@x.test")
                table.do(members.join, table.desk, Join(forum, by))
                ask(table, "join", by=f"victim{number}", proof=Proof.NONE, forum=forum)
    assert len(sent(table)) == 12
    for number in range(6, 12):
        table.do(members.join, table.desk, Join("pools", Author("post", f"victim{number}@x.test")))
    with pytest.raises(Deferred):
        table.do(members.join, table.desk, Join("pools", Author("post", "victim99@x.test")))
    table.now += 3_600_001
    table.do(members.join, table.desk, Join("pools", Author("post", "victim99@x.test")))


def test_who_is_shut_out_may_only_leave(table: Table, bo: identity.Known) -> None:
    table.do(bans.add, None, "address", "bo@x.test", "", "command", table.now)
    with pytest.raises(Rejected, match="shut out"):
        ask(table, "help")
    ask(table, "leave")
    assert sent(table)[-1].template == "confirm-leave"


# Words ----------------------------------------------------------------------------------------------------------------
def test_what_was_not_understood_is_named_to_who_surely_wrote_it(table: Table, bo: identity.Known) -> None:
    ask(table, "whoami", "unknown moot 12")
    assert said(table).endswith("The rest of your mail was not understood, from “moot 12” on.")
    ask(table, "whoami", "unknown moot 12", by="zed", proof=Proof.NONE)
    assert said(table).endswith("The rest of your mail was not understood.")


def test_a_language_without_texts_is_noted_and_nothing_is_promised(table: Table, bo: identity.Known) -> None:
    ask(table, "language pt")
    assert said(table) == "language: pt is noted, but there are no texts in it yet, so these mails stay in English."
    ask(table, "language en")
    assert said(table) == "language: en, from now on."


def test_answers_are_in_the_members_language(table: Table, bo: identity.Known) -> None:
    def set_language(tx: sa.Connection) -> None:
        tx.execute(people.update().where(people.c.id == bo.person_id).values(language="pt"))

    table.do(set_language)
    ask(table, "help")
    ask(table, "delivery none")
    assert {json.loads(letter.data)["language"] for letter in sent(table)} == {"pt"}


def test_help_names_every_word_and_answers_can_be_answered(table: Table, bo: identity.Known) -> None:
    ask(table, own="<ask@x.test>")
    (lot,) = claimed(table)
    assert lot.item.reply == ("request", "")
    assert lot.item.in_reply_to == ("<ask@x.test>",)
    for word in ("join", "delivery", "mute", "hide", "who am I", "delete", "timezone", "resume", "addressed"):
        assert word in lot.item.text
    assert "pools-request@x.test" in lot.item.text
    assert _(notices.WORDS) in lot.item.text


def test_a_member_without_a_mailbox_here_may_still_mute(table: Table, bo: identity.Known) -> None:
    table.post("ana", name="<a>")
    forum = rows(table, sa.select(posts.c.forum_id))[0].forum_id
    dora = table.do(identity.ensure, "post", "dora@x.test", "Dora", table.now)
    table.do(membership.join, forum, dora.person_id, None, table.now)
    ask(table, "mute 1", "delivery none", by="dora")
    assert "muted" in said(table)
    assert "Nothing of Pools is sent" in said(table)
    assert len(booked(table)) == 1


@pytest.mark.parametrize(("kind", "value"), [("address", "bo@x.test"), ("domain", "x.test")])
def test_who_was_banned_after_the_question_gets_nothing_done(
    table: Table, bo: identity.Known, kind: str, value: str
) -> None:
    ask(table, "delivery weekly", proof=Proof.NONE)
    table.do(bans.add, 1, kind, value, "", "command", table.now)
    with pytest.raises(Rejected, match="shut out"):
        answered(table)
    assert mailbox(table, bo).mode == "each"
