"""SMTP and LMTP dialogues as plain text, spoken over a real socket.

A line "C: …" is sent with CRLF, "C| …" is sent as it is written with escapes (`\\r\\n` included by hand), "S: …" is the beginning of the
reply that must come. A reply of several lines is read whole; its last line is compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bridges.email.dns import NOTHING, Answer, Resolver
from bridges.email.gate import Gate
from bridges.email.listener import Listener
from bridges.email.settings import Settings
from server.bridge import NewPost
from tests.fakes import RecordingHouse, forum


class NobodyKnown(Resolver):
    """A DNS in which there is nothing."""

    async def ask(self, name: str, kind: str) -> Answer:
        return NOTHING


@asynccontextmanager
async def listening(
    house: RecordingHouse,
    gate: Gate | None = None,
    size: int | None = None,
    trusted: tuple[str, ...] = (),
    resolver: Resolver | None = None,
    authserv_id: str = "",
    rspamd: str = "",
) -> AsyncIterator[Listener]:
    """A listener with both doors on free ports; the DNS knows nobody, unless a test has one."""
    settings = Settings(
        domain="lists.test",
        listen="127.0.0.1:0",
        lmtp_listen="127.0.0.1:0",
        trusted_networks=trusted,
        trusted_authserv_id=authserv_id,
        rspamd=rspamd,
    )
    listener = Listener(house, settings, gate=gate, size=size, resolver=resolver or NobodyKnown())
    await listener.start()
    try:
        yield listener
    finally:
        await listener.stop()


class Client:
    """One connection; `replies` has every reply's lines."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.replies: list[list[str]] = []

    async def reply(self) -> str:
        """The next reply's last line; "" at the end of the connection."""
        lines: list[str] = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 20)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                self.replies.append(lines)
                return lines[-1]

    async def speak(self, script: str) -> None:
        for line in filter(None, (line.lstrip() for line in script.split("\n"))):
            kind, text = line[:2], line[3:]
            if kind == "C:":
                self.writer.write(text.encode() + b"\r\n")
            elif kind == "C|":
                self.writer.write(text.encode("latin-1").decode("unicode_escape").encode("latin-1"))
            elif kind == "S:":
                got = await self.reply()
                assert got.startswith(text), f"wanted {text!r}, got {got!r}"
            else:
                raise AssertionError(f"no such line in a dialogue: {line!r}")


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()


async def speak(port: int, script: str) -> Client:
    """Play a whole dialogue on a connection of its own."""
    async with client(port) as one:
        await one.speak(script)
    return one


# Pieces of dialogues
HELLO = """
    S: 220 lists.test ESMTP
    C: EHLO client.test
    S: 250
    C: MAIL FROM:<ana@members.test>
    S: 250 2.0.0
"""
LHELLO = HELLO.replace("ESMTP", "LMTP").replace("EHLO", "LHLO")
MESSAGE = """
    C: From: Ana <ana@members.test>
    C: Message-ID: <1@members.test>
    C: Subject: Barnacles
    C: Content-Type: text/plain; charset=utf-8
    C:
    C: How many did you count?
    C: .
"""


def two_forums() -> RecordingHouse:
    return RecordingHouse(forum("tides"), forum("birds", id=2))


def posts(house: RecordingHouse) -> list[NewPost]:
    return [one for one in house.accepted if isinstance(one, NewPost)]


def to(address: str, reply: str = "250 2.1.5") -> str:
    return f"\n    C: RCPT TO:<{address}>\n    S: {reply}"


def data(*replies: str, message: str = MESSAGE) -> str:
    return "\n    C: DATA\n    S: 354" + message.rstrip() + "".join(f"\n    S: {reply}" for reply in replies)
