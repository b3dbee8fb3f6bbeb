"""The room of a real Synapse: mail to event, how many events a second beside Synapse alone, transactions, memory of ghosts."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import secrets
import smtplib
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from server.delivery import outbox
from server.store.schema import deliveries, server_state
from tests.benchmarks import ghosts
from tests.benchmarks.place import Place, serving, sink
from tests.peers import run as peers
from tests.peers.net import free_port
from tests.peers.synapse import Account, MatrixError, Synapse, shared

POSTS, BURST, WIDE, PUSHED, EACH = 60, 300, 100, 10, 100
Row = dict[str, object]


def run() -> list[Row]:
    with _place() as (place, homeserver, listen):
        reader = homeserver.register()
        room = _room(homeserver, reader)
        rows = [
            *_idle(place, homeserver, reader, room),
            *_sustained(place, homeserver, reader, room),
            *_pushed(homeserver, listen, room),
        ]
    return [*rows, ghosts.row()]


@contextmanager
def _place() -> Iterator[tuple[Place, Synapse, int]]:
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
                yield place, homeserver, listen
        finally:
            peers.close_run()


def _room(homeserver: Synapse, reader: Account) -> str:
    end = time.monotonic() + 60
    while True:
        try:
            return homeserver.join(reader, f"#_junto_bench:{homeserver.server_name}")
        except MatrixError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def _mail(port: int, names: list[str]) -> list[float]:
    """Send one mail after another over one connection; when each was answered."""
    at = []
    with smtplib.SMTP("127.0.0.1", port) as client:
        for n in names:
            head = f"From: <m0@dom0.example>\r\nTo: bench@bench.test\r\nSubject: {n}\r\nMessage-ID: <{n}@bench.example>"
            client.sendmail("m0@dom0.example", ["bench@bench.test"], f"{head}\r\n\r\nHello {n}\r\n".encode())
            at.append(time.monotonic())
    return at


def _idle(place: Place, homeserver: Synapse, reader: Account, room: str) -> list[Row]:
    """From the 250 to the moment at which a client that waits with a sync has the event."""
    seen: dict[str, float] = {}
    listening, over = threading.Event(), threading.Event()

    def read() -> None:
        since = ""
        while not over.is_set():
            path = f"/_matrix/client/v3/sync?timeout={1000 if since else 0}" + (f"&since={since}" if since else "")
            answer = homeserver.call("GET", path, token=reader.token)
            now, since = time.monotonic(), answer["next_batch"]
            joined = answer.get("rooms", {}).get("join", {}).get(room, {})
            for event in joined.get("timeline", {}).get("events", []):
                seen.setdefault(str(event["content"].get("body", "")).partition("\n")[0], now)
            listening.set()

    client = threading.Thread(target=read)
    client.start()
    listening.wait()
    took = []
    for n in range(POSTS):
        (accepted,) = _mail(place.smtp, [f"idle{n}"])
        _until(lambda n=n: f"idle{n}" in seen)  # type: ignore[misc]
        took.append((seen[f"idle{n}"] - accepted) * 1_000)
        time.sleep(0.1)
    over.set()
    client.join()
    took = sorted(took[2:])  # the ghost is made with the first one
    return [
        _row(f"mail accepted to event in a client's sync, median of {len(took)}", round(statistics.median(took)), "ms",
             p99=round(took[int(len(took) * 0.99)]), slowest=round(took[-1]))
    ]  # fmt: skip


def _sustained(place: Place, homeserver: Synapse, reader: Account, room: str) -> list[Row]:
    """Threads that waited in the queue, and such events by the same ghost from a bare client to another room, before and after."""
    path = f"/_matrix/client/v3/rooms/{quote(room)}/joined_members"
    here = homeserver.call("GET", path, token=reader.token)["joined"]
    (ghost,) = (user for user in here if user.startswith("@_junto_") and "bot:" not in user)
    before = _bare(homeserver, ghost, reader)
    place.store.write_now(lambda tx: tx.execute(server_state.insert().values(key=outbox.HELD, value="bench")))
    _mail(place.smtp, [f"burst{n}" for n in range(BURST)])
    already = _sent(place)
    used, begun = place.processor_seconds(), time.monotonic()
    place.store.write_now(lambda tx: tx.execute(server_state.delete().where(server_state.c.key == outbox.HELD)))
    _until(lambda: _sent(place) >= already + BURST)
    ours = BURST / (time.monotonic() - begun)
    used = place.processor_seconds() - used
    bare = (before + _bare(homeserver, ghost, reader)) / 2
    return [
        _row(f"{BURST} queued threads said in the room", round(ours, 1), "events/s", bare_client=round(bare, 1),
             ratio=round(ours / bare, 2), ms_of_processor_each=round(used / BURST * 1_000, 1))
    ]  # fmt: skip


def _bare(homeserver: Synapse, ghost: str, reader: Account) -> float:
    """Events a second that Synapse takes of an application service's user with a device, with so many requests at once."""
    token = json.loads(homeserver.registration.read_text())["as_token"]
    query = f"user_id={quote(ghost)}&device_id=JUNTO"
    wish = {"preset": "public_chat"}
    room = homeserver.call("POST", f"/_matrix/client/v3/createRoom?{query}", wish, token)["room_id"]
    homeserver.join(reader, room)
    local = threading.local()

    def put(n: int) -> None:
        if not hasattr(local, "connection"):
            local.connection = http.client.HTTPConnection("127.0.0.1", homeserver.port, timeout=60)
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.room.message/{secrets.token_hex(8)}"
        path += f"?{query}&ts={int(time.time() * 1000)}"
        content = {"msgtype": "m.text", "body": f"burst{n}\n\nHello burst{n}", "m.mentions": {}}
        local.connection.request("PUT", path, json.dumps(content), {"Authorization": f"Bearer {token}"})
        answer = local.connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"Synapse answered {answer.status}")

    with concurrent.futures.ThreadPoolExecutor(WIDE) as pool:
        begun = time.monotonic()
        list(pool.map(put, range(BURST)))
    return BURST / (time.monotonic() - begun)


