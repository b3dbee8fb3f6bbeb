"""One SMTP (RFC 5321) or LMTP (RFC 2033) connection: aiosmtpd's dialogue with the parts replaced that we cannot use as they are.

Ours: the content is read without a limit on its lines and with one on all connections together; every reply carries an
enhanced status code (RFC 2034); addresses are read without recursion; too many connections are told so.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from typing import Any, AnyStr, cast

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope

from bridges.email.addresses import Mailbox
from bridges.email.gate import Gate
from server.bridge import Forum

IDLE_SECONDS = 300  # RFC 5321 section 4.5.3.2.7
CONTENT_SECONDS = 900
COMMAND_BYTES = 2_048  # RFC 5321 section 4.5.3.1.4 says 512 and more with extensions
READ_BYTES = 64 * 1024
SLOW_SECONDS, SLOW_BYTES = 60.0, 32_000  # content that comes in smaller steps than this is not waited for

logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's: it writes what strangers send as it came

_TOO_SLOW = "421 4.4.2 the message comes too slowly, please come again"
END = b"\r\n.\r\n"  # nothing else ends a message: a bare LF is content (CVE-2023-51764 and its kin)
_CODES = {
    "214": "2.0.0",
    "221": "2.0.0",
    "250": "2.0.0",
    "252": "2.5.0",
    "421": "4.3.2",
    "451": "4.3.0",
    "452": "4.5.3",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "504": "5.5.4",
    "530": "5.7.0",
    "538": "5.7.11",
    "552": "5.3.4",
    "553": "5.1.3",
    "555": "5.5.4",
}


def one_line(text: str) -> str:
    """Text for a reply: one line of printable ASCII (RFC 5321 section 4.2) that stays below its 512 octets."""
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in " ".join(text.split()))[:400]


class Envelopes(Envelope):
    """An envelope that knows what its recipients mean; `destinations` has one for each of `rcpt_tos`."""

    def __init__(self) -> None:
        super().__init__()
        self.destinations: list[tuple[Mailbox, Forum | None]] = []


class Connection(SMTP):
    """A client's connection. `answering` while its message is being accepted, until the answer is written."""

    lmtp = False
    line_length_limit = READ_BYTES  # of the stream's buffer; commands have their own limit

    def __init__(self, handler: Any, gate: Gate, hostname: str, size: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            handler,
            data_size_limit=size,
            enable_SMTPUTF8=True,
            hostname=hostname,
            ident="LMTP" if self.lmtp else "ESMTP",  # whose program and which version is nobody's business
            timeout=IDLE_SECONDS,
            loop=loop,
        )
        # the class's own table is shared by all connections and cleared by each
        self.command_size_limits = collections.defaultdict(lambda: COMMAND_BYTES)
        self.answering = False
        self.host: str | None = None
        self._gate = gate
        self._turned_away = False

    def _create_envelope(self) -> Envelope:
        return Envelopes()

    # The connection itself ---------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        # whoever may speak LMTP is an MTA of ours
        self.host = None if self.lmtp or not isinstance(peer, tuple) else self._gate.host(str(peer[0]))
        if self._gate.admit(self):
            super().connection_made(transport)
            return
        self._turned_away = True
        writer = cast(asyncio.Transport, transport)
        writer.write(b"421 4.3.2 too many connections, please come again in a minute\r\n")
        writer.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self._turned_away:
            return
        self._gate.leave(self)
        super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return False if self._turned_away else super().eof_received()

    async def answered(self) -> None:
        """Return once the connection is over."""
        if self._handler_coroutine is not None:
            await asyncio.wait([self._handler_coroutine])

    def hang_up(self) -> None:
        """Say goodbye and close (RFC 5321 section 3.8); what was sent and not answered comes again."""
        transport = cast("asyncio.Transport | None", self.transport)
        if transport is not None and not transport.is_closing():
            transport.write(b"421 4.3.2 going down, please come again\r\n")
            transport.close()

    # Replies -----------------------------------------------------------------------------------------------------------
    async def push(self, status: AnyStr) -> None:
        """Write a reply; a `str` of one line gets its enhanced code (RFC 2034 section 3), `bytes` go out as they are."""
        reply = status if isinstance(status, bytes) else _enhanced(str(status)).encode("utf-8", "replace")
        await super().push(reply)

    # Commands ----------------------------------------------------------------------------------------------------------
    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        """A path (RFC 5321 section 4.1.2) and what follows it; (None, None) if it is none. "<>" stays "<>"."""
        return path(arg)

    async def smtp_DATA(self, arg: str) -> None:
        """Read the content and have it answered for."""
        if await self.check_helo_needed("LHLO" if self.lmtp else "EHLO"):
            return
        assert self.envelope is not None
        if not self.envelope.rcpt_tos:
            await self.push("503 5.5.1 no valid recipients")
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
            return
        if self._reader._buffer:  # type: ignore[attr-defined]  # RFC 2920 section 3.1: DATA ends a group of commands
            await self.push("503 5.5.0 content before it was asked for")
            cast(asyncio.Transport, self.transport).close()
            return
        held = [0]
        try:
            self._reset_timeout(CONTENT_SECONDS)
            status = await self._content(held)
            if status is None:
                self.answering = True
                status = await self._call_handler_hook("DATA")
            self.envelope = self._create_envelope()
            await self.push(status)
        finally:
            self._gate.give_back(self, held[0])
            self.answering = False
        self._reset_timeout()
        if status == _TOO_SLOW:
            cast(asyncio.Transport, self.transport).close()
        elif self._gate.closing:
            self.hang_up()

    async def _content(self, held: list[int]) -> str | None:
        """Put the content into the envelope; answers a refusal where it is too much. `held` counts what the gate was asked for."""
        self._reader.feed_data(b"\r\n")  # so that a dot on the first line is found like any other
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        chunks: list[bytes] = []
        refusal: str | None = None
        size = 0
        last = False
        while not last:
            try:
                chunk, last = await self._chunk()
            except TimeoutError:
                return _TOO_SLOW
            size += len(chunk)
            if refusal is None and self.data_size_limit and size > self.data_size_limit + len(END):
                mib = self.data_size_limit // 2**20
                refusal = f"552 5.3.4 this server takes messages of up to {mib} MiB; send a link to large files instead"
            elif refusal is None and not self._gate.take(self, len(chunk)):
                refusal = "452 4.3.1 too much mail at once, please come again"
            elif refusal is None:
                held[0] += len(chunk)
                chunks.append(chunk)
            if refusal is not None:  # read on to the end: it is answered there and nowhere else
                chunks.clear()
        if refusal is None:
            assert self.envelope is not None
            # RFC 5321 section 4.5.2: the first dot of a line is not content
            content = b"".join(chunks)[:-3].replace(b"\r\n.", b"\r\n")[2:]
            self.envelope.content = self.envelope.original_content = content
        return refusal

    async def _chunk(self) -> tuple[bytes, bool]:
        """More of the content, and whether it is the last of it. Raises TimeoutError where it comes too slowly."""
        come = len(self._reader._buffer)  # type: ignore[attr-defined]
        while True:
            try:
                async with asyncio.timeout(SLOW_SECONDS):
                    return await self._reader.readuntil(END), True
            except asyncio.LimitOverrunError as more:
                return await self._reader.read(more.consumed), False
            except TimeoutError:
                before, come = come, len(self._reader._buffer)  # type: ignore[attr-defined]
                if come - before < SLOW_BYTES:
                    raise


