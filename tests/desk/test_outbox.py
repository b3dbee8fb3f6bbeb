"""The queue: nothing twice while all is well, nothing lost when a process dies, order where it is asked for."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from server.bridge import Failed, Later, Sent, Traits
from server.delivery import outbox
from server.delivery.outbox import Settled
from server.store.schema import attempts, deliveries
from tests.desk.conftest import POST, ROOM, Table
from tests.desk.test_accept import booked, rows


def claim(table: Table, traits: Traits = POST, holder: str = "me", limit: int = 100) -> list[tuple[int, int]]:
    return [(row.id, row.attempts) for row in table.do(outbox.claim, traits, holder, limit, table.now)]


def settle(table: Table, delivery: int, attempt: int, outcome: Sent | Later | Failed, traits: Traits = POST) -> None:
    table.do(outbox.settle, traits, [Settled(delivery, attempt, outcome)], table.now)


def furnished(table: Table, posts: int = 1) -> None:
    table.forum()
    table.member("ana")
    table.member("bo")
    for _ in range(posts):
        table.post("ana")


def test_a_claim_is_nobody_elses(table: Table) -> None:
    furnished(table)
    assert claim(table, holder="one") == [(1, 1)]
    assert claim(table, holder="two") == []


def test_sent_is_final_and_every_attempt_is_kept(table: Table) -> None:
    furnished(table)
    claim(table)
    settle(table, 1, 1, Later("greylisted", "4.7.1"))
    table.now += 1_000
    assert claim(table) == [(1, 2)]
    settle(table, 1, 2, Sent())
    (row,) = booked(table)
    assert (row.state, row.attempts, row.detail) == ("sent", 2, None)
    told = rows(table, sa.select(attempts.c.number, attempts.c.outcome, attempts.c.code).order_by(attempts.c.id))
    assert [tuple(line) for line in told] == [(1, "later", "4.7.1"), (2, "sent", "")]


def test_the_next_attempt_is_booked_before_this_one(table: Table) -> None:
    furnished(table)
    claim(table)
    assert booked(table)[0].not_before == table.now + POST.backoff_ms[0]


def test_an_answer_to_a_claim_that_was_lost_changes_nothing(table: Table) -> None:
    furnished(table)
    claim(table, holder="slow")
    table.do(outbox.free_claims, table.now, ["slow"])
    assert claim(table, holder="quick") == [(1, 2)]
    settle(table, 1, 1, Failed("too late"))
    assert booked(table)[0].state == "claimed"
    settle(table, 1, 2, Sent())
    assert booked(table)[0].state == "sent"


def test_claims_of_the_dead_and_of_the_very_slow_are_due_again(table: Table) -> None:
    furnished(table, 2)
    claim(table, holder="dead", limit=1)
    claim(table, holder="slow", limit=1)
    assert table.do(outbox.free_claims, table.now, ["dead"]) == 1
    table.now += POST.lease_ms + 1
    assert table.do(outbox.free_claims, table.now) == 1
    assert len(claim(table)) == 2


def test_what_waits_too_long_fails_and_can_be_asked_for_again(table: Table) -> None:
    furnished(table)
    claim(table)
    table.now += POST.give_up_ms
    settle(table, 1, 1, Later("still away"))
    assert booked(table)[0].state == "failed"
    assert table.do(outbox.retry, [1], table.now) == 1
    assert claim(table) == [(1, 2)]


def test_the_far_side_says_when(table: Table) -> None:
    furnished(table)
    claim(table)
    settle(table, 1, 1, Later("429", after_ms=7_000))
    assert booked(table)[0].not_before == table.now + 7_000


def test_order_holds_per_thread_and_a_failure_blocks_nobody(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.member("hall", channel="room")
    table.post("ana", name="<a>")
    table.post("ana", name="<b>", parents=("<a>",))
    table.post("ana", name="<c>")
    assert claim(table, ROOM) == [(1, 1), (3, 1)]  # the second of the first thread waits for the first
    settle(table, 1, 1, Later("away"), ROOM)
    assert claim(table, ROOM) == []
    table.now += 1_000
    claim(table, ROOM)
    settle(table, 1, 2, Failed("bad event"), ROOM)
    assert claim(table, ROOM) == [(2, 1)]


def test_a_wide_post_is_booked_in_slices(table: Table) -> None:
    from server.delivery import upkeep
    from server.desk import book

    table.forum()
    table.member("ana")
    for n in range(7):
        table.member(f"m{n}")
    wide, slice_ = book.FANOUT, book.SLICE
    book.FANOUT, book.SLICE = 5, 3
    try:
        table.post("ana")
    finally:
        book.FANOUT, book.SLICE = wide, slice_
    assert len(booked(table)) == 2  # of the first three subscriptions, one is the author's
    assert table.do(upkeep._book_slice, table.desk)
    assert len(booked(table)) == 5
    while table.do(upkeep._book_slice, table.desk):
        pass
    assert len(booked(table)) == len({row.address_id for row in booked(table)}) == 7


def test_backoff_grows_to_its_last_step() -> None:
    traits = replace(POST, backoff_ms=(10, 20, 40))
    assert [outbox.pause(traits, attempt) for attempt in (1, 2, 3, 4, 99)] == [10, 20, 40, 40, 40]


def test_dropped_by_the_operator_never_leaves(table: Table) -> None:
    furnished(table)
    assert table.do(outbox.drop, [1], table.now) == 1
    assert claim(table) == []
    assert rows(table, sa.select(deliveries.c.state))[0].state == "dropped"
