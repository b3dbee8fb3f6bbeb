"""Requests to the homeserver as one of our users: matrix-nio's client, worn as a ghost. Knows HTTP, no forum and no post.

nio waits and tries again by itself; that is turned off, because what waits belongs in the outbox where everybody can see it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, BinaryIO
from urllib.parse import urlencode

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout
from nio import AsyncClient, AsyncClientConfig, ErrorResponse
from yarl import URL

from bridges.matrix.markup import clean
from server.clock import DAY, HOUR, now_ms
from server.errors import JuntoError

TIMEOUT_SECONDS = 30
MEDIA_SECONDS = 120
REDIRECTS = 3
RESOURCE_LIMIT = "M_RESOURCE_LIMIT_EXCEEDED"
RESOURCE_PAUSE_MS = HOUR
ANSWER_BYTES = 4 * 1024 * 1024
_written_at: ContextVar[int | None] = ContextVar("written_at", default=None)


class Trouble(JuntoError):
    """The homeserver said no, or nothing. `status` is 0 when nothing came; `code` is its `errcode`."""

    def __init__(self, status: int, code: str, detail: str, retry_after_ms: int | None = None) -> None:
        super().__init__(clean(f"{code or status}: {detail}"[:500]))  # it may be stored
        self.status, self.code, self.retry_after_ms = status, code, retry_after_ms

    @property
    def away(self) -> bool:
        """The homeserver as a whole does not work, or does not know us: it is not about this request."""
        unknown_to_it = self.code in ("M_UNKNOWN_TOKEN", "M_MISSING_TOKEN", "M_EXCLUSIVE")
        return self.status == 0 or self.status >= 500 or unknown_to_it

    @property
    def limited(self) -> bool:
        """Waiting may help; not with a limit of ours as a user of theirs (C-S API v1.18, M_USER_LIMIT_EXCEEDED)."""
        by_code = self.code in ("M_LIMIT_EXCEEDED", RESOURCE_LIMIT)
        return by_code or (self.status == 429 and self.code != "M_USER_LIMIT_EXCEEDED")


@contextmanager
def dated(written_at: int) -> Iterator[None]:
    """Events sent inside show this time, in milliseconds; never a time to come, which clients would sort to the end."""
    before = _written_at.set(min(written_at, now_ms()))
    try:
        yield
    finally:
        _written_at.reset(before)


def session() -> ClientSession:
    """One pool of connections for all ghosts."""
    return ClientSession(timeout=ClientTimeout(total=TIMEOUT_SECONDS, connect=10))


class Ghost(AsyncClient):  # type: ignore[misc]  # nio has no types
    """One of our users. Without `user_id` it is the application service itself, which only registers users and pings."""

    def __init__(self, homeserver: str, token: str, shared: ClientSession, user_id: str = "", device: str = "") -> None:
        quiet = AsyncClientConfig(
            max_limit_exceeded=0, max_timeouts=0, request_timeout=TIMEOUT_SECONDS, store=None, encryption_enabled=False
        )
        super().__init__(homeserver, user_id, config=quiet)
        self.access_token, self.user_id, self.client_session = token, user_id, shared
        self.device = device

    async def send(
        self,
        method: str,
        path: str,
        data: Any = None,
        headers: dict[str, str] | None = None,
        trace_context: Any = None,
        timeout: float | None = None,
    ) -> ClientResponse:
        """Every request of nio's and ours passes here and says as whom, and with which device.

        A transaction id is remembered beyond a restart of the homeserver only where a device is named (MSC4326).
        """
        query = self._said_as()
        written_at = _written_at.get()
        if query and written_at is not None and written_at > 0 and method == "PUT" and ("/send/" in path):
            query["ts"] = str(written_at)
        if query:
            path += ("&" if "?" in path else "?") + urlencode(query)
        return await self.client_session.request(
            method,
            self.homeserver + path,
            data=data,
            headers=headers,
            timeout=ClientTimeout(total=TIMEOUT_SECONDS if timeout is None else timeout or None),
            allow_redirects=False,  # a request that carries our token goes where it was sent to and nowhere else
        )

    def _said_as(self) -> dict[str, str]:
        """Who of the application service's users asks, as the request's query; nothing for the service itself."""
        query = {"user_id": self.user_id, "device_id": self.device}
        return {key: value for key, value in query.items() if value}

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        data: BinaryIO | None = None,
        media_type: str = "",
        seconds: float | None = None,
        most: int = ANSWER_BYTES,
    ) -> dict[str, Any]:
        """A request that nio has no method for; the answer's JSON object. `data` goes out piece by piece. Raises Trouble.

        The answer may take so many seconds and have at most so many bytes.
        """
        headers = {"Authorization": f"Bearer {self.access_token}", "Content-Type": media_type or "application/json"}
        sending: bytes | BinaryIO | None = data
        if data is None and method != "GET":
            sending = json.dumps({} if body is None else body).encode()
        try:
            timeout = seconds if data is None else MEDIA_SECONDS
            async with await self.send(method, path, sending, headers, timeout=timeout) as response:
                raw = await _body(response, most)
        except (ClientError, TimeoutError, OSError, TooLarge) as problem:
            raise Trouble(0, "", _words(problem)) from None
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError):
            answer = {}
        if not isinstance(answer, dict):
            answer = {}
        if response.status >= 300:
            raise _trouble(response, str(answer.get("errcode", "")), str(answer.get("error", "")), answer)
        return answer

    async def fetch(self, path: str, limit: int) -> bytes:
        """The bytes behind a path. Raises Trouble, and TooLarge once more than `limit` bytes have come or are announced.

        A homeserver may send us on to where it keeps its files (C-S API v1.11, 11.7.1): by https, without our token.
        """
        asking = self.send("GET", path, None, {"Authorization": f"Bearer {self.access_token}"}, timeout=MEDIA_SECONDS)
        try:
            for _hop in range(REDIRECTS + 1):
                async with await asking as response:
                    if response.status not in (301, 302, 303, 307, 308):
                        if response.status >= 300:
                            raise _trouble(response, "", "", {})
                        if (response.content_length or 0) > limit:
                            raise TooLarge(f"more than {limit} bytes")
                        return await _body(response, limit)
                    place = response.url.join(URL(response.headers.get("Location", "")))
                if not may_follow(place):
                    break
                timeout = ClientTimeout(total=MEDIA_SECONDS)
                asking = self.client_session.request("GET", place, timeout=timeout, allow_redirects=False)
        except (ClientError, TimeoutError, OSError, ValueError) as problem:
            raise Trouble(0, "", _words(problem)) from None
        raise Trouble(404, "", "it is said to be where we do not look")


def may_follow(place: URL) -> bool:
    """Whether a redirect may be followed: by https, to a name or to an address that is anybody's."""
    try:
        address = ip_address(place.host or "")
    except ValueError:
        return place.scheme == "https" and "." in (place.host or "") and place.user is None
    return place.scheme == "https" and address.is_global


