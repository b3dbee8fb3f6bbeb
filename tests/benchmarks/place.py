"""A server of its own for a benchmark: a database in a temporary folder, `smtp-sink` of Postfix as the relay."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from server import app, config
from server.desk import Desk, book, forums
from server.people import identity, membership
from server.store.db import Store
from tests.faults.serving import Serving
from tests.peers.net import free_port
from tests.stories.town import write_config

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/lib/postfix/sbin:/usr/bin")


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Postfix's smtp-sink on a free port: takes everything, keeps nothing, offers PIPELINING."""
    if SINK is None:
        raise SystemExit("smtp-sink is missing: it comes with Postfix (`make test` installs it).")
    port = free_port()
    process = subprocess.Popen(
        [SINK, *(["-u", "nobody"] if os.getuid() == 0 else []), f"127.0.0.1:{port}", "1000"], stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


class Place:
    """The running server's address and its database, from outside."""

    def __init__(self, smtp: int, store: Store, root: Path) -> None:
        self.smtp, self.store, self.root = smtp, store, root

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        return self.store.read_now(lambda tx: list(tx.execute(statement)))


@contextlib.contextmanager
def serving(members: int, relay: int, **sections: dict[str, Any]) -> Iterator[Place]:
    """`junto serve` with the forum "bench" of so many mailboxes; the first ten may be named as senders (m0 … m9)."""
    with tempfile.TemporaryDirectory(prefix="junto-bench-") as name:
        root = Path(name)
        smtp, web = free_port(), free_port()
        given: dict[str, dict[str, Any]] = {
            "server": {"base_url": f"http://localhost:{web}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "email": {"domain": "bench.test", "listen": f"127.0.0.1:{smtp}", "relay": f"smtp://127.0.0.1:{relay}"},
        }
        path = write_config(root, f"sqlite:///{root}/junto.db", given | sections)
        modules = app.discover()
        home = app.household(config.load(path, app.sections(modules)), modules)
        store = home.store
        store.open()
        store.write_now(_furnish, members, home.desk)
        server = Serving(path, smtp)
        server.start()
        try:
            yield Place(smtp, store, root)
        finally:
            server.stop()
            store.close()


def _furnish(tx: sa.Connection, members: int, desk: Desk) -> None:
    forums.create_community(tx, "shore", "Shore", 1)
    forum = forums.create_forum(tx, "bench", "shore", title="Bench", mail_domain="bench.test", settle_ms=0, now=1)
    for i in range(members):
        known = identity.ensure(tx, "email", f"m{i}@dom{i % 50}.example", f"M{i}", 1, verified=True)
        membership.join(tx, forum, known.person_id, known.address_id, 1)
    book.tend(tx, desk, forum, 1)
