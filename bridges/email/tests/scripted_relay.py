"""A relay that does what it is told and remembers what it was given. For faults that a real one will not produce on demand."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType


@dataclass
class Taken:
    sender: str
    recipient: str
    content: bytes
    connection: int


class Hangup(Exception):
    """The relay ends the connection here."""


@dataclass
class ScriptedRelay:
    """`refuse`: answers to RCPT by recipient. `data_without_receiver`: what DATA gets when every RCPT was refused.

    `hang_up_at`: what to close the connection at, ("body", N) or ("rcpt", N), N counted over all connections; once.
    `messages_a_connection`: 421 after so many. `needs_next`: the answer to a last dot waits until another command is there.
    """

    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8")
    greeting: str = "220 relay.test ESMTP"
    refuse: dict[str, str] = field(default_factory=dict)
    refuse_body: dict[str, str] = field(default_factory=dict)
    refuse_mail: str = ""
    data_without_receiver: str = "503 5.5.1 no receiver"
    hang_up_at: tuple[str, int] = ("", 0)
    messages_a_connection: int = 1_000_000
    needs_next: bool = False
    strict: bool = False  # refuses lines that are too long
    password: str = ""
    tls: ssl.SSLContext | None = None

    taken: list[Taken] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    nonsense: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> ScriptedRelay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**22, ssl=self.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        return [taken.recipient for taken in self.taken]

    @property
    def bodies(self) -> int:
        """Messages read up to their last dot, answered or not."""
        return self._seen.get("body", 0)

    def _maybe_hang_up(self, what: str) -> None:
        self._seen[what] = self._seen.get(what, 0) + 1
        if self.hang_up_at == (what, self._seen[what]):
            raise Hangup

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            await _Session(self, reader, writer, self.connections).run()
        except (Hangup, ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()


class _Session:
    def __init__(
        self, relay: ScriptedRelay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._relay, self._reader, self._writer, self._number = relay, reader, writer, number
        self._pushed_back = b""
        self._sender: str | None = None
        self._receivers: list[str] = []
        self._messages = 0

    def _say(self, line: str) -> None:
        self._writer.write(line.encode() + b"\r\n")

    async def _line(self) -> bytes:
        line, self._pushed_back = self._pushed_back, b""
        return line or await self._reader.readuntil(b"\r\n")

    async def run(self) -> None:
        self._say(self._relay.greeting)
        while True:
            line = (await self._line()).decode().removesuffix("\r\n")
            self._relay.commands.append(line)
            verb = line.partition(" ")[0].upper()
            if self._messages >= self._relay.messages_a_connection and verb == "MAIL":
                self._say("421 4.7.0 enough for one connection")
                raise Hangup
            if verb == "QUIT":
                self._say("221 2.0.0 bye")
                raise Hangup
            await self._command(verb, line)

    async def _command(self, verb: str, line: str) -> None:
        relay = self._relay
        if verb == "EHLO":
            lines = ["relay.test", *relay.extensions]
            for at, text in enumerate(lines):
                self._say(f"250{' ' if at == len(lines) - 1 else '-'}{text}")
        elif verb == "AUTH":
            good = line == f"AUTH PLAIN {relay.password}"
            self._say("235 2.7.0 welcome" if good else "535 5.7.8 who are you")
        elif verb == "MAIL":
            if self._sender is not None:
                self._say("503 5.5.1 nested MAIL")
            elif relay.refuse_mail:
                self._say(relay.refuse_mail)
            else:
                self._sender = line.partition("<")[2].partition(">")[0]
                self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            self._rcpt(line.partition("<")[2].partition(">")[0])
        elif verb == "RSET":
            self._sender, self._receivers = None, []
            self._say("250 2.0.0 ok")
        elif verb == "DATA":
            await self._data()
        else:
            relay.nonsense.append(line)
            self._say("500 5.5.2 what?")

    def _rcpt(self, recipient: str) -> None:
        self._relay._maybe_hang_up("rcpt")
        if self._sender is None:
            self._say("503 5.5.1 MAIL first")
        elif recipient in self._relay.refuse:
            self._say(self._relay.refuse[recipient])
        else:
            self._receivers.append(recipient)
            self._say("250 2.1.5 ok")

    async def _data(self) -> None:
        relay = self._relay
        if not self._receivers and relay.data_without_receiver != "354":
            self._say(relay.data_without_receiver)
            return
        self._say("354 go on")
        lines = []
        while (line := await self._line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        relay._maybe_hang_up("body")
        if relay.needs_next:
            self._pushed_back = await self._line()
        content = b"".join(lines)
        if relay.strict and max(map(len, lines), default=0) > 1_000:  # RFC 5321 section 4.5.3.1.6, with CRLF
            self._sender, self._receivers = None, []
            self._say("500 line too long")
            return
        answer = "250 2.0.0 taken" if self._receivers else "554 5.5.1 no receiver"
        for recipient in self._receivers:
            answer = relay.refuse_body.get(recipient, answer)
            if answer.startswith("2"):
                relay.taken.append(Taken(self._sender or "", recipient, content, self._number))
        self._sender, self._receivers = None, []
        self._messages += 1
        self._say(answer)


@asynccontextmanager
async def relay(**script: object) -> AsyncIterator[ScriptedRelay]:
    """A running ScriptedRelay."""
    async with ScriptedRelay(**script) as running:  # type: ignore[arg-type]
        yield running
