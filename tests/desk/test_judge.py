"""What those who look after a forum are shown where they meet, and what they decide there: held posts, reports, who asks to come in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import Accepted, Author, Decide, Duplicate, Flag, Held, Join, Proof, QueueItem, Ref, Retract
from server.delivery import items, outbox
from server.desk import announce, change, decide, flagging, forums, judge, members
from server.errors import Rejected
from server.store.schema import audit, deliveries, flags, letters, memberships, posts
from tests.desk.conftest import ROOM, Table
from tests.desk.test_accept import rows
from tests.desk.test_answers import Notices
from tests.desk.test_waiting_room import attached, say, waits

MEETS = replace(ROOM, queue=True)


@pytest.fixture
def hall(table: Table) -> Table:
    """A forum whose moderator meets others in a room of their own, and where first posts wait."""
    object.__setattr__(table.desk, "traits", table.desk.traits | {"room": MEETS})
    table.forum()
    table.member("mail")
    table.member("mod", role="moderator", channel="room", mode="none")
    table.do(forums.set_options, "pools", {"first_post": "hold"}, table.now)
    attached(table)
    return table


def shown(table: Table) -> list[QueueItem]:
    """What is due for the moderators' place, as a courier would hand it over."""

    def work(tx: sa.Connection) -> list[Any]:
        claimed = outbox.claim(tx, MEETS, "me", 100, table.now)
        ready, _dropped = items.check(tx, table.desk, claimed, table.now)
        lots = items.load(tx, table.desk, ready)[0]
        results = [
            outbox.Settled(target.delivery, target.attempt, outbox.Sent()) for lot in lots for target in lot.targets
        ]
        outbox.settle(tx, MEETS, results, table.now)
        return lots

    return [lot.item for lot in table.do(work) if isinstance(lot.item, QueueItem)]


def judges(table: Table, name: str, verb: str, words: str = "", by: str = "mod", **more: Any) -> str:
    author = Author("room", f"{by}@x.test", by.title(), more.get("proof", Proof.HOMESERVER))
    answer = table.do(judge.decide, table.desk, Decide("pools", author, name, verb, words))
    assert isinstance(answer, Accepted)
    return answer.reply


def reports(table: Table, by: str, target: str, reason: str = "") -> Any:
    author = Author("room", f"{by}@x.test", by.title(), Proof.HOMESERVER)
    return table.do(flagging.flag, table.desk, Flag("pools", author, Ref("room", target), reason))


def states(table: Table) -> list[str]:
    return [row.state for row in rows(table, sa.select(posts.c.state).order_by(posts.c.id))]


# Held posts -----------------------------------------------------------------------------------------------------------
def test_a_held_post_is_shown_with_its_words_and_what_became_of_it(hall: Table) -> None:
    hall.post("eve", "Write to eve@x.test!", channel="room", name="$1", subject="Hello")
    (item,) = shown(hall)
    assert (item.kind, item.writer_name, item.subject, item.decided) == ("post", "Eve", "Hello", "")
    assert item.text.startswith("Write to")
    assert "eve@x.test" not in item.text
    assert "first post" in item.reason
    assert "is published" in judges(hall, item.name.upper(), "approve")
    (after,) = shown(hall)
    assert (after.name, after.decided) == (item.name, "Published by Mod as pools/1.")
    assert states(hall) == ["published"]
    assert rows(hall, sa.select(audit.c.actor).where(audit.c.verb == "approve")) != []


def test_a_decision_is_made_once_and_who_comes_second_is_told(hall: Table) -> None:
    hall.member("two", role="owner", channel="room", mode="none")
    name = waits(hall, "eve", "$1")
    judges(hall, name, "reject", "Not here.")
    assert "already rejected by Mod" in judges(hall, name, "approve", by="two")
    (item,) = shown(hall)
    assert item.decided == "Rejected by Mod."
    assert states(hall) == ["rejected"]


def test_what_is_decided_elsewhere_or_taken_back_is_shown_too(hall: Table) -> None:
    first, second = waits(hall, "eve", "$1"), waits(hall, "fay", "$2")
    assert len(shown(hall)) == 2
    hall.do(decide.approve, hall.desk, first, "command", hall.now)
    author = Author("room", "fay@x.test", "Fay", Proof.HOMESERVER)
    hall.do(change.retract, hall.desk, Retract("pools", author, Ref("room", "$2")))
    assert {item.name: item.decided for item in shown(hall)} == {
        first: "Published by the operator as pools/1.",
        second: "Taken back by its author.",
    }


