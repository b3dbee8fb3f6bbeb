"""After settling: what an edit changed is told where it cannot be shown, if somebody asks; and a first post gets its receipt."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import (
    Accepted,
    Author,
    Correct,
    CorrectionItem,
    Duplicate,
    Edit,
    NoticeItem,
    Proof,
    Ref,
    Sent,
)
from server.delivery import digests, outbox
from server.delivery.outbox import Settled
from server.desk import change, correct
from server.desk import forums as desk_forums
from server.desk.prepare import prepare
from server.errors import Rejected
from server.people import membership
from server.store.schema import deliveries, posts, subscriptions
from tests.desk.conftest import POST, Table
from tests.desk.test_accept import rows
from tests.desk.test_digests import said

SETTLE = 120_000


def asked(table: Table, by: str, target: str = "$1", proof: Proof = Proof.HOMESERVER) -> Any:
    author = Author("room", f"{by}@x.test", by.title(), proof)
    return table.do(correct.correct, table.desk, Correct("pools", author, Ref("room", target)))


def go(table: Table) -> list[Any]:
    """What leaves now, and arrives."""
    items = said(table)
    open_ = rows(table, sa.select(deliveries).where(deliveries.c.state == "claimed"))
    table.do(outbox.settle, POST, [Settled(row.id, row.attempts, Sent()) for row in open_], table.now)
    return items


def mailed(table: Table, mode: str = "each") -> None:
    """Hana wrote in the room, and Bo has it by mail."""
    table.forum()
    table.member("hana", channel="room")
    table.member("mo", channel="room", role="moderator")
    table.member("bo", mode=mode)
    table.post("hana", "Forty limpets.", channel="room", name="$1")
    table.now += SETTLE
    if mode == "each":
        assert len(go(table)) == 1


def corrections(table: Table) -> list[CorrectionItem]:
    return [item for item in go(table) if isinstance(item, CorrectionItem)]


def test_what_changed_is_told_to_who_has_it(table: Table) -> None:
    mailed(table)
    table.edit("hana", "$1", "Fourteen limpets.")
    done = asked(table, "hana")
    assert done == Accepted("pools/1", "1 mailbox is told what changed.")
    (item,) = corrections(table)
    assert (item.before, item.post.text) == ("Forty limpets.", "Fourteen limpets.")


def test_nothing_is_told_that_nobody_asks_for(table: Table) -> None:
    mailed(table)
    table.edit("hana", "$1", "Fourteen limpets.")
    assert corrections(table) == []


def test_a_moderator_may_ask_and_others_may_not(table: Table) -> None:
    mailed(table)
    table.member("cy", channel="room")
    table.edit("hana", "$1", "Fourteen limpets.")
    for by, proof in (("cy", Proof.HOMESERVER), ("hana", Proof.NONE), ("nobody", Proof.HOMESERVER)):
        with pytest.raises(Rejected):
            asked(table, by, proof=proof)
    assert isinstance(asked(table, "mo"), Accepted)


def test_once_for_each_revision(table: Table) -> None:
    mailed(table)
    table.edit("hana", "$1", "Fourteen limpets.")
    asked(table, "hana")
    assert asked(table, "mo") == Duplicate("pools/1")
    assert len(corrections(table)) == 1


def test_a_second_correction_begins_where_the_first_ended(table: Table) -> None:
    mailed(table)
    for text, name in (("Thirteen limpets.", "e1"), ("Fourteen limpets.", "e2"), ("Fifteen limpets.", "e3")):
        author = Author("room", "hana@x.test", "Hana", Proof.HOMESERVER)
        edit = Edit("pools", author, Ref("room", "$1"), Ref("room", name), text)
        table.do(change.edit, table.desk, prepare(edit, table.blobs))
        table.now += 1_000
        if name != "e1":
            asked(table, "hana")
    first, second = corrections(table)
    assert first.before == "Forty limpets."
    assert second.before == "Fourteen limpets."


def test_an_edit_that_mailboxes_have_already_needs_no_correction(table: Table) -> None:
    table.forum()
    table.member("hana", channel="room")
    table.member("bo")
    table.post("hana", "Forty limpets.", channel="room", name="$1")
    table.edit("hana", "$1", "Fourteen limpets.")  # while it settles
    with pytest.raises(Rejected):
        asked(table, "hana")
    table.now += SETTLE
    go(table)
    with pytest.raises(Rejected) as refused:
        asked(table, "hana")
    assert "Nothing has changed" in refused.value.reason


def test_who_had_it_in_a_digest_is_told_too(table: Table) -> None:
    mailed(table, mode="daily")
    table.now = rows(table, sa.select(subscriptions.c.digest_at).where(subscriptions.c.mode == "daily"))[0].digest_at
    for each in table.do(digests.due, table.now, 50):
        table.do(digests.book, each, table.now)
    assert len(go(table)) == 1
    table.edit("hana", "$1", "Fourteen limpets.")
    asked(table, "hana")
    assert len(corrections(table)) == 1


def test_who_left_or_wants_no_mail_is_not_told(table: Table) -> None:
    mailed(table)
    bo = table.member("bo")
    table.edit("hana", "$1", "Fourteen limpets.")
    asked(table, "hana")
    table.do(membership.leave, table.do(lambda tx: desk_forums.get(tx, "pools").id), bo.person_id)
    assert corrections(table) == []


def test_an_answer_to_the_correction_stands_under_the_post(table: Table) -> None:
    mailed(table)
    table.edit("hana", "$1", "Fourteen limpets.")
    asked(table, "hana")
    (item,) = corrections(table)
    table.post("bo", "I see.", parents=(item.message_id,))
    answer, first = rows(table, sa.select(posts).order_by(posts.c.seq.desc()))
    assert answer.parent_id == first.id


def test_a_post_that_is_taken_back_takes_its_correction_with_it(table: Table) -> None:
    mailed(table)
    table.edit("hana", "$1", "Fourteen limpets.")
    asked(table, "hana")
    row = rows(table, sa.select(posts))[0]
    table.do(lambda tx: change.take_back(tx, table.desk, desk_forums.by_id(tx, row.forum_id), row.id, None, table.now))
    assert corrections(table) == []
    with pytest.raises(Rejected):
        asked(table, "hana")


# Receipts -------------------------------------------------------------------------------------------------------------
def receipts_of(items: list[Any]) -> list[NoticeItem]:
    return [item for item in items if isinstance(item, NoticeItem) and "first post" in item.subject]


def test_a_first_post_gets_a_receipt_once_it_has_settled(table: Table) -> None:
    table.forum()
    table.member("ana", novice=True)
    for name, mode in (("bo", "each"), ("cy", "each"), ("di", "daily")):
        table.member(name, mode=mode)
    table.post("ana", subject="Tides")
    (row,) = rows(table, sa.select(deliveries).where(deliveries.c.item_kind == "notice"))
    assert row.not_before >= table.now + SETTLE
    gone = [Settled(each.id, each.attempts, Sent()) for each in table.do(outbox.claim, POST, "me", 10, table.now)]
    table.do(outbox.settle, POST, gone, table.now)
    (receipt,) = receipts_of(said(table))
    assert receipt.subject == "Your first post: Tides"
    assert "https://talk.test/f/pools/1" in receipt.text
    assert "2 mailboxes" in receipt.text
    assert "1 reader of digests" in receipt.text
    assert "anybody can read it" in receipt.text


def test_one_receipt_for_a_person_whatever_the_forum(table: Table) -> None:
    table.forum()
    table.forum("rocks")
    table.member("ana", novice=True)
    table.member("ana", "rocks", novice=True)
    table.post("ana")
    table.post("ana", forum="rocks")
    table.post("ana")
    table.now += clock.HOUR
    assert len(receipts_of(said(table))) == 1


def test_no_receipt_for_what_was_taken_back(table: Table) -> None:
    table.forum()
    table.member("ana", novice=True)
    table.post("ana")
    row = rows(table, sa.select(posts))[0]
    table.do(lambda tx: change.take_back(tx, table.desk, desk_forums.by_id(tx, row.forum_id), row.id, None, table.now))
    table.now += clock.HOUR
    assert receipts_of(said(table)) == []


def test_a_machine_gets_no_receipt(table: Table) -> None:
    table.forum()
    table.member("ci", novice=True)
    table.do(desk_forums.set_options, "pools", {"machines": "ci@x.test"}, table.now)
    table.post("ci", automatic=True, proof=Proof.AUTHENTICATED)
    assert len(rows(table, sa.select(posts))) == 1
    table.now += clock.HOUR
    assert receipts_of(said(table)) == []
