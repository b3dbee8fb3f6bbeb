"""Posts per second that SMTP accepts durably: 500 posts of 5 KB over 10 kept connections, a forum of 10."""

from __future__ import annotations

import asyncio
import time

import sqlalchemy as sa

from server.store.schema import posts
from tests.benchmarks.place import Place, serving, sink

POSTS, CONNECTIONS, MEMBERS, SIZE = 500, 10, 10, 5_000


def body(size: int) -> str:
    line = "the tide comes in and the tide goes out over the rocks\r\n"
    return line * (size // len(line) + 1)


async def _sender(port: int, part: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def command(line: bytes, expected: bytes) -> None:
        writer.write(line)
        while True:
            answer = await reader.readline()
            if answer[3:4] != b"-":
                break
        assert answer.startswith(expected), answer

    await command(b"", b"220")
    await command(b"EHLO bench\r\n", b"250")
    text = body(SIZE)
    for i in range(part, POSTS, CONNECTIONS):
        sender = f"m{i % MEMBERS}@dom{i % MEMBERS % 50}.example"
        await command(f"MAIL FROM:<{sender}>\r\n".encode(), b"250")
        await command(b"RCPT TO:<bench@bench.test>\r\n", b"250")
        await command(b"DATA\r\n", b"354")
        head = (
            f"From: <{sender}>\r\nTo: bench@bench.test\r\nSubject: post {i}\r\nMessage-ID: <{i}@bench.example>\r\n\r\n"
        )
        await command(head.encode() + text.encode() + b".\r\n", b"250")
    writer.close()


async def _all(port: int) -> float:
    begun = time.monotonic()
    await asyncio.gather(*(_sender(port, part) for part in range(CONNECTIONS)))
    return time.monotonic() - begun


def run() -> list[dict[str, object]]:
    with sink() as relay, serving(MEMBERS, relay) as place:
        seconds = asyncio.run(_all(place.smtp))
        stored = _stored(place)
    return [
        {"what": f"posts accepted by SMTP (durable; {CONNECTIONS} connections, forum of {MEMBERS}, copies sent beside it)",
         "value": round(POSTS / seconds), "unit": "posts/s", "stored": stored, "asked": POSTS}
    ]  # fmt: skip


def _stored(place: Place) -> int:
    return int(place.rows(sa.select(sa.func.count()).select_from(posts))[0][0])
