"""What the DNS says, asked politely: bounded in time and number, remembered as long as it allows, and two kinds of "no" kept apart.

"There is no such record" is an answer; "nobody answered" (a timeout, SERVFAIL) is `Temporary`, and whoever asked must not go on as if
there were none. Knows no policy.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdatatype
import dns.resolver

from bridges.email import nameserver
from server import log
from server.config import host_port

SECONDS = 5.0  # for one question, however many servers are asked
AT_ONCE = 64
REMEMBERED = 10_000  # answers
REMEMBERED_BYTES = 32 * 1024 * 1024  # of them all, nearly
RECORDS = 50  # of one answer that are looked at
RECORD_BYTES = 300  # that one takes beside what is in it
LONGEST, SHORTEST = 3_600.0, 30.0  # seconds that an answer is remembered, whatever it allows
AFTER_SILENCE = 10.0  # seconds in which a question that nobody answered is not asked again
NAME_CHARS = 253  # RFC 1035 section 2.3.4, as text
NOWHERE = frozenset({"localhost", "invalid", "example"})  # RFC 6761 sections 6.3 to 6.5: no server can know of them

logger = log.get("email.dns")


class Temporary(Exception):
    """Nobody answered; the same question may be answered later."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`records` as dnspython has them; `exists` is False where the name and all below it do not exist (RFC 8020)."""

    exists: bool
    records: tuple[Any, ...] = ()


NOTHING = Answer(False)


@dataclass(frozen=True, slots=True)
class _Remembered:
    answer: Answer | None  # None: nobody answered
    until: float
    size: int = 0


class Resolver:
    """Asks the nameserver `server` ("192.0.2.53:53"), or with "" those of the system. `clock` answers seconds."""

    def __init__(self, server: str = "", clock: Callable[[], float] = time.monotonic, seconds: float = SECONDS) -> None:
        self._server, self._clock, self._seconds = server, clock, seconds
        self._asking: dns.asyncresolver.Resolver | None = None
        self._known: OrderedDict[tuple[str, str], _Remembered] = OrderedDict()
        self._bytes = 0
        self._room = asyncio.Semaphore(AT_ONCE)

    async def ask(self, name: str, kind: str) -> Answer:
        """The records of that name and type (CNAMEs followed). Raises Temporary."""
        name = name.rstrip(".").lower()
        if not name or len(name) > NAME_CHARS or name.rpartition(".")[2] in NOWHERE:
            return NOTHING
        known = self._known.get((name, kind))
        if known is not None and known.until > self._clock():
            if known.answer is None:
                raise Temporary(f"{name} {kind}")
            return known.answer
        try:
            answer, ttl = await self._asked(name, kind)
        except Temporary as silence:
            self._remember(name, kind, None, AFTER_SILENCE)
            logger.warning("no answer", question=str(silence))
            raise
        self._remember(name, kind, answer, min(max(ttl, SHORTEST), LONGEST))
        return answer

    async def txt(self, name: str) -> list[bytes]:
        """The TXT records, the strings of each joined (RFC 7208 section 3.3, RFC 6376 section 3.6.2.2). Raises Temporary."""
        return [b"".join(record.strings) for record in (await self.ask(name, "TXT")).records]

    def _remember(self, name: str, kind: str, answer: Answer | None, seconds: float) -> None:
        old = self._known.pop((name, kind), None)
        new = _Remembered(answer, self._clock() + seconds, _size(answer))
        self._known[name, kind] = new
        self._bytes += new.size - (old.size if old is not None else 0)
        while len(self._known) > REMEMBERED or self._bytes > REMEMBERED_BYTES:
            self._bytes -= self._known.popitem(last=False)[1].size

    async def _asked(self, name: str, kind: str) -> tuple[Answer, float]:
        """The answer and the seconds that it may be remembered (RFC 2308 for what is not there)."""
        try:
            async with self._room:
                found = await self._resolver().resolve(
                    name, kind, lifetime=self._seconds, raise_on_no_answer=False, search=False
                )
        except dns.resolver.NXDOMAIN as none:
            responses = none.kwargs.get("responses") or {}
            return NOTHING, min((_ttl(response) for response in responses.values()), default=SHORTEST)
        except (dns.resolver.YXDOMAIN, dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            return NOTHING, LONGEST  # no such name can be
        except (dns.exception.DNSException, OSError) as silence:
            raise Temporary(f"{name} {kind}: {silence}") from silence
        records = tuple(itertools.islice(found.rrset, RECORDS)) if found.rrset is not None else ()
        return Answer(True, records), _ttl(found.response)

    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._asking is None:
            self._asking = nameserver.resolver([host_port(self._server)] if self._server else [])
        return self._asking


def _size(answer: Answer | None) -> int:
    """About how many bytes an answer takes here."""
    records = answer.records if answer is not None else ()
    return RECORD_BYTES * (1 + len(records)) + sum(
        len(text) for each in records for text in getattr(each, "strings", ())
    )


def _ttl(response: dns.message.Message) -> float:
    """The shortest time to live on the way to the answer."""
    if not isinstance(response, dns.message.QueryMessage):
        return SHORTEST
    try:
        return float(response.resolve_chaining().minimum_ttl)
    except dns.exception.DNSException:
        return SHORTEST
