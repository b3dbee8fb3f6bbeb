"""Trying again: the one way in which the demo's peers sit out a server that is away for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

FIRST, LONGEST = 0.1, 2.0
"""Seconds between two tries: doubled from the first to the longest."""


async def insist(what: Callable[[], Awaitable[T]], patience: float, temporary: tuple[type[BaseException], ...]) -> T:
    """Calls `what` until it does not raise something temporary. After `patience` seconds the last such error is raised."""
    end, pause = time.monotonic() + patience, FIRST
    while True:
        try:
            return await what()
        except temporary:
            if time.monotonic() + pause > end:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST)


async def until(look: Callable[[], T | None], patience: float, every: float = 0.01) -> T | None:
    """Calls `look` until it answers something, and returns that; None when the patience is over."""
    end = time.monotonic() + patience
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() > end:
            return None
        await asyncio.sleep(every)
