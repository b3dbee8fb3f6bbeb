"""Digests at the desk: each post in one digest, whatever changes meanwhile; and what answers to them become."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server import clock
from server.bridge import MESSAGE_ID, DigestItem, Duplicate, Held, NoticeItem, Ref
from server.delivery import digests, items, outbox
from server.desk import change, place, sending
from server.desk import forums as desk_forums
from server.errors import Rejected
from server.people import membership
from server.store.schema import deliveries, digest_entries, posts, subscriptions, thread_marks
from server.store.schema import digests as digests_table
from tests.desk.conftest import POST, Table
from tests.desk.test_accept import rows


def furnished(table: Table, mode: str = "daily", **how: Any) -> Any:
    """A forum in which Ana posts and Bo gets digests, at seven in UTC."""
    table.now = 1_700_000_000_000 - 1_700_000_000_000 % clock.DAY + 12 * clock.HOUR
    table.forum(**how)
    table.member("ana", mode="none")
    return table.member("bo", mode=mode)


def subscription(table: Table) -> Any:
    return rows(table, sa.select(subscriptions).where(subscriptions.c.mode != "none").order_by(subscriptions.c.id))[0]


def morning(table: Table) -> None:
    """The next seven o'clock has come, and whatever is due is booked."""
    table.now = subscription(table).digest_at
    for _ in range(20):
        for each in table.do(digests.due, table.now, 50):
            table.do(digests.book, each, table.now)


def said(table: Table) -> list[Any]:
    """The items that leave now."""
    table.now += 10 * clock.MINUTE

    def work(tx: Connection) -> list[Any]:
        claimed = outbox.claim(tx, POST, "me", 100, table.now)
        ready, dropped = items.check(tx, table.desk, claimed, table.now) if claimed else ([], {})
        lots, gone = items.load(tx, table.desk, ready)
        outbox.set_aside(tx, dropped | gone, table.now)
        return [lot.item for lot in lots]

    return table.do(work)


def numbers(item: DigestItem) -> list[int]:
    return [entry.post.number for entry in item.entries]


def one(table: Table) -> DigestItem:
    (item,) = said(table)
    assert isinstance(item, DigestItem)
    return item


def retract(table: Table, seq: int) -> None:
    def work(tx: Connection) -> None:
        row = tx.execute(sa.select(posts).where(posts.c.seq == seq)).one()
        change.take_back(tx, table.desk, desk_forums.by_id(tx, row.forum_id), row.id, None, table.now)

    table.do(work)


# Booking --------------------------------------------------------------------------------------------------------------
def test_what_was_posted_since_the_last_one_comes_at_the_hour(table: Table) -> None:
    furnished(table)
    for text in ("one", "two"):
        table.post("ana", text)
    assert said(table) == []
    morning(table)
    item = one(table)
    assert numbers(item) == [1, 2]
    assert item.subject == "Pools digest, 15 Nov 2023: 2 posts"
    table.post("ana", "three")
    morning(table)
    assert numbers(one(table)) == [3]


def test_nothing_new_is_no_mail(table: Table) -> None:
    furnished(table)
    morning(table)
    before = subscription(table).digest_at
    morning(table)
    assert said(table) == []
    assert rows(table, sa.select(digests_table)) == []
    assert subscription(table).digest_at == before + clock.DAY


def test_posts_of_a_thread_stand_together(table: Table) -> None:
    furnished(table)
    table.post("ana", name="<a>", subject="Tides")
    table.post("ana", name="<b>", subject="Nets")
    table.post("ana", name="<c>", subject="Re: Tides", parents=("<a>",))
    morning(table)
    item = one(table)
    assert numbers(item) == [1, 3, 2]
    assert [entry.topic for entry in item.entries] == ["Tides", "Tides", "Nets"]
    assert len({entry.thread for entry in item.entries}) == 2
    assert [entry.answers for entry in item.entries] == ["", "Ana", ""]


