"""What a filter says of a message: a real rspamd asked, one that does not answer, and the fields of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bridges.email import fields, spam
from bridges.email import rspamd as ours
from bridges.email.authentication import Peer
from bridges.email.rspamd import Filter
from server.bridge import Spam
from server.errors import Deferred
from tests.peers import rspamd as peer
from tests.peers.net import free_port
from tests.peers.rspamd import Rspamd

NOBODY = Peer("127.0.0.1", "", "", True)


class Reports:
    def __init__(self) -> None:
        self.said: list[tuple[bool, str]] = []

    def __call__(self, ok: bool, detail: str) -> None:
        self.said.append((ok, detail))


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[tuple[Filter, Reports, list[float]]]:
    """A filter, what it reports, and its clock."""
    reports, now = Reports(), [0.0]
    made = Filter(url, reports, lambda: now[0])
    try:
        yield made, reports, now
    finally:
        await made.close()


def message(subject: str, body: str) -> bytes:
    return f"From: Eve <eve@x.test>\r\nTo: tides@lists.test\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()


@pytest.mark.parametrize(
    ("subject", "body", "verdict"),
    [
        ("hello", "How many did you count?", Spam.NO),
        ("hello", peer.REJECT, Spam.CERTAIN),
        ("hello", peer.ADD_HEADER, Spam.SUSPECT),
        ("hello", peer.REWRITE_SUBJECT, Spam.SUSPECT),
        (
            peer.FIVE_POINTS,
            "hello",
            Spam.NO,
        ),  # its action is "greylist": without a greylisting module nothing would ever end it
        (peer.ENVELOPE, "hello", Spam.CERTAIN),
    ],
)
async def test_rspamd_is_asked(rspamd: Rspamd, subject: str, body: str, verdict: Spam) -> None:
    async with asking(rspamd.url) as (made, reports, _now):
        client = Peer("127.0.0.1", "client.test", "eve@envelope.test", True)
        told = await made.judge(message(subject, body), client, ["tides@lists.test"])
        assert told is verdict
        assert reports.said == [(True, "")]


async def test_who_shall_come_again_is_told_so(rspamd: Rspamd) -> None:
    async with asking(rspamd.url) as (made, _reports, _now):
        with pytest.raises(Deferred) as later:
            await made.judge(message(peer.COME_AGAIN, "hello"), NOBODY)
        assert later.value.code == "4.7.1"


async def test_an_envelope_that_fits_no_header_does_no_harm(rspamd: Rspamd) -> None:
    async with asking(rspamd.url) as (made, _reports, _now):
        client = Peer("not an address", "a\r\nb", "zo\u00eb@x.test", True)
        told = await made.judge(message("hello", "hello"), client, ["a\x00b@x.test"])
        assert told is Spam.NO


async def test_a_filter_that_is_away_keeps_no_mail_out_and_is_reported(rspamd: Rspamd) -> None:
    async with asking(f"http://127.0.0.1:{free_port()}") as (made, reports, now):
        assert await made.judge(message("hello", peer.REJECT), NOBODY) is None
        assert len(reports.said) == 1
        assert "rspamd does not answer" in reports.said[0][1]
        assert await made.judge(message("hello", peer.REJECT), NOBODY) is None
        assert len(reports.said) == 1  # it is left alone for a while
        now[0] += ours.PAUSE_SECONDS
        made._url = rspamd.url
        assert await made.judge(message("hello", peer.REJECT), NOBODY) is Spam.CERTAIN
        assert reports.said[-1] == (True, "")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"action": 12}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
        b"rubbish\r\n\r\n",
        b"",
    ],
)
async def test_a_strange_answer_is_none(answer: bytes) -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(strange, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        async with asking(f"http://127.0.0.1:{port}") as (made, reports, _now):
            assert await made.judge(message("hello", "hello"), NOBODY) is None
            assert [ok for ok, _detail in reports.said] == [False]
    finally:
        server.close()


async def test_nobody_is_asked_where_there_is_nobody_or_the_message_is_large() -> None:
    async with asking("") as (made, reports, _now):
        assert await made.judge(message("hello", "hello"), NOBODY) is None
    async with asking("http://127.0.0.1:1") as (made, reports, _now):
        assert await made.judge(b"x" * (ours.ASKED_BYTES + 1), NOBODY) is None
        assert reports.said == []


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        (b"", Spam.NO),
        (b"X-Spam-Flag: YES\r\n", Spam.SUSPECT),
        (b"X-Spam-Status: Yes, score=7.2 required=5.0\r\n", Spam.SUSPECT),
        (b"X-Spam: Yes\r\n", Spam.SUSPECT),
        (b"X-Rspamd-Action: add header\r\n", Spam.SUSPECT),
        (b"X-Rspamd-Action: no action\r\n", Spam.NO),
        (b"X-Spam-Flag: NO\r\nX-Spam-Status: No, score=1.0\r\n", Spam.NO),
        (b"X-Spam-Flag: NO\r\nReceived: from far\r\nX-Spam-Flag: YES\r\n", Spam.NO),  # ours stands above the sender's
        (b"X-Spam-Flag: YES\r\nReceived: from far\r\nX-Spam-Flag: NO\r\n", Spam.SUSPECT),
        (b"X-Spam-Score: 99\r\n", Spam.NO),
    ],
)
def test_fields_of_a_filter_in_front_of_us(header: bytes, verdict: Spam) -> None:
    assert spam.marked(fields.read(header + b"From: eve@x.test\r\n")) is verdict
