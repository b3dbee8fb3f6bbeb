"""From a mail's 250 to its event in a room of a real Synapse, one post after another."""

from __future__ import annotations

import smtplib
import statistics
import time

import sqlalchemy as sa

from server.store.schema import deliveries
from tests.benchmarks.place import serving, sink
from tests.peers import run as peers
from tests.peers.net import free_port
from tests.peers.synapse import shared

POSTS = 30


def run() -> list[dict[str, object]]:
    peers.open_run()
    with sink() as relay:
        homeserver = shared(peers.directory() / "synapse")
        listen = free_port()
        homeserver.route_to(listen)
        matrix = {
            "homeserver": homeserver.url,
            "server_name": homeserver.server_name,
            "listen": f"127.0.0.1:{listen}",
            "registration": str(homeserver.registration),
        }
        try:
            with serving(2, relay, matrix=matrix) as place:
                took = [_one(place.smtp, n, place) for n in range(POSTS)]
        finally:
            peers.close_run()
    return [{"what": f"mail accepted to Matrix event, median of {POSTS}", "value": round(statistics.median(took)), "unit": "ms",
             "slowest": round(max(took))}]  # fmt: skip


def _one(port: int, n: int, place: object) -> float:
    raw = f"From: <m0@dom0.example>\r\nTo: bench@bench.test\r\nSubject: r{n}\r\nMessage-ID: <r{n}@bench.example>\r\n\r\nHello {n}\r\n"
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("m0@dom0.example", ["bench@bench.test"], raw.encode())
    begun = time.monotonic()
    count = sa.select(sa.func.count()).select_from(deliveries)
    rooms = count.where(
        deliveries.c.channel == "matrix", deliveries.c.item_kind == "post", deliveries.c.state == "sent"
    )
    while place.rows(rooms)[0][0] <= n:  # type: ignore[attr-defined]
        if time.monotonic() - begun > 60:
            raise SystemExit("no event came")
        time.sleep(0.005)
    return (time.monotonic() - begun) * 1_000