def _pushed(homeserver: Synapse, listen: int, room: str) -> list[Row]:
    """Transactions of messages, one after another as a homeserver pushes them, while what came before is worked off."""
    token = json.loads(homeserver.registration.read_text())["hs_token"]
    connection = http.client.HTTPConnection("127.0.0.1", listen, timeout=60)
    took = []
    for n in range(PUSHED):
        events: list[dict[str, Any]] = [
            {
                "type": "m.room.message",
                "event_id": f"$bench{n}-{k}",
                "room_id": room,
                "sender": f"@visitor{k % 7}:{homeserver.server_name}",
                "origin_server_ts": int(time.time() * 1000),
                "content": {"msgtype": "m.text", "body": f"Words {n} {k}"},
            }
            for k in range(EACH)
        ]
        body, headers = json.dumps({"events": events}), {"Authorization": f"Bearer {token}"}
        begun = time.monotonic()
        connection.request("PUT", f"/_matrix/app/v1/transactions/bench{n}", body, headers)
        answer = connection.getresponse()
        answer.read()
        took.append((time.monotonic() - begun) * 1_000)
        if answer.status != 200:
            raise SystemExit(f"the door answered {answer.status}")
        time.sleep(0.5)
    return [
        _row(f"a transaction of {EACH} events answered, median of {PUSHED}", round(statistics.median(took), 1), "ms",
             slowest=round(max(took), 1))
    ]  # fmt: skip


def _sent(place: Place) -> int:
    count = sa.select(sa.func.count()).select_from(deliveries)
    rooms = count.where(
        deliveries.c.channel == "matrix", deliveries.c.item_kind == "post", deliveries.c.state == "sent"
    )
    return int(place.rows(rooms)[0][0])


def _until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not ready():
        if time.monotonic() > end:
            raise SystemExit("no event came")
        time.sleep(0.002)


def _row(what: str, value: float, unit: str, **more: object) -> Row:
    return {"what": what, "value": value, "unit": unit, **more}
