"""Whether a mailbox is well: what counts, what does not, and how somebody learns that their mail stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from server import clock
from server.bridge import (
    Accepted,
    Author,
    Bounce,
    Failed,
    Join,
    Later,
    Lot,
    Outcome,
    Proof,
    Refusal,
    Report,
    Settle,
    Undelivered,
)
from server.delivery import health, items, outbox
from server.delivery.courier import Courier
from server.desk import members
from server.errors import Rejected
from server.people import handles, identity, membership, subscriptions
from server.store.schema import audit, bounces, deliveries, letters, memberships
from server.store.schema import subscriptions as subscribed
from tests.desk.conftest import POST, Table
from tests.desk.test_accept import booked, rows

GONE, MISSED, OURS = Refusal.GONE, Refusal.MISSED, Refusal.OURS


class Shore:
    """Ana writes; Bo's mailbox is not well. Bo has a second address, which he proved."""

    def __init__(self, table: Table) -> None:
        self.table = table
        table.forum()
        table.member("ana")
        self.bo = table.member("bo")
        self.subscription = rows(table, sa.select(subscribed.c.id).where(subscribed.c.person_id == self.bo.person_id))[
            0
        ].id

    def also_at(self, address: str, channel: str = "room", verified: bool = True) -> int:
        """Another address of Bo's."""

        def work(tx: sa.Connection) -> int:
            known = identity.ensure(tx, channel, address, "", self.table.now, verified=verified)
            tx.execute(sa.text(f"UPDATE addresses SET person_id={self.bo.person_id} WHERE id={known.address_id}"))
            return known.address_id

        return self.table.do(work)

    def token(self, kind: str = "bounces") -> str:
        return self.table.do(handles.printed, self.table.desk.secret, kind, self.subscription)

    def bounces(self, refusal: Refusal, kind: str = "bounces", words: str = "550 5.1.1 no such mailbox") -> Any:
        return self.table.do(
            members.bounce, self.table.desk, Bounce("pools", self.token(kind), refusal, "5.1.1", words)
        )

    def days(self, count: int, refusal: Refusal, apart: int = 1) -> None:
        """A bounce on each of so many days."""
        for _ in range(count):
            self.table.now += apart * clock.DAY
            self.bounces(refusal)

    @property
    def row(self) -> Any:
        return self.table.do(subscriptions.by_id, self.subscription)

    def notices(self, template: str) -> list[Any]:
        joined = sa.select(letters.c.data, deliveries).join(deliveries, deliveries.c.item_id == letters.c.id)
        return rows(self.table, joined.where(letters.c.template == template, deliveries.c.item_kind == "notice"))

    def is_stopped(self) -> None:
        self.days(3, GONE)
        self.bounces(GONE, "probe")
        assert self.row.state == "stopped"


@pytest.fixture
def shore(table: Table) -> Shore:
    return Shore(table)


def test_after_three_days_a_probe_asks_and_nothing_stops_yet(shore: Shore) -> None:
    shore.days(2, GONE)
    assert shore.notices("probe") == []
    shore.days(1, GONE)
    (probe,) = shore.notices("probe")
    assert (probe.address_id, probe.subscription_id) == (shore.bo.address_id, shore.subscription)
    assert "550 5.1.1 no such mailbox" in probe.data
    assert (shore.row.state, shore.row.probed_at) == ("active", shore.table.now)
    shore.days(3, GONE)
    assert len(shore.notices("probe")) == 1
    assert shore.row.state == "active"


@pytest.mark.parametrize(("own", "recorded"), [(MISSED, [False]), (GONE, [True]), (None, [])])
def test_of_a_report_on_several_only_the_mailbox_itself_counts(
    shore: Shore, own: Refusal | None, recorded: list[bool]
) -> None:
    each = (Undelivered("else@x.test", GONE, "5.1.1"), Undelivered("bo@x.test", own, "4.2.2"))
    told = Bounce("pools", shore.token(), MISSED, "4.4.1", each=each)
    shore.table.do(members.bounce, shore.table.desk, told)
    assert [row.permanent for row in rows(shore.table, sa.select(bounces))] == recorded