def test_words_that_are_mended_while_they_wait_are_shown_again(hall: Table) -> None:
    name = waits(hall, "eve", "$1")
    shown(hall)
    hall.edit("eve", "$1", "Better words")
    (item,) = shown(hall)
    assert (item.name, item.text, item.decided) == (name, "Better words", "")


def test_ban_refuses_and_shuts_out(hall: Table) -> None:
    name = waits(hall, "eve", "$1")
    assert "can neither post nor join" in judges(hall, name, "ban")
    with pytest.raises(Rejected):
        say(hall, "eve", "$2")


def test_what_only_its_author_or_nobody_decides_on_is_not_shown(hall: Table) -> None:
    first = waits(hall, "bo", "$1")
    hall.do(decide.approve, hall.desk, first, "command", hall.now)
    shown(hall)
    second = waits(hall, "eve", "$2")
    waits(hall, "bo", "$3", "$2")
    assert [item.name for item in shown(hall)] == [second]
    hall.do(forums.set_options, "pools", {"first_post": "post"}, hall.now)
    assert isinstance(hall.post("gil", "hm"), Held)  # who is asked to confirm
    assert shown(hall) == []


@pytest.mark.parametrize("by", ["mail", "eve", "nobody"])
def test_only_who_looks_after_the_forum_decides(hall: Table, by: str) -> None:
    name = waits(hall, "eve", "$1")
    with pytest.raises(Rejected, match="Only who looks after"):
        judges(hall, name, "approve", by=by)
    assert states(hall) == ["held"]


def test_it_must_surely_be_they_and_of_this_forum(hall: Table) -> None:
    name = waits(hall, "eve", "$1")
    with pytest.raises(Rejected):
        judges(hall, name, "approve", proof=Proof.AUTHENTICATED)
    hall.forum("rocks")
    hall.member("other", slug="rocks", role="owner", channel="room", mode="none")
    author = Author("room", "other@x.test", "Other", Proof.HOMESERVER)
    answer = hall.do(judge.decide, hall.desk, Decide("rocks", author, name, "approve"))
    assert answer == Accepted(reply=f"{name} waits no longer.")
    for wrong in (Decide("pools", author, name, "approve"), Decide("rocks", author, name, "cancel")):
        with pytest.raises(Rejected):
            hall.do(judge.decide, hall.desk, wrong)
    assert states(hall) == ["held"]


def test_when_they_have_a_place_at_last_what_waits_is_shown_there(hall: Table) -> None:
    hall.do(lambda tx: tx.execute(deliveries.delete()))
    waits(hall, "eve", "$1")
    hall.do(lambda tx: tx.execute(deliveries.delete()))
    hall.do(announce.all_waiting, hall.desk, "room", "pools")
    assert [item.kind for item in shown(hall)] == ["post"]


# Who asks to come in --------------------------------------------------------------------------------------------------
def test_who_asks_to_come_in_is_let_in_or_not(hall: Table) -> None:
    hall.do(forums.set_options, "pools", {"join": "approval"}, hall.now)
    for name, verb, state in (("kim", "approve", "active"), ("li", "reject", "left")):
        author = Author("room", f"{name}@x.test", name.title(), Proof.HOMESERVER)
        assert isinstance(hall.do(members.join, hall.desk, Join("pools", author, words="I know kelp.")), Held)
        (item,) = shown(hall)
        assert (item.kind, item.writer_name, item.text) == ("entry", f"{name.title()} ({name}@x.test)", "I know kelp.")
        judges(hall, item.name, verb)
        (after,) = shown(hall)
        assert "by Mod" in after.decided
        last = sa.select(memberships.c.state).order_by(memberships.c.id.desc()).limit(1)
        assert rows(hall, last) == [(state,)]
        with pytest.raises(Rejected):
            judges(hall, item.name, "ban")


# Reports --------------------------------------------------------------------------------------------------------------
@pytest.fixture
def busy(hall: Table) -> Table:
    """Bo said something in the room, and a member wrote by mail; reports are told to a moderator by mail too."""
    hall.do(forums.set_options, "pools", {"first_post": "post"}, hall.now)
    hall.member("boss", role="owner")
    for by, name in (("bo", "$1"), ("ann", "$2")):
        say(hall, by, name)
        hall.now += clock.HOUR
    hall.member("cat", channel="room", mode="none")
    shown(hall)
    return hall


