"""Whether the peer that hands us a message may send for a domain (RFC 7208). Asked only of a peer that came to us itself.

pyspf reads the records; it asks the DNS by a function of its own and waits, which is replaced here by what our resolver found out.
"""

from __future__ import annotations

import asyncio
from typing import Any

import spf as pyspf

from bridges.email.dns import Resolver, Temporary
from server import log

SECONDS = 20.0  # RFC 7208 section 4.6.4 asks for at least that
RECORD_BYTES = 4_096
RECORDS = 50  # of one answer

QUESTIONS = 100  # more than the lookups that section 4.6.4 allows can lead to
logger = log.get("email.spf")


class _Unknown(BaseException):
    """The check asks this of the DNS. Not an Exception, so that nobody on its way takes it for a fault."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name, kind)
        self.name, self.kind = name, kind


Known = dict[tuple[str, str], list[Any] | None]
"""Answers by name and type; None: nobody answered."""


async def passes(resolver: Resolver, peer: str, envelope_from: str, greeting: str) -> bool:
    """Whether the peer may send for the domain of the envelope's sender, or of its greeting where that is null (section 2.4).

    Whatever the check asks the DNS is found out here, and then the check is made once more from its beginning: so no thread waits
    for a stranger's nameserver. Raises Temporary.
    """
    known: Known = {}
    try:
        async with asyncio.timeout(SECONDS):
            for _round in range(QUESTIONS):
                found = await asyncio.to_thread(_checked, known, peer, envelope_from, greeting)
                if isinstance(found, bool):
                    return found
                known[found.name, found.kind] = await _answer(resolver, found)
    except TimeoutError:
        pass
    raise Temporary(f"SPF of {envelope_from or greeting}")


async def _answer(resolver: Resolver, question: _Unknown) -> list[Any] | None:
    """As pyspf wants them; None: nobody answered."""
    try:
        answer = await resolver.ask(question.name, question.kind)
    except Temporary:
        return None
    return [_as_asked(record, question.kind) for record in answer.records[:RECORDS]]


def _as_asked(record: Any, kind: str) -> Any:
    if kind == "MX":
        return record.preference, record.exchange.to_text(True)
    if kind == "PTR":
        return record.target.to_text(True)
    if kind == "TXT":
        return (b"".join(record.strings)[:RECORD_BYTES],)
    return record.address


class _Query(pyspf.query):  # type: ignore[misc]
    """One check. What is replaced is `dns` alone: pyspf's own counts lookups, ours counts the void ones (section 4.6.4)."""

    known: Known

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        asked = str(name), qtype
        if asked not in self.known:
            raise _Unknown(*asked)
        found = self.known[asked]
        if found is None:
            raise pyspf.TempError(str(name))
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > pyspf.MAX_VOID_LOOKUPS:
                raise pyspf.PermError("too many void lookups")
        return found


def _checked(known: Known, peer: str, envelope_from: str, greeting: str) -> bool | _Unknown:
    """The result, or what must be asked first."""
    try:
        query = _Query(i=peer.partition("%")[0], s=envelope_from, h=greeting, timeout=SECONDS)
        query.known = known
        result = query.check()[0]
    except _Unknown as question:
        return question
    except Exception as error:  # noqa: BLE001  another's code on a stranger's record: what it cannot read allows nobody anything
        logger.warning("SPF record that cannot be read", sender=envelope_from, error=str(error))
        return False
    if result == "temperror":
        raise Temporary(f"SPF of {envelope_from or greeting}")
    return bool(result == "pass")