def test_a_probe_that_comes_back_stops_the_mail_and_not_the_membership(shore: Shore) -> None:
    room = shore.also_at("@bo:room.test")
    shore.also_at("@unproved:room.test", verified=False)
    shore.also_at("elsewhere", channel="carrier-pigeon")
    shore.is_stopped()
    assert (shore.row.stop_reason, shore.row.stopped_at) == ("bounces", shore.table.now)
    (told,) = shore.notices("stopped-bounces")
    assert (told.channel, told.address_id) == ("room", room)
    assert "bo@x.test" in told.data
    member = shore.table.do(membership.of, shore.bo.person_id, 1)
    assert member is not None
    assert member.state == "active"
    (noted,) = rows(shore.table, sa.select(audit).where(audit.c.verb == "stop"))
    assert noted.detail == "bounces: 550 5.1.1 no such mailbox"


def test_a_stopped_mailbox_gets_nothing_more(shore: Shore) -> None:
    shore.days(3, GONE)
    shore.table.post("ana")
    shore.bounces(GONE, "probe")
    shore.table.post("ana")
    (row,) = [each for each in booked(shore.table) if each.subscription_id == shore.subscription]  # before the stop
    claimed = shore.table.do(outbox.claim, POST, "me", 100, shore.table.now)
    ready, dropped = shore.table.do(items.check, shore.table.desk, claimed, shore.table.now)
    assert dropped[row.id] == "no longer subscribed"
    assert [each for each in ready if each.kind == "post"] == []


def test_one_bad_day_is_one_day(shore: Shore) -> None:
    for _ in range(50):
        shore.bounces(GONE)
    assert shore.row.bounce_score == 1_000
    assert shore.notices("probe") == []
    assert len(rows(shore.table, sa.select(bounces))) == health.NOTES_A_DAY


def test_a_day_counts_by_its_worst(shore: Shore) -> None:
    shore.bounces(MISSED)
    assert shore.row.bounce_score == 400
    shore.bounces(GONE)
    assert shore.row.bounce_score == 1_000
    shore.bounces(MISSED)
    assert shore.row.bounce_score == 1_000


def test_a_full_mailbox_is_asked_after_eight_days(shore: Shore) -> None:
    shore.days(7, MISSED)
    assert shore.notices("probe") == []
    shore.days(1, MISSED)
    assert len(shore.notices("probe")) == 1


def test_a_mailbox_that_is_full_each_friday_is_never_asked(shore: Shore) -> None:
    shore.days(52, MISSED, apart=7)
    assert shore.notices("probe") == []
    shore.days(4, GONE, apart=7)
    assert len(shore.notices("probe")) == 1


def test_what_is_said_of_our_own_mail_counts_for_nothing(shore: Shore) -> None:
    shore.days(30, OURS)
    assert (shore.row.bounce_score, rows(shore.table, sa.select(bounces))) == (0, [])
    shore.days(3, GONE)
    shore.bounces(OURS, "probe")
    assert shore.row.state == "active"


def test_a_probe_that_arrived_clears_the_record(shore: Shore) -> None:
    shore.days(3, GONE)
    shore.table.do(health.sweep, shore.table.now + health.PROBE_WAIT)
    assert shore.row.probed_at is not None
    shore.table.do(health.sweep, shore.table.now + health.PROBE_WAIT + 1)
    assert (shore.row.state, shore.row.bounce_score, shore.row.probed_at) == ("active", 0, None)
    shore.table.now += health.PROBE_WAIT + clock.DAY
    shore.bounces(GONE, "probe")  # too late to be about the probe: it counts as a day
    assert (shore.row.state, shore.row.bounce_score) == ("active", 1_000)


def test_what_is_old_is_forgotten(shore: Shore) -> None:
    shore.bounces(GONE)
    shore.table.do(health.sweep, shore.table.now + health.KEPT)
    assert len(rows(shore.table, sa.select(bounces))) == 1
    shore.table.do(health.sweep, shore.table.now + health.KEPT + 1)
    assert rows(shore.table, sa.select(bounces)) == []
    assert shore.row.bounced_at is None


def test_a_stopped_mailbox_stays_stopped_however_old(shore: Shore) -> None:
    shore.is_stopped()
    shore.table.do(health.sweep, shore.table.now + 10 * health.KEPT)
    assert (shore.row.state, shore.row.stop_reason) == ("stopped", "bounces")