def test_old_posts_that_were_imported_are_no_news(table: Table) -> None:
    furnished(table)
    table.post("ana", "old")
    table.post("ana", "new")
    table.do(lambda tx: tx.execute(posts.update().where(posts.c.seq == 1).values(imported=True)))
    morning(table)
    assert numbers(one(table)) == [2]


def test_what_came_before_one_joined_is_not_new(table: Table) -> None:
    furnished(table, mode="each")
    table.post("ana", "old")
    table.member("cy", mode="weekly")
    table.post("ana", "new")
    table.now += 8 * clock.DAY
    for each in table.do(digests.due, table.now, 50):
        table.do(digests.book, each, table.now)
    assert [numbers(item) for item in said(table) if isinstance(item, DigestItem)] == [[2]]


def test_own_posts_only_for_who_wants_them(table: Table) -> None:
    furnished(table)
    table.post("bo", "mine")
    table.post("ana", "hers")
    morning(table)
    assert numbers(one(table)) == [2]
    table.do(sending.set_subscription, subscription(table).id, {"own_posts": True}, table.now)
    table.post("bo", "mine again")
    morning(table)
    assert numbers(one(table)) == [3]


def test_a_muted_thread_stays_out(table: Table) -> None:
    bo = furnished(table)
    table.post("ana", name="<a>")
    table.post("ana", name="<b>", subject="Nets")
    thread = rows(table, sa.select(posts.c.thread_id).where(posts.c.seq == 1))[0].thread_id
    mark = {"person_id": bo.person_id, "thread_id": thread, "mark": "muted", "at": table.now}
    table.do(lambda tx: tx.execute(thread_marks.insert().values(**mark)))
    morning(table)
    assert numbers(one(table)) == [2]


def test_what_was_taken_back_before_it_left_does_not_leave(table: Table) -> None:
    furnished(table)
    for text in ("one", "two"):
        table.post("ana", text)
    morning(table)
    retract(table, 1)
    assert numbers(one(table)) == [2]


def test_a_digest_of_which_nothing_is_left_is_dropped(table: Table) -> None:
    furnished(table)
    table.post("ana")
    morning(table)
    retract(table, 1)
    assert said(table) == []
    assert [row.state for row in rows(table, sa.select(deliveries))] == ["dropped"]


def test_words_that_may_still_be_mended_settle_first(table: Table) -> None:
    furnished(table)
    table.now = subscription(table).digest_at - 1_000
    table.post("ana", "just now")
    morning(table)
    (row,) = rows(table, sa.select(deliveries).where(deliveries.c.item_kind == "digest"))
    assert row.not_before == table.now - 1_000 + 120_000


def test_very_many_posts_come_in_several_mails_and_none_is_left_out(table: Table) -> None:
    furnished(table)
    most = digests.MOST
    for n in range(most + 7):
        table.post("ana", f"number {n}")
    morning(table)
    found = [numbers(item) for item in said(table)]
    assert [len(each) for each in found] == [most, 7]
    assert [number for each in found for number in each] == list(range(1, most + 8))


def test_one_post_in_two_forums_is_in_one_digest(table: Table) -> None:
    furnished(table)
    table.forum("rocks")
    for name, mode in (("ana", "none"), ("bo", "daily")):
        table.member(name, "rocks", mode=mode)
    table.post("ana", "both", name="<both>")
    table.post("ana", "both", name="<both>", forum="rocks")
    morning(table)
    assert [numbers(item) for item in said(table)] == [[1]]


@pytest.mark.parametrize("how", ["left", "banned", "leave"])
def test_who_is_gone_gets_nothing_more(table: Table, how: str) -> None:
    bo = furnished(table)
    forum = table.do(lambda tx: desk_forums.get(tx, "pools").id)
    table.post("ana")
    morning(table)
    if how == "banned":
        table.do(membership.set_member, forum, bo.person_id, {"state": "banned"})
    elif how == "left":
        table.do(membership.leave, forum, bo.person_id)
    else:
        table.do(membership.end_subscription, subscription(table).id)
    assert said(table) == []
    table.now += 2 * clock.DAY
    assert table.do(digests.due, table.now, 50) == []


