"""When the next digest is due: at the hour that a member chose, on the clocks where they live. Pure."""

from __future__ import annotations

import datetime as dt

from server import clock

DIGESTS = ("daily", "weekly")
"""The modes of a subscription that get digests."""
LONGEST_DAYS = 9  # between two of a week's digests, with a day to spare on both sides


def gets_digests(mode: str, conversations: str) -> bool:
    """Whether a subscription with this mode gets digests: of everything, or of the talk in rooms alone."""
    return mode in DIGESTS or (mode != "none" and conversations == "digest")


def next_digest(mode: str, hour: int, day: int, timezone: str, after: int) -> int:
    """The first moment after `after` at which it is `hour` there, on weekday `day` (0 is Monday) where the mode is weekly.

    Each date has one such moment (PEP 495): of an hour that the clocks show twice it is the first; an hour that they leave out is
    read on the clock as it was before. An unknown time zone is UTC.
    """
    there = clock.zone(timezone) or dt.UTC
    today = dt.datetime.fromtimestamp(after / clock.SECOND, there).date()
    for ahead in range(-1, LONGEST_DAYS + 1):
        date = today + dt.timedelta(days=ahead)
        at = int(dt.datetime(date.year, date.month, date.day, hour, tzinfo=there).timestamp()) * clock.SECOND
        if at > after and (mode != "weekly" or date.weekday() == day):
            return at
    raise ValueError(f"no weekday {day}")
