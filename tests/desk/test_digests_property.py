"""Whatever happens in whatever order, each post reaches a member once: by itself or in a digest, as they wanted it when it was posted."""

from __future__ import annotations

import itertools
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from server import clock
from server.delivery import digests
from server.desk import sending
from server.people.schedule import DIGESTS
from server.store.schema import deliveries, digest_entries, posts, subscriptions
from server.store.schema import digests as digests_table
from tests.desk.conftest import Table
from tests.desk.test_accept import rows

NIGHTS = (1_774_700_000_000, 1_792_800_000_000)  # clocks change in much of the world soon after these
ZONES = st.sampled_from(sorted(zoneinfo.available_timezones()))
STEPS = st.one_of(
    st.just(("post", None)),
    st.tuples(st.just("hours"), st.integers(1, 60)),
    st.just(("book", None)),
    st.just(("cut", None)),  # the power goes while something is booked
    st.tuples(st.just("zone"), ZONES),
    st.tuples(st.just("hour"), st.integers(0, 23)),
    st.tuples(st.just("mode"), st.sampled_from(["each", "daily", "weekly", "none"])),
)
forums_made = itertools.count()


class PowerCut(Exception):
    pass


class Reader:
    """Bo, in a forum of this example alone, and what should reach him."""

    def __init__(self, table: Table, start: int) -> None:
        self.table, self.slug = table, f"f{next(forums_made)}"
        table.now = start
        self.forum = table.forum(self.slug)
        table.member("ana", self.slug, mode="none")
        self.bo = table.member("bo", self.slug, mode="daily")
        self.mode = "daily"
        self.wanted: set[int] = set()
        self.waiting: set[int] = set()
        mine = (subscriptions.c.forum_id == self.forum, subscriptions.c.person_id == self.bo.person_id)
        self.subscription = int(rows(table, sa.select(subscriptions.c.id).where(*mine))[0].id)

    def post(self, _value: Any) -> None:
        seq = int(self.table.post("ana", forum=self.slug).post.rpartition("/")[2])
        if self.mode in DIGESTS:
            self.waiting.add(seq)
        elif self.mode == "each":
            self.wanted.add(seq)

    def hours(self, count: int) -> None:
        self.table.now += count * clock.HOUR

    def book(self, _value: Any) -> None:
        now = self.table.now
        if self.subscription in self.table.do(digests.due, now, 1_000):
            self.table.do(digests.book, self.subscription, now)
            self.wanted |= self.waiting
            self.waiting.clear()

    def cut(self, _value: Any) -> None:
        def booking(tx: Connection) -> None:
            digests.book(tx, self.subscription, self.table.now)
            raise PowerCut

        with pytest.raises(PowerCut):
            self.table.do(booking)

    def zone(self, name: str) -> None:
        self.table.do(sending.set_person, self.bo.person_id, {"timezone": name}, self.table.now)

    def hour(self, hour: int) -> None:
        self.table.do(sending.set_subscription, self.subscription, {"digest_hour": hour}, self.table.now)

    def to_mode(self, mode: str) -> None:
        self.table.do(sending.set_subscription, self.subscription, {"mode": mode}, self.table.now)
        if mode not in DIGESTS:
            self.wanted |= self.waiting if mode == "each" else set()
            self.waiting.clear()
        self.mode = mode

    def got(self) -> list[int]:
        """The numbers of the posts that are booked for him, by themselves and in digests."""
        alone = (
            sa.select(posts.c.seq)
            .join_from(deliveries, posts, posts.c.id == deliveries.c.item_id)
            .where(deliveries.c.item_kind == "post", deliveries.c.subscription_id == self.subscription)
        )
        together = (
            sa.select(posts.c.seq)
            .join_from(digest_entries, posts, posts.c.id == digest_entries.c.post_id)
            .join(digests_table, digests_table.c.id == digest_entries.c.digest_id)
            .where(digests_table.c.subscription_id == self.subscription)
        )
        return sorted(row.seq for query in (alone, together) for row in rows(self.table, query))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    made = Table(Path(tmp_path_factory.mktemp("digests")))
    yield made
    made.store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, max_size=30), st.sampled_from(NIGHTS))
def test_each_post_comes_once(shared: Table, steps: list[tuple[str, Any]], start: int) -> None:
    reader = Reader(shared, start)
    for step, value in steps:
        getattr(reader, "to_mode" if step == "mode" else step)(value)
    reader.hours(24 * 9)  # nothing waits longer than a week and a day
    reader.book(None)
    assert reader.waiting == set()
    assert reader.got() == sorted(reader.wanted)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ZONES, st.integers(0, 23), st.sampled_from(NIGHTS))
def test_nights_when_clocks_change_make_one_digest_a_day(shared: Table, zone: str, hour: int, start: int) -> None:
    reader = Reader(shared, start)
    reader.zone(zone)
    reader.hour(hour)
    for at in range(24 * 4):
        if at % 4 == 0:
            reader.post(None)
        reader.hours(1)
        reader.book(None)
    made = rows(shared, sa.select(digests_table).where(digests_table.c.subscription_id == reader.subscription))
    assert 3 <= len(made) <= 5
    assert reader.got() == sorted(reader.wanted)


def test_the_model_would_notice(shared: Table) -> None:
    reader = Reader(shared, NIGHTS[0])
    reader.post(None)
    reader.hours(48)
    assert reader.got() == []
    reader.book(None)
    assert reader.got() == [1]