class LmtpConnection(Connection, LMTP):
    """The same for LMTP, where each recipient has an answer of its own."""

    lmtp = True


def _enhanced(status: str) -> str:
    """The reply with an enhanced code where it has none; greeting and 3xx have none (RFC 2034 section 4)."""
    code, text = status[:3], status[4:]
    if code not in _CODES or "\n" in status or status[3:4] != " ":
        return status
    word = text.partition(" ")[0]
    if word.count(".") == 2 and word.replace(".", "").isdigit():
        return status
    return f"{code} {_CODES[code]} {text}"


def path(arg: str) -> tuple[str | None, str | None]:
    """Read `<@route:local@domain> PARAMETERS`; brackets may be missing. The route is dropped (RFC 5321 appendix C)."""
    text = arg.strip()
    if not text.startswith("<"):
        address, _, rest = text.partition(" ")
        return (address, rest) if address and "<" not in address and ">" not in address else (None, None)
    quoted = False
    for at, c in enumerate(text):
        if c == '"' and text[at - 1] != "\\":
            quoted = not quoted
        elif c == ">" and not quoted:
            break
    else:
        return None, None
    inner, rest = text[1:at], text[at + 1 :]
    if rest and not rest.startswith(" "):
        return None, None
    if inner.startswith("@") and ":" in inner:
        inner = inner.partition(":")[2]
    if any(c.isspace() or not c.isprintable() for c in inner if c != " ") or (" " in inner and '"' not in inner):
        return None, None
    return inner or "<>", rest.strip()
