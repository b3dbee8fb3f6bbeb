"""The hour of a digest: once for each day, whatever the clocks of a place do."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import clock
from server.people.schedule import next_digest

ZONES = sorted(zoneinfo.available_timezones())


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp()) * 1_000


def times(zone: str, hour: int, since: str, count: int, mode: str = "daily", day: int = 0) -> list[str]:
    """The next digests, as somebody there reads them off the clock."""
    at, found = ms(since), []
    for _ in range(count):
        at = next_digest(mode, hour, day, zone, at)
        there = dt.datetime.fromtimestamp(at / 1_000, clock.zone(zone) or dt.UTC)
        found.append(there.strftime("%a %d %H:%M %z"))
    return found


def test_every_day_at_the_hour_that_was_chosen() -> None:
    assert times("Europe/Lisbon", 7, "2026-06-01T06:00Z", 2) == ["Tue 02 07:00 +0100", "Wed 03 07:00 +0100"]
    assert times("Europe/Lisbon", 7, "2026-06-01T05:59:59Z", 1) == ["Mon 01 07:00 +0100"]


def test_every_week_on_the_day_that_was_chosen() -> None:
    found = times("Pacific/Auckland", 18, "2026-06-01T00:00Z", 2, "weekly", 4)
    assert found == ["Fri 05 18:00 +1200", "Fri 12 18:00 +1200"]


def test_an_hour_that_the_clocks_leave_out_is_read_on_the_clock_before() -> None:
    found = times("Europe/Berlin", 2, "2026-03-27T12:00Z", 3)
    assert found == ["Sat 28 02:00 +0100", "Sun 29 03:00 +0200", "Mon 30 02:00 +0200"]


def test_of_an_hour_that_the_clocks_show_twice_it_is_the_first() -> None:
    found = times("Europe/Berlin", 2, "2026-10-23T12:00Z", 3)
    assert found == ["Sat 24 02:00 +0200", "Sun 25 02:00 +0200", "Mon 26 02:00 +0100"]


def test_a_place_that_leaves_out_a_whole_day() -> None:
    found = times("Pacific/Apia", 9, "2011-12-29T00:00Z", 3)  # there was no 30th
    assert found == ["Thu 29 09:00 -1000", "Sat 31 09:00 +1400", "Sun 01 09:00 +1400"]


@pytest.mark.parametrize("nowhere", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "UTC\0", "/etc/localtime"])
def test_a_time_zone_that_nobody_knows_is_utc(nowhere: str) -> None:
    assert next_digest("daily", 7, 0, nowhere, ms("2026-06-01T00:00Z")) == ms("2026-06-01T07:00Z")


@given(
    st.sampled_from(ZONES),
    st.integers(0, 23),
    st.integers(0, 6),
    st.sampled_from(["daily", "weekly"]),
    st.integers(ms("1995-01-01T00:00Z"), ms("2035-01-01T00:00Z")),
)
def test_the_next_one_is_near_and_none_is_left_out(zone: str, hour: int, day: int, mode: str, after: int) -> None:
    found = [after]
    for _ in range(4):
        found.append(next_digest(mode, hour, day, zone, found[-1]))
    for one, other in pairwise(found):
        assert 0 < other - one <= (2 if mode == "daily" else 8) * clock.DAY
        assert next_digest(mode, hour, day, zone, other - 1) == other  # whenever it is asked for, it is the same one
    there = clock.zone(zone) or dt.UTC
    dates = [dt.datetime.fromtimestamp(at / 1_000, there).date() for at in found[1:]]
    assert len(set(dates)) == len(dates)
