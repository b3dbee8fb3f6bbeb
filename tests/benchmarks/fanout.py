"""One 5 KB post to 1,000 and 10,000 mailboxes, each a personal copy, unsigned and signed, beside the floors of the same run.

The floors: what the bare pipelined sender hands to the same sink, and how many RSA signatures two threads make without anything
else. On a shared machine the floors fall with the figures; look at the ratios, and at the processor time of a copy.
"""

from __future__ import annotations

import asyncio
import os
import smtplib
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from bridges.email import dkim_key
from bridges.email.send import Sender
from bridges.email.settings import Settings
from server.bridge import Lot, Outcome, Post, PostItem, Target, Writer
from server.store.schema import deliveries
from server.tokens import random_token
from tests.benchmarks.place import DOMAINS, Place, Sink, counting, serving, sink
from tests.benchmarks.posting import SIZE, body
from tests.fakes import RecordingHouse, forum
from tests.peers import postfix as postfix_peer
from tests.peers import run as peers
from tests.peers.postfix import Postfix

SIZES = (1_000, 10_000)
POSTS = 3  # of each kind; the median counts
SIGNATURES = 4_000
TO_POSTFIX = 2_000
POST_SECONDS = 120.0  # after that a post is given up, and the figure says how many copies were sent


def mail(name: str, sender: str) -> bytes:
    return (
        f"From: M0 <{sender}>\r\nTo: bench@bench.test\r\nSubject: wide {name}\r\nMessage-ID: <{name}@bench.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body(SIZE)}"
    ).encode()


@dataclass
class Walk:
    """One post on its way to everybody: seconds since it was handed over, and the server's size on the way."""

    accepted: float = 0.0
    first: float = 0.0
    all: float = 0.0
    sent: int = 0
    processor: float = 0.0
    megabytes: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.sent / self.all


def _walk(place: Place, name: str, copies: int, arrivals: Sink | None = None) -> Walk:
    walk, before, used = Walk(), _sent(place), place.processor_seconds()
    walk.megabytes.append(place.megabytes())
    if arrivals is not None:
        arrivals.watch()
    begun = time.monotonic()
    with smtplib.SMTP("127.0.0.1", place.smtp) as client:
        client.sendmail(place.members[0], ["bench@bench.test"], mail(name, place.members[0]))
    walk.accepted = time.monotonic() - begun
    while walk.sent < copies and time.monotonic() - begun < POST_SECONDS:
        time.sleep(0.02)
        walk.sent = _sent(place) - before
        walk.megabytes.append(place.megabytes())
    walk.all = time.monotonic() - begun
    walk.processor = place.processor_seconds() - used
    if arrivals is not None and arrivals.first is not None:
        walk.first = arrivals.first - begun
    return walk


def _sent(place: Place) -> int:
    count = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state == "sent")
    return int(place.rows(count)[0][0])


def _through_junto(members: int, selector: str, floor: float) -> dict[str, object]:
    with counting() as arrivals, serving(members, arrivals.port, email={"dkim_selector": selector}) as place:
        walks = [_walk(place, f"w{n}", members - 1, arrivals) for n in range(POSTS)]
    rate = statistics.median(walk.rate for walk in walks)
    warm = walks[1:]  # the first post also loads what all need
    return {
        "what": f"fan-out to {members:,} mailboxes, personal {'and signed' if selector else 'unsigned'} copies, whole server",
        "value": round(rate),
        "unit": "copies/s",
        "each": _rounded([walk.rate for walk in walks]),
        "of the floor": round(rate / floor, 2),
        "processor_us_a_copy": _rounded([walk.processor / max(walk.sent, 1) * 1e6 for walk in walks]),
        "accepted_ms": _rounded([walk.accepted * 1e3 for walk in walks]),
        "first_copy_ms_after_250": _rounded([max(walk.first - walk.accepted, 0) * 1e3 for walk in walks]),
        "sent": sum(walk.sent for walk in walks),
        "MB_before_and_most": [f"{walk.megabytes[0]:.0f} {max(walk.megabytes):.0f}" for walk in warm],
    }