class TooLarge(JuntoError):
    """More bytes came than were asked for."""


async def _body(response: ClientResponse, limit: int) -> bytes:
    found = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        found += chunk
        if len(found) > limit:
            raise TooLarge(f"more than {limit} bytes")
    return bytes(found)


async def told(asking: Awaitable[Any]) -> Any:
    """The answer of one of nio's methods, with its error objects raised as Trouble."""
    try:
        answer = await asking
    except (ClientError, TimeoutError, OSError) as problem:
        raise Trouble(0, "", _words(problem)) from None
    response: ClientResponse | None = answer.transport_response
    if isinstance(answer, ErrorResponse):
        if response is None:
            raise Trouble(0, "", str(answer))
        raise _trouble(response, answer.status_code or "", answer.message, {"retry_after_ms": answer.retry_after_ms})
    return answer


def _words(problem: BaseException) -> str:
    return str(problem) or type(problem).__name__


def _trouble(response: ClientResponse, code: str, detail: str, answer: dict[str, Any]) -> Trouble:
    # The header comes first: the field in the body is deprecated since v1.10 of the Client-Server API.
    after = retry_after(response.headers.get("Retry-After", ""), now_ms())
    if code == RESOURCE_LIMIT:
        after = RESOURCE_PAUSE_MS  # its operator must do something: it is no matter of seconds
    elif after is None and isinstance(answer.get("retry_after_ms"), int):
        after = max(0, answer["retry_after_ms"])
    # A gateway before the homeserver answers success with a page of its own, or sends us elsewhere; that is no success.
    status = response.status if response.status >= 400 else 502
    return Trouble(status, code, detail or response.reason or "", after)


def retry_after(header: str, now: int) -> int | None:
    """Milliseconds until the time that the header names, as seconds or as a date (RFC 9110 section 10.2.3); at most a day."""
    if header.isascii() and header.isdecimal():
        return min(int(header[:6]) * 1000, DAY)
    try:
        at = parsedate_to_datetime(header[:64])
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(0, int(at.timestamp() * 1000) - now), DAY)
