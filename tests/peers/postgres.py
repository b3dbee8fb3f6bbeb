"""A PostgreSQL server of our own: fresh cluster, loopback, no fsync (a test's data need not survive a power cut)."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.peers import run
from tests.peers.net import PeerError, free_port, wait_for

_CLUSTER = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "64MB",
}


def bindir() -> Path | None:
    """The newest PostgreSQL server programs: Debian's place first, then PATH; None when there are none."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


class Postgres:
    """A running server. `fresh_database()` gives a new, empty database's URL."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._names: list[str] = []

    def url(self, name: str, port: int | None = None) -> str:
        """The URL of a database; `port` when it is reached through a forwarder."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{name}"

    def fresh_database(self, port: int | None = None) -> str:
        """Creates an empty database and returns its URL; `drop_all` removes it."""
        name = f"t_{os.urandom(6).hex()}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._names.append(name)
        return self.url(name, port)

    def drop_all(self) -> None:
        """Removes the databases that this object made, whoever is still connected to them."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            for name in self._names:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        self._names.clear()


def start(place: Path) -> dict[str, Any]:
    """Initialises and starts a server in `place`; returns how to reach it."""
    programs = bindir()
    if programs is None:
        raise PeerError("PostgreSQL is not installed")
    data, port = place / "data", free_port()
    drop = _as_postgres(place)
    made = subprocess.run(
        [*drop, str(programs / "initdb"), "-D", str(data), *_CLUSTER],
        capture_output=True,
        text=True,
        cwd=place,
    )
    if made.returncode:
        raise PeerError(f"initdb failed: {made.stderr}")
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    run.start(
        place,
        [*drop, str(programs / "postgres"), "-D", str(data), "-p", str(port), *settings],
        stop_signal=signal.SIGINT,  # "fast": no waiting for clients
    )
    wait_for(lambda: _answers(port, place), f"PostgreSQL on port {port}")
    return {"port": port}


def _answers(port: int, place: Path) -> bool:
    if not run.alive(place):
        raise PeerError(f"PostgreSQL ended at once:\n{run.tail(place)}")
    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _as_postgres(place: Path) -> list[str]:
    """A command prefix: initdb and postgres refuse to run as root, so they become the user that Debian made for them."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    os.chown(place, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