def _rounded(figures: Sequence[float]) -> list[int]:
    return [round(figure) for figure in figures]


# The floors -----------------------------------------------------------------------------------------------------------
async def _bare(copies: int, relay: int, addresses: Sequence[str]) -> float:
    """Seconds in which our sender alone hands so many personal copies over."""
    house = RecordingHouse(forum("bench", mail_domain="bench.test"))
    sender = Sender(Settings(domain="bench.test", relay=f"smtp://127.0.0.1:{relay}"), house)
    post = Post(1, forum("bench", mail_domain="bench.test"), 1, "https://talk.test/f/bench/1", "<bare@bench.example>", "email",
                Writer("k", "M0"), "wide", "", "", "", "", (), 0, original=mail("bare", addresses[0]))  # fmt: skip
    targets = [Target(i, 1, addresses[i % len(addresses)], _tokens()) for i in range(copies)]
    answers: list[Outcome] = []
    begun = time.monotonic()
    await sender.deliver(Lot(PostItem(post), targets, "post:1"), lambda _target, outcome: answers.append(outcome))
    seconds = time.monotonic() - begun
    await sender.close()
    assert len(answers) == copies
    return seconds


def _tokens() -> dict[str, str]:
    """As personal as ours: a relay remembers envelope senders that it has seen."""
    return {name: random_token() for name in ("leave", "bounces", "mute")}


def _signatures() -> float:
    """RSA signatures a second of two threads that do nothing else."""
    with tempfile.TemporaryDirectory() as name:
        private = dkim_key.ensure(Path(name) / "key.pem", "bench").private

    def sign(count: int) -> None:
        for _ in range(count):
            private.sign(b"copy", padding.PKCS1v15(), hashes.SHA256())

    begun = time.monotonic()
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(sign, [SIGNATURES // 2] * 2))
    return SIGNATURES / (time.monotonic() - begun)


# Through Postfix ------------------------------------------------------------------------------------------------------
def _through_postfix() -> dict[str, object]:
    """The same copies into one real Postfix, by our sender alone and by the whole server, in turn."""
    peers.open_run()
    try:
        found = peers.shared("postfix", postfix_peer.start)
        postfix = Postfix(Path(found["place"]), found["port"], found["far_port"])
        domain = postfix.swallow()
        with serving(TO_POSTFIX + 1, postfix.port, [domain], email={"dkim_selector": ""}) as place:
            bare, ours = [], []
            for n in range(POSTS + 1):
                bare.append(TO_POSTFIX / asyncio.run(_bare(TO_POSTFIX, postfix.port, place.members[1:])))
                ours.append(_walk(place, f"p{n}", TO_POSTFIX).rate)
    finally:
        peers.close_run()
    ratios = [mine / its for mine, its in zip(ours, bare, strict=True)][1:]  # the first pair warms both up
    return {"what": f"through a real Postfix, {TO_POSTFIX:,} copies: of what it takes from the bare sender",
            "value": round(statistics.median(ratios), 2), "unit": "", "each": [round(ratio, 2) for ratio in ratios],
            "bare": _rounded(bare[1:]), "whole server": _rounded(ours[1:])}  # fmt: skip


def run() -> list[dict[str, object]]:
    with sink() as relay:
        addresses = [f"m{i}@{DOMAINS[i % len(DOMAINS)]}" for i in range(SIZES[-1])]
        copies = SIZES[-1] / min(asyncio.run(_bare(SIZES[-1], relay, addresses)) for _ in range(2))
    rows: list[dict[str, object]] = [
        {"what": f"floor: the bare pipelined sender, {SIZES[-1]:,} copies", "value": round(copies), "unit": "copies/s",
         "load": round(os.getloadavg()[0], 1)}
    ]  # fmt: skip
    rows += [_through_junto(members, "", copies) for members in SIZES]
    signatures = _signatures()
    rows.append({"what": "floor: RSA-2048 signatures, two threads alone", "value": round(signatures), "unit": "1/s"})
    rows.append(_through_junto(SIZES[-1], "bench", signatures))
    rows.append(_through_postfix())
    return rows
