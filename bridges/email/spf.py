"""Whether the peer that hands us a message may send for a domain (RFC 7208). Asked only of a peer that came to us itself.

pyspf reads the records; it is written for threads and asks the DNS by a function of its own, which is replaced here by our resolver.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Coroutine
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

import spf as pyspf

from bridges.email.dns import Resolver, Temporary
from server import log

SECONDS = 20.0  # RFC 7208 section 4.6.4 asks for at least that
RECORD_BYTES = 4_096
RECORDS = 50  # of one answer

T = TypeVar("T")
logger = log.get("email.spf")


def is_direct(peer: str) -> bool:
    """Whether the peer's address is one of the world's: what comes from beside us was taken by an MTA of ours, and says nothing."""
    try:
        address: IPv4Address | IPv6Address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_global


async def passes(resolver: Resolver, peer: str, envelope_from: str, greeting: str) -> bool:
    """Whether the peer may send for the domain of the envelope's sender, or of its greeting where that is null (section 2.4).

    Raises Temporary.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(SECONDS):
            return await asyncio.to_thread(_checked, _Questions(resolver, loop), peer, envelope_from, greeting)
    except TimeoutError:
        raise Temporary(f"SPF of {envelope_from or greeting}") from None


class _Questions:
    """Asks from a thread what the resolver answers on the loop."""

    def __init__(self, resolver: Resolver, loop: asyncio.AbstractEventLoop) -> None:
        self._resolver, self._loop = resolver, loop

    def _on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return asked.result(SECONDS)
        except concurrent.futures.TimeoutError:
            asked.cancel()
            raise Temporary("SPF") from None

    def records(self, name: str, kind: str) -> list[Any]:
        """As pyspf wants them."""
        answer = self._on_loop(self._resolver.ask(name, kind))
        return [_as_asked(record, kind) for record in answer.records[:RECORDS]]


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

    questions: _Questions

    def dns(self, name: str, qtype: str, cnames: Any = None, ignore_void: bool = False) -> list[Any]:
        try:
            found = self.questions.records(str(name), qtype)
        except Temporary as silence:
            raise pyspf.TempError(str(silence)) from silence
        if not found and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > pyspf.MAX_VOID_LOOKUPS:
                raise pyspf.PermError("too many void lookups")
        return found


def _checked(questions: _Questions, peer: str, envelope_from: str, greeting: str) -> bool:
    try:
        query = _Query(i=peer.partition("%")[0], s=envelope_from, h=greeting, timeout=SECONDS)
        query.questions = questions
        result = query.check()[0]
    except Exception as error:  # noqa: BLE001  another's code on a stranger's record: what it cannot read allows nobody anything
        logger.warning("SPF record that cannot be read", sender=envelope_from, error=str(error))
        return False
    if result == "temperror":
        raise Temporary(f"SPF of {envelope_from or greeting}")
    return bool(result == "pass")