def test_a_booking_that_was_made_is_not_made_again(table: Table) -> None:
    furnished(table)
    table.post("ana")
    morning(table)
    table.do(digests.book, subscription(table).id, table.now)
    assert len(rows(table, sa.select(digest_entries))) == 1


# Changes of mind ------------------------------------------------------------------------------------------------------
def test_from_digests_to_each_post_the_rest_comes_at_once(table: Table) -> None:
    furnished(table)
    table.post("ana", "waits")
    table.do(sending.set_subscription, subscription(table).id, {"mode": "each"}, table.now)
    table.post("ana", "by itself")
    found = said(table)
    assert [numbers(item) for item in found if isinstance(item, DigestItem)] == [[1]]
    assert [item.post.number for item in found if not isinstance(item, DigestItem)] == [2]
    table.now += 9 * clock.DAY
    assert table.do(digests.due, table.now, 50) == []


def test_from_each_post_to_digests_nothing_comes_twice(table: Table) -> None:
    furnished(table, mode="each")
    table.post("ana", "by itself")
    table.do(sending.set_subscription, subscription(table).id, {"mode": "daily"}, table.now)
    table.post("ana", "in the digest")
    assert [item.post.number for item in said(table)] == [1]
    morning(table)
    assert numbers(one(table)) == [2]


def test_who_wants_nothing_gets_no_rest(table: Table) -> None:
    furnished(table)
    table.post("ana")
    table.do(sending.set_subscription, subscription(table).id, {"mode": "none"}, table.now)
    assert said(table) == []


def test_from_daily_to_weekly_what_waits_goes_on_waiting(table: Table) -> None:
    furnished(table)
    table.post("ana")
    table.do(sending.set_subscription, subscription(table).id, {"mode": "weekly", "digest_day": 2}, table.now)
    due = dt.datetime.fromtimestamp(subscription(table).digest_at / 1_000, dt.UTC)
    assert (due.weekday(), due.hour) == (2, 7)
    morning(table)
    assert numbers(one(table)) == [1]


def test_another_time_zone_moves_the_hour(table: Table) -> None:
    bo = furnished(table)
    table.do(sending.set_person, bo.person_id, {"timezone": "Asia/Tokyo"}, table.now)
    assert dt.datetime.fromtimestamp(subscription(table).digest_at / 1_000, dt.UTC).hour == 22


def test_who_comes_back_begins_with_what_is_new(table: Table) -> None:
    bo = furnished(table)
    forum = table.do(lambda tx: desk_forums.get(tx, "pools").id)
    table.do(membership.leave, forum, bo.person_id)
    table.post("ana", "while away")
    table.do(membership.join, forum, bo.person_id, bo.address_id, table.now, "daily")
    table.post("ana", "back again")
    morning(table)
    assert numbers(one(table)) == [2]


# Answers --------------------------------------------------------------------------------------------------------------
def digested(table: Table) -> DigestItem:
    """Bo was sent a digest of two posts."""
    furnished(table)
    table.post("ana", name="<a>", subject="Tides")
    table.post("ana", name="<b>", subject="Nets")
    morning(table)
    return one(table)


def latest(table: Table) -> Any:
    return rows(table, sa.select(posts).order_by(posts.c.id.desc()))[0]


def test_an_answer_to_an_item_goes_under_that_post(table: Table) -> None:
    item = digested(table)
    for entry in item.entries:
        done = table.post("bo", "yes", subject=f"Re: {item.subject}", parents=(item.message_id,), item=entry.reply)
        assert done.post is not None
        row = latest(table)
        assert (row.parent_id, row.thread_id, row.subject) == (entry.post.id, entry.thread, f"Re: {entry.topic}")


