"""Talk at room level: the opener is a post, what others say is one reply with many lines, mailed once when it has ended."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import Accepted, Author, Proof, Ref, Retract
from server.delivery import digests
from server.desk import change, conversation, sending
from server.errors import Rejected
from server.store.schema import bodies, conversations, deliveries, digest_entries, posts, subscriptions
from tests.desk.conftest import Table
from tests.desk.test_accept import rows

SETTLE = 120_000


def say(table: Table, by: str, words: str, name: str, **more: Any) -> str:
    """Somebody writes in the room; the post that it became, or a part of."""
    answer = table.post(by, words, channel="room", name=name, gather=True, chat=True, subject=None, **more)
    assert isinstance(answer, Accepted)
    return answer.post or ""


def mails(table: Table) -> list[int]:
    """Numbers of the posts that are booked for the mailbox, in the order in which they were."""
    query = sa.select(posts.c.seq).join(deliveries, deliveries.c.item_id == posts.c.id)
    return [
        row.seq
        for row in rows(
            table,
            query.where(deliveries.c.channel == "post", deliveries.c.item_kind == "post").order_by(deliveries.c.id),
        )
    ]


def text(table: Table, seq: int) -> str:
    return str(rows(table, sa.select(bodies.c.text).join(posts).where(posts.c.seq == seq))[0].text)


def sweep(table: Table) -> None:
    table.do(conversation.close_over, table.desk)


@pytest.fixture
def room(table: Table) -> Table:
    table.forum(settle_ms=SETTLE)
    table.member("mail")
    for name in ("ana", "bo", "cy"):
        table.member(name, channel="room", mode="none")
    return table


def test_the_opener_is_mailed_at_settle_and_what_others_say_once_when_it_is_quiet(room: Table) -> None:
    assert say(room, "ana", "Is the pool open?", "$1") == "pools/1"
    assert say(room, "ana", "I mean the deep one.", "$2") == "pools/1"
    assert mails(room) == [1]
    assert say(room, "bo", "Not before noon.", "$3") == "pools/2"
    assert say(room, "ana", "Thanks!", "$4") == "pools/2"
    room.now += conversation.QUIET_MS - 1
    sweep(room)
    assert mails(room) == [1]
    assert say(room, "cy", "It is open now.", "$5") == "pools/2"
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == [1, 2]
    assert text(room, 1).split("\n\n") == ["Is the pool open?", "I mean the deep one."]
    assert text(room, 2) == "Bo: Not before noon.\nAna: Thanks!\nCy: It is open now."
    reply = rows(room, sa.select(posts).where(posts.c.seq == 2))[0]
    assert (reply.parent_id, reply.person_id, reply.chat) == (1, None, "lines")


def test_after_half_an_hour_of_silence_the_next_word_opens_a_new_conversation(room: Table) -> None:
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not before noon.", "$2")
    room.now += conversation.QUIET_MS
    assert say(room, "cy", "Who has the keys?", "$3") == "pools/3"
    assert mails(room) == [1, 2, 3]
    opener = rows(room, sa.select(posts).where(posts.c.seq == 3))[0]
    assert (opener.parent_id, opener.chat) == (None, "")


def test_talk_that_goes_on_is_mailed_every_two_hours_or_hundred_lines_in_its_thread(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    began = room.now
    for n in range(5):
        assert say(room, "bo", f"line {n}", f"$b{n}") == "pools/2"
        room.now += 25 * clock.MINUTE
    assert room.now - began > conversation.LONGEST_MS
    assert say(room, "cy", "still here", "$c") == "pools/3"
    assert mails(room) == [1, 2]
    for n in range(conversation.LINES - 1):
        assert say(room, "bo", f"more {n}", f"$m{n}") == "pools/3"
    assert say(room, "bo", "one too many", "$x") == "pools/4"
    assert mails(room) == [1, 2, 3]
    assert {row.thread_id for row in rows(room, sa.select(posts.c.thread_id))} == {1}
    assert [row.parent_id for row in rows(room, sa.select(posts).order_by(posts.c.seq))] == [None, 1, 1, 1]


def test_a_plain_answer_to_a_line_is_a_line_and_one_to_the_opener_is_a_post(room: Table) -> None:
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not before noon.", "$2")
    assert say(room, "cy", "Why?", "$3", parents=["$2"]) == "pools/2"
    assert say(room, "cy", "I have been there.", "$4", parents=["$1"]) == "pools/3"


def test_an_answer_in_a_thread_on_a_line_is_a_post_under_it_and_lets_the_talk_go_first(room: Table) -> None:
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not before noon.", "$2")
    room.post("cy", "A long answer.", channel="room", name="$3", parents=["$2"], subject=None, gather=True)
    assert mails(room) == [1, 2, 3]
    assert rows(room, sa.select(posts.c.parent_id).where(posts.c.seq == 3))[0].parent_id == 2
    due = dict(rows(room, sa.select(deliveries.c.item_id, deliveries.c.not_before)))
    assert due[2] <= room.now < due[3]
    assert say(room, "bo", "Anyway.", "$4") == "pools/4"  # what was mailed takes no more lines


def test_a_line_is_edited_and_taken_back_by_who_said_it_alone(room: Table) -> None:
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not befor noon.", "$2")
    say(room, "cy", "Really?", "$3")
    with pytest.raises(Rejected):
        room.edit("cy", "$2", "I am Bo")
    room.edit("bo", "$2", "Not before noon.")
    assert text(room, 2) == "Bo: Not before noon.\nCy: Really?"
    cy = Author("room", "cy@x.test", "Cy", Proof.HOMESERVER)
    room.do(change.retract, room.desk, Retract("pools", cy, Ref("room", "$3")))
    assert text(room, 2) == "Bo: Not before noon."
    with pytest.raises(Rejected):
        room.do(change.retract, room.desk, Retract("pools", cy, Ref("room", "$2")))


def test_talk_that_was_all_taken_back_is_never_mailed(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    say(room, "bo", "Oops", "$2")
    bo = Author("room", "bo@x.test", "Bo", Proof.HOMESERVER)
    room.do(change.retract, room.desk, Retract("pools", bo, Ref("room", "$2")))
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == [1]


def test_what_is_caught_up_with_after_an_outage_is_one_mail(room: Table) -> None:
    long_ago = room.now - 8 * clock.HOUR
    for n in range(conversation.LINES + 50):
        by = ("ana", "bo", "cy")[n % 3]
        assert say(room, by, f"words {n}", f"${n}", written_at=long_ago + n * clock.MINUTE) == "pools/1"
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == [1]


def test_a_names_angle_brackets_stay_words(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    room.member("<b>eve", channel="room", mode="none")
    say(room, "<b>eve", "I am <i>here</i>", "$2")
    html = rows(room, sa.select(bodies.c.html).join(posts).where(posts.c.seq == 2))[0].html
    assert "<b>" not in html.lower()
    assert '<div id="line-1"><p><strong>&lt;B&gt;Eve</strong></p>' in html


def test_topics_and_threads_only(room: Table) -> None:
    room.do(lambda tx: tx.execute(sa.text("UPDATE forums SET room_messages = 'topics'")))
    assert say(room, "ana", "One", "$1") == "pools/1"
    assert say(room, "bo", "Two", "$2") == "pools/2"
    assert mails(room) == [1, 2]
    room.do(lambda tx: tx.execute(sa.text("UPDATE forums SET room_messages = 'threads-only'")))
    assert say(room, "ana", "Three", "$3") == "pools/3"
    assert say(room, "bo", "Four", "$4") == "pools/3"
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == [1, 2]
    assert text(room, 3) == "Ana: Three\nBo: Four"


@pytest.mark.parametrize(
    ("wish", "mailed", "digested"), [("each", [1, 2], []), ("digest", [1], [2]), ("none", [1], [])]
)
def test_each_member_chooses_how_talk_reaches_them(
    room: Table, wish: str, mailed: list[int], digested: list[int]
) -> None:
    mine = rows(room, sa.select(subscriptions).where(subscriptions.c.mode == "each"))[0]
    room.do(sending.set_subscription, mine.id, {"conversations": wish}, room.now)
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not before noon.", "$2")
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == mailed
    room.now += clock.DAY
    for each in room.do(digests.due, room.now, 50):
        room.do(digests.book, each, room.now)
    assert [row.post_id for row in rows(room, sa.select(digest_entries.c.post_id))] == digested


def test_a_digest_skips_no_talk_and_has_none_twice(room: Table) -> None:
    mine = rows(room, sa.select(subscriptions).where(subscriptions.c.mode == "each"))[0]
    room.do(sending.set_subscription, mine.id, {"mode": "daily"}, room.now)
    say(room, "ana", "Is the pool open?", "$1")
    say(room, "bo", "Not before noon.", "$2")
    room.do(conversation.close_open, room.desk, 1)  # as upkeep does before it books a digest
    say(room, "bo", "Or at one.", "$3")
    room.do(sending.set_subscription, mine.id, {"mode": "each"}, room.now)  # a last digest, and then each mail
    assert [row.post_id for row in rows(room, sa.select(digest_entries.c.post_id))] == [1, 2]
    room.now += conversation.QUIET_MS
    sweep(room)
    assert mails(room) == [3]


def test_a_restart_forgets_nothing_and_ends_nothing_twice(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    say(room, "bo", "Hello yourself", "$2")
    room.now += conversation.QUIET_MS
    assert room.do(conversation.close_over, room.desk) == 1
    assert room.do(conversation.close_over, room.desk) == 0
    assert mails(room) == [1, 2]
    assert rows(room, sa.select(conversations.c.lines_id))[0].lines_id is None


def test_what_was_taken_back_does_not_come_again_by_an_edit(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    say(room, "bo", "Buy at evil.test", "$2")
    say(room, "cy", "Please not here.", "$3")
    bo = Author("room", "bo@x.test", "Bo", Proof.HOMESERVER)
    room.do(change.retract, room.desk, Retract("pools", bo, Ref("room", "$2")))
    with pytest.raises(Rejected, match="taken back"):
        room.edit("bo", "$2", "Buy at evil.test, again")
    assert text(room, 2) == "Cy: Please not here."
    ana = Author("room", "ana@x.test", "Ana", Proof.HOMESERVER)
    room.do(change.retract, room.desk, Retract("pools", ana, Ref("room", "$1")))
    with pytest.raises(Rejected, match="taken back"):
        room.edit("ana", "$1", "Hello again")
    assert text(room, 1) == ""


def test_talk_of_long_lines_is_mailed_before_it_is_too_much_to_write_at_once(room: Table) -> None:
    say(room, "ana", "Hello", "$1")
    long = "words " * 5_000
    seen = [say(room, "bo", f"{n} {long}", f"$b{n}") for n in range(6)]
    assert seen[0] == seen[1] == "pools/2"
    assert seen[-1] == "pools/4"
    assert mails(room) == [1, 2, 3]
