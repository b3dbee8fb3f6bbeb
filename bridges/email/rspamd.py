"""rspamd, asked by its HTTP protocol what it thinks of a post.

One that does not answer keeps no mail out and lets none in that it would not: the post goes on as one that nobody judged, and
/healthz says so. Only an answer that says "come again" defers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import aiohttp

from bridges.email.authentication import Peer
from server import log
from server.bridge import Inbound, NewPost, Spam
from server.errors import Deferred, Rejected
from server.i18n import _

SECONDS = 15.0  # rspamd's own limit for a message is 8
PAUSE_SECONDS = 30.0  # not asked after it did not answer, so that a dead filter delays no mail
ASKED_BYTES = 10 * 1024 * 1024  # a larger message is not asked about: what is sent to many is small
ANSWER_BYTES = 1024 * 1024
AT_ONCE = 8

_ACTIONS = {"reject": Spam.CERTAIN, "discard": Spam.CERTAIN}
_ACTIONS |= dict.fromkeys(("add header", "rewrite subject", "quarantine"), Spam.SUSPECT)
_AGAIN = "soft reject"  # what its greylisting says while it wants a delay; its action "greylist" alone is no delay

Thing = Inbound | Rejected | Deferred | None  # what a message is for one of its recipients
Report = Callable[[bool, str], None]
logger = log.get("email.rspamd")


class Filter:
    """rspamd at `url`; "": there is none. `report` is told whether it answers."""

    def __init__(self, url: str, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._report, self._clock = url.rstrip("/"), report, clock
        self._session: aiohttp.ClientSession | None = None
        self._silent_until = float("-inf")

    async def judged(
        self, things: Sequence[Thing], message: bytes, peer: Peer, recipients: Sequence[str]
    ) -> list[Thing]:
        """The things that a message is, its posts with the verdict; where it shall come again, that in place of each post."""
        if not any(isinstance(thing, NewPost) for thing in things):
            return list(things)
        try:
            verdict = await self.judge(message, peer, recipients)
        except Deferred as problem:
            return [problem if isinstance(thing, NewPost) else thing for thing in things]
        if verdict is None:
            return list(things)
        return [replace(thing, spam=verdict) if isinstance(thing, NewPost) else thing for thing in things]

    async def judge(self, message: bytes, peer: Peer, recipients: Sequence[str] = ()) -> Spam | None:
        """What rspamd thinks; None where nobody is asked or answers. Raises Deferred where it says so."""
        if not self._url or len(message) > ASKED_BYTES or self._clock() < self._silent_until:
            return None
        try:
            action = await self._ask(message, _headers(peer, recipients))
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError, OSError) as problem:
            self._silent_until = self._clock() + PAUSE_SECONDS
            detail = str(problem) or type(problem).__name__
            logger.warning("no answer", detail=detail)
            self._report(False, _("rspamd does not answer ({detail}): mail is taken unjudged").format(detail=detail))
            return None
        self._report(True, "")
        if action == _AGAIN:
            raise Deferred(_("the filter asks you to come again a little later"), "4.7.1")
        return _ACTIONS.get(action, Spam.NO)

    async def _ask(self, message: bytes, headers: list[tuple[str, str]]) -> str:
        """The action that rspamd would take. Raises ValueError for an answer that is none."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=AT_ONCE)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(SECONDS))
        async with self._session.post(
            self._url + "/checkv2", data=message, headers=headers, allow_redirects=False
        ) as answer:
            if answer.status != 200:
                raise ValueError(f"HTTP {answer.status}")
            body = await _all(answer)
        told = json.loads(body)
        action = told.get("action") if isinstance(told, dict) else None
        if not isinstance(action, str):
            raise ValueError("an answer without an action")
        return action

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _all(answer: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for chunk in answer.content.iter_chunked(65_536):
        found += chunk
        if len(found) > ANSWER_BYTES:
            raise ValueError("an answer that is too large")
    return bytes(found)


async def trouble(url: str) -> str:
    """What keeps the rspamd at that address from answering; "": nothing."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(SECONDS)) as session,
            session.get(url.rstrip("/") + "/ping", allow_redirects=False) as answer,
        ):
            return "" if answer.status == 200 else f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as problem:
        return str(problem) or type(problem).__name__


def _headers(peer: Peer, recipients: Sequence[str]) -> list[tuple[str, str]]:
    """The fields of rspamd's protocol; what cannot stand in one is left out."""
    given = [("From", peer.envelope_from), *(("Rcpt", each) for each in recipients)]
    given += [("Helo", peer.greeting), ("IP", peer.address if peer.direct else "")]
    fine = [(name, value) for name, value in given if value and value.isascii() and value.isprintable()]
    return [*fine, ("Content-Type", "application/octet-stream")]
