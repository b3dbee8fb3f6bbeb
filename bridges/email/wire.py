"""One SMTP connection to the relay, pipelined (RFC 2920). Moves bytes and answers; decides nothing about posts.

Behind a message's last dot go MAIL, RCPT and DATA of the next one, so that a copy costs one round trip. A body is never sent
before its 354: RFC 2920 section 3.1 makes DATA the last of a group, and a body after a refused DATA would be read as commands.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, cast

from bridges.email.refusals import judge
from bridges.email.settings import Relay
from server.bridge import Failed, Later, Outcome, Refusal, Sent, Target

CONNECT_SECONDS = 30.0
ANSWER_SECONDS = 60.0
DOT_SECONDS = 300.0  # RFC 5321 section 4.5.3.2.6: giving up early is how a mail is sent twice
WATCH_SECONDS = 5.0
CHUNK = 256 * 1024  # of a large body that is handed to the socket at once
LINE_BYTES = 8 * 1024
UNREAD_REPLIES = 100
RELAYS_TROUBLE = ("4.3.", "4.5.", "4.7.")  # RFC 3463: its system, the protocol, its policy
OPERATORS_FAULT = frozenset((530, 534, 535, 538))  # RFC 4954 section 6: our credentials, not this receiver


class Unavailable(Exception):
    """No connection that could carry mail; the text says why."""


class Lost(Exception):
    """The connection ended. `unsent`: a job it had taken whose body was never sent, so that another connection may take it."""

    def __init__(self, reason: str, unsent: Job | None = None) -> None:
        super().__init__(reason)
        self.unsent = unsent


class Reply(NamedTuple):
    """An answer of the relay: its code, and its text with the lines joined."""

    code: int
    text: str

    def outcome(self, to_rcpt: bool = False) -> Outcome:
        """2xx Sent, 5xx Failed, all else Later (RFC 5321 section 4.2.1).

        Only what is said of the recipient (`to_rcpt`) can say anything of a mailbox; MAIL and the message itself are ours.
        """
        word = self.text.partition(" ")[0]
        code = word if word[:2] in ("2.", "4.", "5.") else str(self.code)  # RFC 2034
        detail = f"{self.code} {self.text}"[:300]
        if 200 <= self.code < 300:
            return Sent(detail=detail)
        if 500 <= self.code < 600 and self.code not in OPERATORS_FAULT:
            return Failed(detail, code, judge(code, detail) if to_rcpt else Refusal.OURS)
        of_mailbox = to_rcpt and 400 <= self.code < 500 and not code.startswith(RELAYS_TROUBLE)
        return Later(detail, code, refusal=judge(code, detail) if of_mailbox else Refusal.OURS)


@dataclass(slots=True)
class Job:
    """One copy: envelope addresses without brackets (`sender` b"" is the null sender) and the message in pieces.

    Each piece ends in CRLF. `stuffed` are the same pieces with their dots doubled (RFC 5321 section 4.5.2).
    """

    target: Target
    sender: bytes
    recipient: bytes
    stuffed: tuple[bytes, ...]
    raw: tuple[bytes, ...]
    eight_bit: bool = False


Next = Callable[[], Job | None]
Settled = Callable[[Job, Outcome], None]


def stuff(piece: bytes) -> bytes:
    """Double the dots at the beginning of lines (RFC 5321 section 4.5.2)."""
    doubled = piece.replace(b"\r\n.", b"\r\n..")
    return b"." + doubled if doubled.startswith(b".") else doubled


class Connection(asyncio.Protocol):
    """Use `connect`. `send` moves jobs until there is none; one caller at a time."""

    def __init__(self) -> None:
        self.extensions: dict[str, str] = {}
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._lines: list[bytes] = []
        self._replies: deque[Reply] = deque()
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._lost: str | None = None
        self._deadline: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    # What the loop calls ------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # TCP_NODELAY is set by asyncio and uvloop alike

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) if exc else "the relay closed the connection")

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def data_received(self, data: bytes) -> None:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line[3:4] == b"-":  # more lines follow, RFC 5321 section 4.2.1
                self._lines.append(line)
            else:
                self._replies.append(self._reply(line))
        if len(self._rest) > LINE_BYTES or max(len(self._replies), len(self._lines)) > UNREAD_REPLIES:
            self.abort("the relay says more than was asked")
        elif self._waiter is not None and len(self._replies) >= self._wanted and not self._waiter.done():
            self._waiter.set_result(None)

    def _reply(self, last: bytes) -> Reply:
        code = int(last[:3]) if last[:3].isdigit() else 0
        if not self._lines:
            return Reply(code, last[4:].decode("utf-8", "replace").rstrip("\r"))
        lines, self._lines = [*self._lines, last], []
        return Reply(code, "\n".join(line[4:].decode("utf-8", "replace").strip("\r") for line in lines))

    def _end(self, reason: str) -> None:
        self._lost = self._lost or reason
        if self._watch is not None:
            self._watch.cancel()
        for future in (self._waiter, self._room):
            if future is not None and not future.done():
                future.set_result(None)

    def _look(self) -> None:
        """One timer for a connection instead of one for each answer."""
        loop = asyncio.get_running_loop()
        if self._deadline is not None and loop.time() > self._deadline:
            self.abort("the relay did not answer in time")
        else:
            self._watch = loop.call_later(WATCH_SECONDS, self._look)

    # Asking and answering -----------------------------------------------------------------------------------------
    @property
    def usable(self) -> bool:
        return self._lost is None

    def abort(self, reason: str) -> None:
        """End it now; whoever waits is told."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """QUIT, without waiting for the answer."""
        if self._transport is not None and self.usable:
            self._transport.write(b"QUIT\r\n")
            self._end("closed")
            self._transport.close()

    async def _answers(self, count: int, seconds: float = ANSWER_SECONDS) -> bool:
        """Wait until so many answers are there; False if the connection ended first (what came stays in `_replies`)."""
        if len(self._replies) < count and self._lost is None:
            loop = asyncio.get_running_loop()
            self._wanted, self._waiter, self._deadline = count, loop.create_future(), loop.time() + seconds
            if self._watch is None:
                self._look()
            try:
                await self._waiter
            finally:
                self._waiter = self._deadline = None
        return len(self._replies) >= count

    async def command(self, line: bytes) -> Reply:
        """One command and its answer, while nothing else is under way. Raises Lost."""
        self._write(line + b"\r\n")
        return await self.one()

    async def one(self) -> Reply:
        """The next answer. Raises Lost."""
        if not await self._answers(1):
            raise Lost(self._lost or "")
        return self._replies.popleft()

    def _write(self, data: bytes | memoryview) -> None:
        if self._transport is not None and self._lost is None:
            self._transport.write(data)

    async def greet(self, domain: str) -> None:
        """EHLO, or HELO where that is unknown (RFC 5321 section 4.1.4). Raises Unavailable, Lost."""
        reply = await self.command(b"EHLO " + domain.encode())
        self.extensions = {}
        if reply.code == 250:
            for line in reply.text.split("\n")[1:]:
                keyword, _, parameters = line.partition(" ")
                self.extensions[keyword.upper()] = parameters
        elif not 500 <= reply.code < 600 or (await self.command(b"HELO " + domain.encode())).code != 250:
            raise Unavailable(f"the relay refuses our greeting: {reply.code} {reply.text}")

    async def secure(self, host: str, context: ssl.SSLContext) -> None:
        """STARTTLS (RFC 3207). Raises Unavailable, Lost, OSError."""
        if "STARTTLS" not in self.extensions:
            raise Unavailable("the relay does not offer STARTTLS; leave ?starttls=1 out, or let it")
        reply = await self.command(b"STARTTLS")
        if reply.code != 220:
            raise Unavailable(f"the relay refuses STARTTLS: {reply.code} {reply.text}")
        if (
            self._replies or self._rest or self._transport is None
        ):  # RFC 3207 section 4.2: nothing said in the clear counts
            raise Unavailable("the relay went on in the clear after STARTTLS")
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(
            self._transport, self, context, server_hostname=host, ssl_handshake_timeout=CONNECT_SECONDS
        )
        self._transport = cast(asyncio.Transport, transport)

    async def log_in(self, user: str, password: str) -> None:
        """AUTH PLAIN (RFC 4616), or LOGIN. Raises Unavailable, Lost."""
        offered = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            reply = await self.command(b"AUTH PLAIN " + b64encode(f"\0{user}\0{password}".encode()))
        elif "LOGIN" in offered:
            reply = await self.command(b"AUTH LOGIN")
            for secret in (user, password):
                if reply.code == 334:
                    reply = await self.command(b64encode(secret.encode()))
        else:
            raise Unavailable(
                "the relay offers neither AUTH PLAIN nor LOGIN; with a password it may want smtps:// or starttls=1"
            )
        if reply.code != 235:
            raise Unavailable(f"the relay refuses our user and password: {reply.code} {reply.text}")

    # The walk of the jobs -----------------------------------------------------------------------------------------
    def _envelope(self, job: Job) -> bytes:
        """MAIL, RCPT, DATA as one group (RFC 2920 section 3.1), with parameters that the relay offers."""
        parameters = b""
        if "SIZE" in self.extensions:  # RFC 1870
            parameters += b" SIZE=%d" % sum(map(len, job.raw))
        if job.eight_bit and "8BITMIME" in self.extensions:  # RFC 6152
            parameters += b" BODY=8BITMIME"
        if not (job.recipient.isascii() and job.sender.isascii()):  # RFC 6531 section 3.4
            parameters += b" SMTPUTF8"
        return b"MAIL FROM:<%b>%b\r\nRCPT TO:<%b>\r\nDATA\r\n" % (job.sender, parameters, job.recipient)

    def _take(self, next_job: Next, settled: Settled) -> Job | None:
        """The next job that this relay can carry."""
        while (job := next_job()) is not None:
            if (job.recipient.isascii() and job.sender.isascii()) or "SMTPUTF8" in self.extensions:
                return job
            settled(job, Failed("the relay cannot carry an address that is not ASCII", "5.6.7"))
        return None

    async def send(self, next_job: Next, settled: Settled) -> None:
        """Send what `next_job` hands out until it answers None; `settled` hears each answer. Raises Lost.

        Without an answer to its last dot a job is Later: it may have arrived, and will come again under the same Message-ID.
        """
        job = self._take(next_job, settled)
        self._write(self._envelope(job) if job else b"")
        while job is not None:
            if not await self._answers(3):
                raise Lost(self._why(), unsent=job)
            mail, rcpt, data = (self._replies.popleft() for _ in range(3))
            refused = next((reply for reply in (mail, rcpt) if not 200 <= reply.code < 300), None)
            if data.code == 354:
                outcome = refused.outcome(to_rcpt=refused is rcpt) if refused else None
                job = await self._body(job, outcome, next_job, settled)
            else:
                settled(job, (refused or data).outcome(to_rcpt=refused is rcpt))
                job = await self._undo(next_job, settled)

    async def _body(self, job: Job, refused: Outcome | None, next_job: Next, settled: Settled) -> Job | None:
        """The message, its dot, and the next envelope, which is answered. After a refused receiver a dot alone (RFC 2920 3.1)."""
        following = self._take(next_job, settled)
        group = b".\r\n" + (self._envelope(following) if following else b"")
        if refused is None and len(job.stuffed[-1]) > CHUNK:
            await self._large(b"".join(job.stuffed[:-1]), job.stuffed[-1])
            self._write(group)
        else:
            self._write(group if refused else b"".join((*job.stuffed, group)))
        answered = await self._answers(1, DOT_SECONDS)
        if refused is not None:
            settled(job, refused)
        elif answered:
            settled(job, self._replies[0].outcome())
        else:
            settled(job, Later(f"no answer after the last dot: {self._why()}", "4.4.2"))
        if not answered:
            raise Lost(self._why(), unsent=following)
        self._replies.popleft()
        return following

    async def _undo(self, next_job: Next, settled: Settled) -> Job | None:
        """After a refused DATA the transaction is still open: RSET before the next one (RFC 2920 section 3.1)."""
        following = self._take(next_job, settled)
        self._write(b"RSET\r\n" + (self._envelope(following) if following else b""))
        if not await self._answers(1):
            raise Lost(self._why(), unsent=following)
        self._replies.popleft()
        return following

    async def _large(self, head: bytes, tail: bytes) -> None:
        """A large body in pieces, each when the one before has gone: what waits in memory stays below CHUNK and a little."""
        self._write(head)
        whole = memoryview(tail)
        for at in range(0, len(tail), CHUNK):
            room = self._room
            if room is not None and self._lost is None:
                self._deadline = asyncio.get_running_loop().time() + DOT_SECONDS
                await room
            self._write(whole[at : at + CHUNK])

    def _why(self) -> str:
        """What the relay said last (421 explains itself, RFC 5321 section 3.8), or how the connection ended."""
        return self._replies[-1].text if self._replies and self._replies[-1].code == 421 else self._lost or ""


def checking(relay: Relay) -> ssl.SSLContext | None:
    """The system's way of checking the relay's certificate (it reads files: keep it), None where there is no TLS."""
    return ssl.create_default_context() if relay.tls or relay.starttls else None


async def connect(relay: Relay, domain: str, context: ssl.SSLContext | None = None) -> Connection:
    """A greeted, secured and logged-in connection. Raises Unavailable. `context`: how TLS is checked, else the system's way."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await _connect(relay, domain, context or checking(relay))
    except TimeoutError:
        raise Unavailable(f"the relay {relay.host}:{relay.port} does not answer") from None
    except (OSError, Lost) as problem:
        raise Unavailable(f"the relay {relay.host}:{relay.port} is away: {problem}") from None


async def _connect(relay: Relay, domain: str, context: ssl.SSLContext | None) -> Connection:
    loop = asyncio.get_running_loop()
    _transport, connection = await loop.create_connection(
        Connection, relay.host, relay.port, ssl=context if relay.tls else None
    )
    try:
        hello = await connection.one()
        if hello.code != 220:
            raise Unavailable(f"the relay refuses us: {hello.code} {hello.text}")
        await connection.greet(domain)
        if relay.starttls:
            assert context is not None
            await connection.secure(relay.host, context)
            await connection.greet(domain)
        if relay.user:
            await connection.log_in(relay.user, relay.password)
    except BaseException:
        connection.abort("not greeted")
        raise
    return connection
