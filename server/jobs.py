"""Who works on what: leases by name for what must be single, and the list of processes that may hold claims.

The only writer of `leases` and `processes`. A lease is a promise with an end; who holds one past its end may have lost it.
"""

from __future__ import annotations

import os

from sqlalchemy import Connection, bindparam, delete, insert, or_, select, update

from server import clock
from server.store.schema import leases, processes
from server.store.upsert import insert_new

BEAT_LIMIT_MS = 2 * clock.MINUTE
"""A process that has not said for this long that it lives is taken for dead."""

_TAKE = (
    update(leases)
    .where(
        leases.c.name == bindparam("lease"),
        or_(leases.c.holder == bindparam("by"), leases.c.until_at <= bindparam("at")),
    )
    .values(holder=bindparam("by"), until_at=bindparam("until"))
)
_RENEW = (
    update(leases)
    .where(leases.c.name == bindparam("lease"), leases.c.holder == bindparam("by"))
    .values(until_at=bindparam("until"))
)


def acquire(tx: Connection, name: str, holder: str, now: int, ttl_ms: int) -> bool:
    """Take the lease, or prolong it if it is ours already; False if another process holds it and it has not ended."""
    row = {"name": name, "holder": holder, "until_at": now + ttl_ms}
    if insert_new(tx, leases, row, ["name"]):
        return True
    return tx.execute(_TAKE, {"lease": name, "by": holder, "at": now, "until": now + ttl_ms}).rowcount == 1


def renew(tx: Connection, name: str, holder: str, now: int, ttl_ms: int) -> bool:
    """Prolong our lease; False if it is another's by now, and the caller must stop what the lease is for."""
    return tx.execute(_RENEW, {"lease": name, "by": holder, "until": now + ttl_ms}).rowcount == 1


def release(tx: Connection, name: str, holder: str) -> None:
    """Give our lease back; another's is left alone."""
    tx.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def register(tx: Connection, holder: str, host: str, pid: int, now: int) -> None:
    """Say that a process lives and may hold claims under the name `holder`, which is new for each start."""
    tx.execute(insert(processes), {"holder": holder, "host": host, "pid": pid, "started_at": now, "seen_at": now})


def beat(tx: Connection, holder: str, now: int) -> bool:
    """Say that the process still lives; False if it was taken for dead: its claims are gone, it must register anew."""
    return tx.execute(update(processes).where(processes.c.holder == holder).values(seen_at=now)).rowcount == 1


def unregister(tx: Connection, holder: str) -> None:
    """Forget a process that ended or is dead, after its claims were released."""
    tx.execute(delete(processes).where(processes.c.holder == holder))
    tx.execute(delete(leases).where(leases.c.holder == holder))


def dead_holders(tx: Connection, host: str, now: int) -> list[str]:
    """The holders whose claims may be released: those of `host` that do not run any more, and all that fell silent.

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
