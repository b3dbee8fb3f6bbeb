"""The two doors to the database. The only maker of engines, connections and transactions.

A unit of work is a plain function `work(tx, …)` over a SQLAlchemy Core connection, the same for SQLite and PostgreSQL. `write` runs it
in a transaction and answers after the commit; `read` runs it where nothing can be written. SQLite has one writer thread with group
commit (a savepoint for each function) and reader threads; PostgreSQL has a pool of threads, a transaction each.

A write function runs under 50 ms and parses nothing. No rules here, and nothing of posts.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from server import log, metrics
from server.errors import StoreUnavailable
from server.store import migrate

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Connection, P], T]

GROUP_COUNT = 50
GROUP_SECONDS = 0.05  # a second writer waits no longer than this for its turn
BUSY_MS = 30_000
READERS = 4
POSTGRES_THREADS = 8
OF_THE_STATEMENT = ("22", "23", "42", "54")  # classes of SQLSTATE: data, constraint, syntax, program limit
REFUSED_SECONDS = (
    60.0  # a database that refused a write counts as sick for so long, though a smaller one be taken meanwhile
)
RETRIES = 5  # of a transaction that PostgreSQL sends back: serialization failure, deadlock

_log = log.get("store")


def after(tx: Connection, topic: str) -> None:
    """Tell this process after the commit that there is something new about `topic`. A hint only: the table is the truth."""
    tx.info.setdefault("hints", set()).add(topic)


class Store:
    """One database. `open` before use, `close` once at the end (both block; idempotent)."""

    def __init__(self, url: str) -> None:
        self._sqlite = url.startswith("sqlite")
        self.url = url
        self._engine = _sqlite_engine(url, reading=False) if self._sqlite else _postgres_engine(url)
        self._reading = _sqlite_engine(url, reading=True) if self._sqlite else self._engine
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._writer: threading.Thread | None = None
        self._threads = ThreadPoolExecutor(READERS if self._sqlite else POSTGRES_THREADS, "store")
        self._listeners: list[tuple[asyncio.AbstractEventLoop, str, asyncio.Event]] = []
        self._closed = False
        self._refused_at: float | None = None

    def open(self) -> None:
        """Bring the tables up to date. Raises JuntoError if the database is newer than the code, StoreUnavailable if it is away."""
        if self._sqlite:
            Path(self._engine.url.database or "").parent.mkdir(parents=True, exist_ok=True)
        try:
            migrate.upgrade(self._engine)
        except OperationalError as error:
            raise StoreUnavailable(f"the database does not answer: {error.orig}") from error
        if self._sqlite and self._writer is None:
            self._writer = threading.Thread(target=self._write_groups, name="store-writer", daemon=True)
            self._writer.start()

    def close(self) -> None:
        """Finish what was begun, then let go of every connection."""
        if self._closed:
            return
        self._closed = True
        if self._writer is not None:
            self._jobs.put(None)
            self._writer.join()
        self._threads.shutdown(wait=True)
        self._reading.dispose()
        self._engine.dispose()

    async def write(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` in a transaction; its answer comes after the commit.

        What `work` raises undoes its own writes and is raised here. Raises StoreUnavailable when the database does not answer.
        """
        if not self._sqlite:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, lambda: self.write_now(work, *args, **kwargs))
        return await asyncio.wrap_future(self._enqueue(work, args, kwargs))

    async def read(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `work` where it cannot write. Raises StoreUnavailable when the database does not answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: self.read_now(work, *args, **kwargs))

    def write_now(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, for a caller that may block (a command)."""
        if self._sqlite:
            return self._enqueue(work, args, kwargs).result()
        for attempt in range(RETRIES):
            try:
                with self._engine.begin() as tx:
                    answer = work(tx, *args, **kwargs)
                    hints = tx.info.pop("hints", set())
                self._taken()
                self._tell(hints)
            except DBAPIError as error:
                if _sent_back(error) and attempt + 1 < RETRIES:
                    time.sleep(0.01 * 2**attempt)
                    continue
                if _away(error):
                    self._refused_at = time.monotonic()
                    raise StoreUnavailable from error
                raise
            return answer
        raise StoreUnavailable

    def read_now(self, work: Work[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for a caller that may block."""
        try:
            with self._reading.connect() as tx:
                if not self._sqlite:
                    tx.exec_driver_sql("SET TRANSACTION READ ONLY")
                return work(tx, *args, **kwargs)
        except DBAPIError as error:
            if _away(error):
                raise StoreUnavailable from error
            raise

    def takes_writes(self) -> bool:
        """False where the last write failed by the database's or the disk's fault, or one did within the last minute."""
        return self._refused_at is None

    def _taken(self) -> None:
        refused_at = self._refused_at
        if refused_at is not None and time.monotonic() - refused_at > REFUSED_SECONDS:
            self._refused_at = None

    def hints(self, topic: str) -> asyncio.Event:
        """An event of the running loop that is set after each commit that called `after` with the topic."""
        heard = asyncio.Event()
        self._listeners.append((asyncio.get_running_loop(), topic, heard))
        return heard

    def _tell(self, topics: set[str]) -> None:
        for loop, topic, heard in self._listeners:
            if topic in topics and not loop.is_closed():
                loop.call_soon_threadsafe(heard.set)

    def _enqueue(self, work: Callable[..., T], args: Any, kwargs: Any) -> Future[T]:
        if self._closed or self._writer is None:
            raise StoreUnavailable("the store is closed")
        job = _Job(work, args, kwargs)
        self._jobs.put(job)
        return job.answer

    def _write_groups(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._write_group(job)

    def _write_group(self, first: _Job) -> None:
        """Commit `first` together with the jobs that come while the time of a group lasts."""
        begun = time.monotonic()
        group: list[_Job] = []
        outcomes: list[tuple[Any, BaseException | None]] = []
        job: _Job | None = first
        try:
            with self._engine.connect() as tx, tx.begin():
                while job is not None:
                    group.append(job)
                    outcomes.append(self._in_savepoint(tx, job))
                    full = len(group) >= GROUP_COUNT or time.monotonic() - begun > GROUP_SECONDS
                    job = None if full else self._waiting()
                hints = tx.info.pop("hints", set())
        except Exception as error:  # noqa: BLE001  the writer's loop edge: a disk error defers the whole group
            metrics.LOOP_ERRORS.labels("store").inc()
            self._refused_at = time.monotonic()
            _log.error("write group deferred", error=str(error), size=len(group))
            for job in group or [first]:
                unavailable = StoreUnavailable()
                unavailable.__cause__ = error
                job.finish(None, unavailable)
            return
        metrics.COMMIT_SECONDS.observe(time.monotonic() - begun)
        metrics.GROUP_SIZE.observe(len(group))
        self._taken()
        for done, (answer, problem) in zip(group, outcomes, strict=True):
            done.finish(answer, problem)
        self._tell(hints)

    def _waiting(self) -> _Job | None:
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        if job is None:  # the sign to stop: let the loop outside see it after this commit
            self._jobs.put(None)
        return job

    @staticmethod
    def _in_savepoint(tx: Connection, job: _Job) -> tuple[Any, BaseException | None]:
        before = set(tx.info.get("hints", ()))
        try:
            with tx.begin_nested():
                return job.work(tx, *job.args, **job.kwargs), None
        except OperationalError:
            raise
        except Exception as problem:  # noqa: BLE001  it is the caller's, and is raised there
            tx.info["hints"] = before
            return None, problem


class _Job:
    __slots__ = ("answer", "args", "kwargs", "work")

    def __init__(self, work: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self.work, self.args, self.kwargs = work, args, kwargs
        self.answer: Future[Any] = Future()

    def finish(self, answer: Any, problem: BaseException | None) -> None:
        if not self.answer.set_running_or_notify_cancel():
            return
        if problem is not None:
            self.answer.set_exception(problem)
        else:
            self.answer.set_result(answer)


def _sqlite_engine(url: str, reading: bool) -> Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_MS / 1000, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # what was answered with 250 must survive a power cut
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA query_only = {'ON' if reading else 'OFF'}")

    @event.listens_for(engine, "begin")
    def _begun(tx: Connection) -> None:
        tx.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _postgres_engine(url: str) -> Engine:
    return sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg://", 1),
        pool_size=POSTGRES_THREADS,
        max_overflow=2,
        pool_pre_ping=True,
        pool_timeout=10,
        connect_args={"connect_timeout": 5},
    )


def _away(error: DBAPIError) -> bool:
    """Whether the database, not the statement, is at fault; what is unknown is temporary."""
    if str(getattr(error.orig, "sqlstate", "") or "")[:2] in OF_THE_STATEMENT:
        return False
    return isinstance(error, OperationalError) or error.connection_invalidated


def _sent_back(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", "") in ("40001", "40P01")
