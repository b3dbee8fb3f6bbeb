"""Limits on everything that a stranger can send, in one place. Imports nothing of ours.

Sizes are bytes unless the name says otherwise.
"""

from __future__ import annotations

import time
from collections import OrderedDict

MESSAGE_BYTES = 25 * 1024 * 1024
HEADER_BYTES = 256 * 1024
HEADER_FIELDS = 1_000
MIME_DEPTH = 50
MIME_PARTS = 500
REFERENCES = 200  # ids taken of a References field: the first and the last ones
MESSAGE_ID_CHARS = 900
NAME_CHARS = 120
SUBJECT_CHARS = 500
TEXT_CHARS = 1_000_000
ATTACHMENTS = 100
RECEIVED_HOPS = 25  # a loop by Received count (RFC 5321 section 6.3)
CONNECTIONS = 200  # at once, on a listener
THREAD_DEPTH_SHOWN = 8
PAGE_POSTS = 200
PAGE_THREADS = 50
DIGITS = 17  # of a number in somebody's text: it fits every column


def whole_number(text: str, digits: int = DIGITS) -> int | None:
    """The number that the text is, written in ASCII digits and in no more than so many; None if it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= digits else None


class Limiter:
    """At most `count` events per `seconds` and key, in a window that slides. Memory is bounded by `keys`.

    State is in this process only: it slows a stranger down, it decides nothing that must survive a restart.
    """

    def __init__(self, count: int, seconds: float, keys: int = 10_000) -> None:
        self._count, self._seconds, self._keys = count, seconds, keys
        self._seen: OrderedDict[str, list[float]] = OrderedDict()

    def allow(self, key: str, now: float | None = None) -> bool:
        """True if `key` may act once more now; the act is counted only when allowed."""
        moment = time.monotonic() if now is None else now
        recent = [t for t in self._seen.pop(key, []) if moment - t < self._seconds]
        allowed = len(recent) < self._count
        if allowed:
            recent.append(moment)
        self._seen[key] = recent
        while len(self._seen) > self._keys:
            self._seen.popitem(last=False)
        return allowed
