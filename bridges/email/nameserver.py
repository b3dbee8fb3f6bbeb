"""One nameserver, asked for no more than a mail needs: an answer that is larger than that is refused before it is looked at.

What a stranger's nameserver says comes through here, and taking 60 KB of records apart would stand in everybody's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import dns.asyncresolver
import dns.message
import dns.nameserver

ANSWER_BYTES = 16 * 1024


Backend = Any  # dnspython exports no type for what runs its sockets


class Nameserver(dns.nameserver.Do53Nameserver):
    """Asks by UDP, whose answers are short, and by TCP (RFC 7766) where one does not fit."""

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Backend,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """The answer. Raises EOFError for one that is too large, and whatever dnspython does."""
        if not max_size:
            return await super().async_query(request, timeout, source, source_port, False, backend)
        async with asyncio.timeout(timeout):
            wire = await self._by_stream(request.to_wire())
        answer = dns.message.from_wire(wire)
        if not request.is_response(answer):
            raise EOFError("the answer is to another question")
        return answer

    async def _by_stream(self, question: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self.address, self.port)
        try:
            writer.write(len(question).to_bytes(2, "big") + question)  # RFC 1035 section 4.2.2
            length = int.from_bytes(await reader.readexactly(2), "big")
            if length > ANSWER_BYTES:
                raise EOFError(f"an answer of {length} bytes")
            return await reader.readexactly(length)
        finally:
            writer.close()


def resolver(servers: Sequence[tuple[str, int]] = ()) -> dns.asyncresolver.Resolver:
    """Asks these nameservers, or without any those of the system."""
    asking = dns.asyncresolver.Resolver(configure=not servers)
    asking.nameservers = [
        Nameserver(host, port) for host, port in servers or [(str(host), asking.port) for host in asking.nameservers]
    ]
    return asking