def test_a_report_is_told_by_mail_and_where_moderators_meet_and_to_nobody_else(busy: Table) -> None:
    answer = reports(busy, "cat", "$1", "It is an advertisement.")
    assert isinstance(answer, Accepted)
    assert answer.post == "pools/1"
    (item,) = shown(busy)
    assert (item.kind, item.writer_name, item.url) == ("report", "Bo", "https://talk.test/f/pools/1")
    assert item.text == "Words of bo"
    assert item.reason == "reported by Cat: It is an advertisement."
    mail = Notices(busy).one("boss")
    assert mail.subject == "Reported in Pools: 1 post"
    for part in ("Bo wrote: Words of bo", "https://talk.test/f/pools/1", "Reported by Cat: It is an advertisement."):
        assert part in mail.text


def test_the_post_stays_or_is_taken_back_also_in_its_room(busy: Table) -> None:
    reports(busy, "cat", "$1")
    reports(busy, "ann", "$1")
    first, second = shown(busy)
    assert judges(busy, first.name, "approve") == "pools/1 stays."
    assert {item.decided for item in shown(busy)} == {"The post stays: Mod."}
    assert "decided already" in judges(busy, second.name, "reject")
    reports(busy, "cat", "$2")
    (third,) = shown(busy)
    assert judges(busy, third.name, "ban") == "pools/2 is taken back. Its author can neither post nor join any more."
    assert states(busy) == ["published", "retracted"]
    assert rows(busy, sa.select(deliveries.c.channel).where(deliveries.c.item_kind == "retraction")) == [("room",)]
    assert [item.decided for item in shown(busy)] == ["The post is taken back: Mod."]


def test_reports_of_a_post_that_goes_anyway_are_over(busy: Table) -> None:
    reports(busy, "cat", "$1")
    (item,) = shown(busy)
    author = Author("room", "bo@x.test", "Bo", Proof.HOMESERVER)
    busy.do(change.retract, busy.desk, Retract("pools", author, Ref("room", "$1")))
    assert [after.decided for after in shown(busy)] == ["The post is gone."]
    assert "decided already" in judges(busy, item.name, "approve")


def test_what_comes_within_ten_minutes_is_one_mail_and_what_is_decided_is_left_out(busy: Table) -> None:
    reports(busy, "cat", "$1")
    assert letters_of(busy) == 1
    busy.now += clock.MINUTE
    reports(busy, "cat", "$2")
    busy.do(flagging.sweep, busy.desk)
    assert letters_of(busy) == 1
    busy.now += 10 * clock.MINUTE
    busy.do(flagging.sweep, busy.desk)
    assert letters_of(busy) == 2
    for item in shown(busy):
        judges(busy, item.name, "approve")
    assert all(
        "decided by now" in notice.text for _address, notice in Notices(busy).new() if "Reported" in notice.subject
    )


def letters_of(table: Table) -> int:
    """Mails about reports; each goes to two moderators."""
    return len(rows(table, sa.select(letters.c.id).where(letters.c.template == "flagged"))) // 2


def test_members_alone_report_once_each_and_not_too_often(busy: Table) -> None:
    with pytest.raises(Rejected):
        reports(busy, "stranger", "$1")
    with pytest.raises(Rejected):
        reports(busy, "cat", "$nothing")
    assert isinstance(reports(busy, "cat", "$1"), Accepted)
    assert reports(busy, "cat", "$1") == Duplicate("pools/1")
    for number in range(flagging.A_DAY):
        say(busy, "bo", f"$more{number}")
        busy.now += clock.HOUR // 10
    for number in range(flagging.A_DAY - 1):
        reports(busy, "cat", f"$more{number}")
    with pytest.raises(Rejected, match="within a day"):
        reports(busy, "cat", f"$more{flagging.A_DAY - 1}")
    assert len(rows(busy, sa.select(flags.c.id))) == flagging.A_DAY


def test_a_reported_line_of_talk_is_taken_out_alone(busy: Table) -> None:
    say(busy, "bo", "$a", chat=True)
    say(busy, "ann", "$b", chat=True)
    say(busy, "cat", "$c", chat=True)
    reports(busy, "cat", "$b")
    (item,) = shown(busy)
    assert (item.text, item.writer_name) == ("Words of ann", "Ann")
    assert "redact it there" in judges(busy, item.name, "reject")
    reports(busy, "bo", "$c")
    (other,) = [each for each in shown(busy) if not each.decided]
    assert other.text == "Words of cat"
