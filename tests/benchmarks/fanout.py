"""Fan-out of one 5 KB post to 1,000 and 10,000 mailboxes, each a personal copy, beside the floor: the bare pipelined sender alone."""

from __future__ import annotations

import asyncio
import smtplib
import time

import sqlalchemy as sa

from bridges.email.send import Sender
from bridges.email.settings import Settings
from server.bridge import Lot, Outcome, Post, PostItem, Target, Writer
from server.store.schema import deliveries
from tests.benchmarks.place import Place, serving, sink
from tests.benchmarks.posting import SIZE, body
from tests.fakes import RecordingHouse, forum

SIZES = (1_000, 10_000)


def mail(n: int) -> bytes:
    return (
        f"From: M0 <m0@dom0.example>\r\nTo: bench@bench.test\r\nSubject: wide {n}\r\nMessage-ID: <wide{n}@bench.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body(SIZE)}"
    ).encode()


def _through_junto(members: int) -> dict[str, object]:
    with sink() as relay, serving(members, relay) as place:
        begun = time.monotonic()
        with smtplib.SMTP("127.0.0.1", place.smtp) as client:
            client.sendmail("m0@dom0.example", ["bench@bench.test"], mail(members))
        accepted = time.monotonic() - begun
        while (sent := _sent(place)) < members - 1:
            if time.monotonic() - begun > 120:
                break
            time.sleep(0.02)
        seconds = time.monotonic() - begun
    return {"what": f"fan-out to {members:,} mailboxes, personal copies, through the whole server", "value": round(sent / seconds),
            "unit": "copies/s", "accepted_ms": round(accepted * 1_000), "all_s": round(seconds, 2), "sent": sent}  # fmt: skip


def _sent(place: Place) -> int:
    count = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state == "sent")
    return int(place.rows(count)[0][0])


async def _bare(copies: int, relay: int) -> float:
    house = RecordingHouse(forum("bench", mail_domain="bench.test"))
    sender = Sender(Settings(domain="bench.test", relay=f"smtp://127.0.0.1:{relay}"), house)
    raw = mail(0)
    post = Post(1, forum("bench", mail_domain="bench.test"), 1, "https://talk.test/f/bench/1", "<wide0@bench.example>", "email",
                Writer("k", "M0"), "wide", "", "", "", "", (), 0, original=raw)  # fmt: skip
    targets = [Target(i, 1, f"m{i}@dom.example", {"leave": "a" * 26, "bounces": "b" * 26}) for i in range(copies)]
    answers: list[Outcome] = []
    begun = time.monotonic()
    await sender.deliver(Lot(PostItem(post), targets, "post:1"), lambda _target, outcome: answers.append(outcome))
    seconds = time.monotonic() - begun
    await sender.close()
    assert len(answers) == copies
    return seconds


def run() -> list[dict[str, object]]:
    with sink() as relay:
        floor = asyncio.run(_bare(SIZES[-1], relay))
    rows: list[dict[str, object]] = [
        {
            "what": f"floor: the bare pipelined sender, {SIZES[-1]:,} copies",
            "value": round(SIZES[-1] / floor),
            "unit": "copies/s",
        }
    ]
    return rows + [_through_junto(members) for members in SIZES]
