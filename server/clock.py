"""The one source of time. Imports nothing of ours; everything that asks the time asks here, so that a test can set it."""

from __future__ import annotations

import time
from collections.abc import Callable
from zoneinfo import ZoneInfo

Clock = Callable[[], int]
"""Answers milliseconds since the epoch, UTC: the unit of every `_at` column."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def now_ms() -> int:
    """Now, in milliseconds since the epoch, UTC."""
    return time.time_ns() // 1_000_000


def zone(name: str) -> ZoneInfo | None:
    """The time zone of that IANA name ("Europe/Lisbon"); None for one that nobody knows."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown, no name at all, or a folder of names
        return None