def test_a_complaint_stops_at_once_and_ends_nothing(shore: Shore) -> None:
    second = shore.also_at("bo@second.test", channel="post")
    for _ in range(2):
        said = shore.table.do(members.report, shore.table.desk, Report("pools", shore.token(), "abuse"))
        assert said == Accepted()
    assert (shore.row.state, shore.row.stop_reason) == ("stopped", "complaint")
    (told,) = shore.notices("stopped-complaint")
    assert told.address_id == second
    assert shore.notices("probe") == []
    states = rows(shore.table, sa.select(memberships.c.state))
    assert {each.state for each in states} == {"active"}


def test_where_very_many_fail_it_is_us(shore: Shore) -> None:
    shore.table.desk = replace(shore.table.desk, operator=("post", "root@x.test"))

    def others(tx: sa.Connection) -> None:
        for number in range(health.MANY):
            known = identity.ensure(tx, "post", f"m{number}@x.test", "", shore.table.now, verified=True)
            made = membership.join(tx, 1, known.person_id, known.address_id, shore.table.now)
            assert made is not None
            subscriptions.stop(tx, made, "bounces", shore.table.now + 3 * clock.DAY)

    shore.table.do(others)
    shore.days(3, GONE)
    shore.bounces(GONE, "probe")
    shore.bounces(GONE, "probe")
    assert (shore.row.state, shore.row.probed_at) == ("active", None)
    assert len(shore.notices("many-bounces")) == 1
    shore.days(1, GONE)
    assert len(shore.notices("probe")) == 2
    shore.bounces(GONE, "probe")
    assert shore.row.state == "stopped"  # a day later these twenty are yesterday's


def test_a_room_is_never_stopped(shore: Shore) -> None:
    def attach(tx: sa.Connection) -> int:
        return subscriptions.attach_room(tx, 1, identity.ensure_room(tx, "room", "!pools", 1), 1)

    room = shore.table.do(attach)
    for _ in range(9):
        shore.table.now += clock.DAY
        shore.table.do(health.bounced, shore.table.desk, room, GONE, "5.1.1", "")
    row = shore.table.do(subscriptions.by_id, room)
    assert (row.state, row.bounce_score) == ("active", 0)


def test_a_token_that_we_never_printed_is_refused(shore: Shore) -> None:
    for kind in ("leave", "via"):
        with pytest.raises(Rejected, match="no such address"):
            shore.bounces(GONE, kind)
    with pytest.raises(Rejected):
        shore.table.do(members.report, shore.table.desk, Report("pools", "a" * 26, "abuse"))


def test_the_probe_carries_a_token_of_its_own(shore: Shore) -> None:
    shore.days(3, GONE)
    claimed = shore.table.do(outbox.claim, POST, "me", 100, shore.table.now)
    (ready,), _dropped = shore.table.do(items.check, shore.table.desk, claimed, shore.table.now)
    (lot,), _gone = shore.table.store.read_now(items.load, shore.table.desk, [ready])
    (target,) = lot.targets
    assert target.tokens == {"bounces": shore.token("probe")}
    assert shore.token("probe") != shore.token("bounces")
    assert "bo@x.test came back" in lot.item.text  # type: ignore[union-attr]


# Coming back ------------------------------------------------------------------------------------------------------------
def test_resuming_begins_with_a_clean_record_and_the_same_wishes(shore: Shore) -> None:
    shore.table.do(subscriptions.change, shore.subscription, {"mode": "mentions"})
    shore.is_stopped()
    (stopped,) = shore.table.do(subscriptions.stopped_of, shore.bo.person_id)
    assert (stopped.slug, stopped.title) == ("pools", "Pools")
    shore.table.do(health.resume, stopped, "person:2", shore.table.now)
    row = shore.row
    assert (row.state, row.mode, row.bounce_score, row.bounced_at, row.stop_reason, row.stopped_at) == (
        "active", "mentions", 0, None, "", None,
    )  # fmt: skip
    assert shore.table.do(subscriptions.stopped_of, shore.bo.person_id) == []