def test_an_address_gives_nobody_an_identity(table: Table) -> None:
    item = digested(table)
    held = table.post("eve", "let me in", item=item.entries[0].reply)
    assert isinstance(held, Held)
    assert table.post("ana", "hello", item=item.entries[0].reply).post == "pools/3"
    assert latest(table).author_name == "Ana"


@pytest.mark.parametrize("token", ["a" * 26, "not a token", ""])
def test_an_address_that_was_never_printed_is_none(table: Table, token: str) -> None:
    digested(table)
    with pytest.raises(Rejected) as refused:
        table.post("bo", item=token)
    assert refused.value.code == "5.1.1"


def test_an_item_of_another_forum_is_none(table: Table) -> None:
    item = digested(table)
    table.forum("rocks")
    table.member("bo", "rocks")
    with pytest.raises(Rejected):
        table.post("bo", forum="rocks", item=item.entries[0].reply)


@pytest.mark.parametrize("way", ["header", "address", "subject", "localised subject"])
def test_an_answer_to_the_whole_is_asked_about_and_not_posted(table: Table, way: str) -> None:
    item = digested(table)
    how: dict[str, Any] = {"subject": "Re: something"}
    match way:
        case "header":
            how["parents"] = (item.message_id,)
        case "address":
            how["item"] = item.reply
        case "subject":
            how["subject"] = f"Re: {item.subject}"
        case _:
            how["subject"] = f"AW: Re[2]: {item.subject.upper()}"
    done = table.post("bo", "I have\n\ntwo nets.", name="<answer>", **how)
    assert done.post is None
    assert len(rows(table, sa.select(posts))) == 2
    (notice,) = said(table)
    assert isinstance(notice, NoticeItem)
    for entry in item.entries:
        assert f"pools-item+{entry.reply}@x.test" in notice.text
        assert entry.topic in notice.text
    assert "> I have\n>\n> two nets." in notice.text
    assert notice.in_reply_to == ("<answer>",)


def test_it_is_asked_once_a_day_and_no_words_are_lost(table: Table) -> None:
    item = digested(table)
    table.post("bo", "one", name="<one>", item=item.reply)
    assert table.post("bo", "one", name="<one>", item=item.reply) == Duplicate()
    with pytest.raises(Rejected):  # so that the words go back to who wrote them
        table.post("bo", "two", name="<two>", item=item.reply)
    assert len(said(table)) == 1
    table.now += clock.DAY
    table.post("bo", "two", name="<two>", item=item.reply)
    assert len(said(table)) == 1


def test_machines_and_strangers_are_not_asked(table: Table) -> None:
    item = digested(table)
    with pytest.raises(Rejected):
        table.post("bo", "I am away", item=item.reply, automatic=True)
    with pytest.raises(Rejected):
        table.post("eve", "hello", item=item.reply)
    with pytest.raises(Rejected):
        table.post("eve", "hello", parents=(item.message_id,))
    assert said(table) == []


def test_a_topic_that_only_looks_like_a_digest_is_posted(table: Table) -> None:
    digested(table)
    assert table.post("bo", subject="Pools digest, 15 Nov 2023: 3 posts").post == "pools/3"
    assert table.post("ana", subject="Re: Pools digest, 15 Nov 2023: 2 posts").post == "pools/4"  # she was sent none


def test_a_reply_in_a_real_thread_is_one_whatever_its_subject(table: Table) -> None:
    item = digested(table)
    assert table.post("bo", subject=f"Re: {item.subject}", parents=("<a>",)).post == "pools/3"


def test_names_of_digests_are_no_names_of_posts(table: Table) -> None:
    item = digested(table)
    table.post("bo", "yes", parents=(item.message_id,), item=item.entries[0].reply)
    known = table.do(lambda tx: desk_forums.get(tx, "pools").id)
    assert table.do(place.find, known, [Ref(MESSAGE_ID, item.message_id)]) is None
