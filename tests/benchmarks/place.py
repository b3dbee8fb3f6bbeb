"""A server of its own for a benchmark: a database in a temporary folder, `smtp-sink` of Postfix as the relay."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from server import app, config
from server.desk import Desk, book, forums
from server.people import identity, membership
from server.store.db import Store
from tests.faults.serving import Serving
from tests.peers.net import free_port
from tests.stories.town import write_config

DOMAINS = [f"dom{n}.example" for n in range(50)]
SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/lib/postfix/sbin:/usr/bin")


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """Postfix's smtp-sink on a free port: takes everything, keeps nothing, offers PIPELINING."""
    with _running_sink() as (port, _process):
        yield port


@contextlib.contextmanager
def _running_sink(*options: str, stdout: int | None = None) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    if SINK is None:
        raise SystemExit("smtp-sink is missing: it comes with Postfix (`make test` installs it).")
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(
        [SINK, *options, *user, f"127.0.0.1:{port}", "1000"], stdout=stdout, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield port, process
    finally:
        process.terminate()
        process.wait(10)


class Sink:
    """A sink that tells when the first mail after `watch` arrived."""

    def __init__(self, port: int, counts: IO[bytes]) -> None:
        self.port = port
        self.first: float | None = None
        self._counts = counts
        self._seen = self._at_watch = b""
        threading.Thread(target=self._read, daemon=True).start()

    def watch(self) -> None:
        time.sleep(0.05)  # let what came before be read
        self.first, self._at_watch = None, self._seen

    def _read(self) -> None:
        while piece := os.read(self._counts.fileno(), 65_536):  # "sess=1 quit=0 mesg=2\r", again and again
            self._seen = (piece.rpartition(b"mesg=")[2] or self._seen).strip()
            if self.first is None and self._seen != self._at_watch:
                self.first = time.monotonic()
            time.sleep(0.002)


@contextlib.contextmanager
def counting() -> Iterator[Sink]:
    """As `sink`, with its counters read."""
    with _running_sink("-c", stdout=subprocess.PIPE) as (port, process):
        assert process.stdout is not None
        yield Sink(port, process.stdout)


def _wait(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


class Place:
    """The running server's address and its database, from outside."""

    def __init__(self, smtp: int, store: Store, root: Path, pid: int, members: list[str]) -> None:
        self.smtp, self.store, self.root, self.members = smtp, store, root, members
        self._process = Path(f"/proc/{pid}")

    def megabytes(self) -> float:
        """What the server has in memory now."""
        return int((self._process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def processor_seconds(self) -> float:
        """What the server's process has used so far, of all processors."""
        fields = (self._process / "stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rows(self, statement: sa.Select[Any]) -> list[Any]:
        return self.store.read_now(lambda tx: list(tx.execute(statement)))


@contextlib.contextmanager
def serving(members: int, relay: int, domains: Sequence[str] = DOMAINS, **sections: dict[str, Any]) -> Iterator[Place]:
    """`junto serve` with the forum "bench" of so many mailboxes (m0, m1, …) in these domains; any of them may send."""
    with tempfile.TemporaryDirectory(prefix="junto-bench-") as name:
        root = Path(name)
        smtp, web = free_port(), free_port()
        given: dict[str, dict[str, Any]] = {
            "server": {"base_url": f"http://localhost:{web}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "email": {"domain": "bench.test", "listen": f"127.0.0.1:{smtp}", "relay": f"smtp://127.0.0.1:{relay}"},
        }
        path = write_config(
            root,
            f"sqlite:///{root}/junto.db",
            sections | {name: own | sections.get(name, {}) for name, own in given.items()},
        )
        modules = app.discover()
        home = app.household(config.load(path, app.sections(modules)), modules)
        store = home.store
        store.open()
        addresses = [f"m{i}@{domains[i % len(domains)]}" for i in range(members)]
        store.write_now(_furnish, addresses, home.desk)
        server = Serving(path, smtp)
        server.start()
        try:
            yield Place(smtp, store, root, server.pid, addresses)
        finally:
            server.stop()
            store.close()


def _furnish(tx: sa.Connection, members: list[str], desk: Desk) -> None:
    forums.create_community(tx, "shore", "Shore", 1)
    forum = forums.create_forum(tx, "bench", "shore", title="Bench", mail_domain="bench.test", settle_ms=0, now=1)
    for i, address in enumerate(members):
        known = identity.ensure(tx, "email", address, f"M{i}", 1, verified=True)
        membership.join(tx, forum, known.person_id, known.address_id, 1)
    book.tend(tx, desk, forum, 1)
