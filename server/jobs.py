"""Who is alive: the list of processes that may hold claims, and which of them are dead. The only writer of `processes`."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from server import clock
from server.store.schema import processes

BEAT_LIMIT_MS = 2 * clock.MINUTE
"""A process that has not said for this long that it lives is taken for dead."""

PID_NAMESPACE = Path("/proc/self/ns/pid")


def host() -> str:
    """Where the numbers of processes mean what they mean to us: the machine's name, and its PID namespace where there are such.

    Containers may share a name and see nothing of each other's processes (pid_namespaces(7)); the inode tells them apart
    (namespaces(7)).
    """
    name = socket.gethostname()
    try:
        return f"{name}/{PID_NAMESPACE.stat().st_ino}"
    except OSError:
        return name


def register(tx: Connection, holder: str, host: str, pid: int, now: int) -> None:
    """Say that a process lives and may hold claims under the name `holder`, which is new for each start; `host` is `host()`."""
    tx.execute(insert(processes), {"holder": holder, "host": host, "pid": pid, "started_at": now, "seen_at": now})


def beat(tx: Connection, holder: str, now: int) -> bool:
    """Say that the process still lives; False if it was taken for dead: its claims are gone, it must register anew."""
    return tx.execute(update(processes).where(processes.c.holder == holder).values(seen_at=now)).rowcount == 1


def unregister(tx: Connection, holder: str) -> None:
    """Forget a process that ended or is dead, after its claims were released."""
    tx.execute(delete(processes).where(processes.c.holder == holder))


def dead_holders(tx: Connection, host: str, now: int) -> list[str]:
    """The holders whose claims may be released: those of `host` that do not run any more, and all that fell silent.

    Of a process elsewhere, on another machine or in another PID namespace, only its silence tells that it is dead.
    A process number comes back, in a container at every start: of two holders with one number only the younger can live.
    """
    rows = tx.execute(select(processes).order_by(processes.c.started_at.desc(), processes.c.seen_at.desc()))
    dead, seen = [], set()
    for row in rows:
        here = row.host == host
        if row.seen_at < now - BEAT_LIMIT_MS or (here and (row.pid in seen or not _runs(row.pid))):
            dead.append(row.holder)
        if here:
            seen.add(row.pid)
    return dead


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