def test_a_stopped_mailbox_may_ask_to_join_and_its_answer_resumes(shore: Shore) -> None:
    shore.table.do(subscriptions.change, shore.subscription, {"mode": "topics"})
    shore.is_stopped()
    asked = Join("pools", Author("post", "bo@x.test", "Bo", Proof.NONE))
    shore.table.do(members.join, shore.table.desk, asked)
    assert len(shore.notices("confirm-join")) == 1
    assert shore.row.state == "stopped"
    shore.table.do(membership.join, 1, shore.bo.person_id, shore.bo.address_id, shore.table.now)
    assert (shore.row.state, shore.row.mode, shore.row.bounce_score) == ("active", "topics", 0)


# What the relay refuses ---------------------------------------------------------------------------------------------------
class Refusing:
    """A bridge whose relay gives everybody the same answer."""

    traits = POST

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.said = 0

    async def prepare(self) -> None: ...

    async def run(self) -> None: ...

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        for target in lot.targets:
            settle(target, self.outcome)
            self.said += 1


async def courier(table: Table, bridge: Refusing, until: Callable[[], bool]) -> None:
    task = asyncio.create_task(Courier(table.store, table.desk, bridge, "me").run())
    async with asyncio.timeout(30):
        while not until():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_the_relay_refuses_counts_as_what_comes_back(shore: Shore) -> None:
    far = Refusing(Failed("550 5.1.1 no such mailbox", "5.1.1", GONE))
    for day in range(1, 4):
        shore.table.now += clock.DAY
        shore.table.post("ana")
        shore.table.post("ana")
        if day < 3:
            await courier(shore.table, far, lambda day=day: len(rows(shore.table, sa.select(bounces))) == 2 * day)  # type: ignore[misc]
    await courier(shore.table, far, lambda: shore.row.state == "stopped")
    assert len(shore.notices("probe")) == 1
    assert (shore.row.stop_reason, far.said) == ("bounces", 7)


@pytest.mark.parametrize("outcome", [Failed("554 5.7.1 no relaying", "5.7.1"), Failed("552 too big", "5.3.4", OURS)])
async def test_what_the_relay_refuses_of_us_says_nothing(shore: Shore, outcome: Failed) -> None:
    for _ in range(5):
        shore.table.now += clock.DAY
        shore.table.post("ana")
    await courier(shore.table, Refusing(outcome), lambda: all(row.state == "failed" for row in booked(shore.table)))
    assert (shore.row.bounce_score, rows(shore.table, sa.select(bounces))) == (0, [])


async def test_what_was_refused_for_now_until_it_was_given_up_counts_once(shore: Shore) -> None:
    far = Refusing(Later("452 4.2.2 mailbox full", "4.2.2", refusal=MISSED))
    shore.table.post("ana")
    await courier(shore.table, far, lambda: booked(shore.table)[0].attempts == 1 and far.said == 1)
    assert rows(shore.table, sa.select(bounces)) == []
    shore.table.now += POST.give_up_ms
    await courier(shore.table, far, lambda: booked(shore.table)[0].state == "failed")
    (noted,) = rows(shore.table, sa.select(bounces))
    assert (noted.permanent, noted.status, noted.diagnostic) == (False, "4.2.2", "452 4.2.2 mailbox full")


async def test_a_relay_that_was_away_until_all_was_given_up_says_nothing_of_a_mailbox(shore: Shore) -> None:
    shore.table.post("ana")
    shore.table.now += POST.give_up_ms
    away = Refusing(Later("nobody answers", "4.4.1", down=True))
    await courier(shore.table, away, lambda: booked(shore.table)[0].state == "failed")
    assert rows(shore.table, sa.select(bounces)) == []


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from([GONE, MISSED])), max_size=60))
def test_a_score_fades_and_is_bounded(days: Sequence[tuple[int, Refusal]]) -> None:
    class Row:
        bounce_score = 0
        bounced_at: int | None = None

    row, now = Row(), 0
    for pause, refusal in days:
        now += max(pause, 1) * clock.DAY
        assert health.score(row, now) <= row.bounce_score  # type: ignore[arg-type]
        row.bounce_score, row.bounced_at = health.score(row, now) + health.WEIGHTS[refusal], now  # type: ignore[arg-type]
    assert row.bounce_score < 22_000
    assert health.score(row, now + 365 * clock.DAY) == 0  # type: ignore[arg-type]
