"""A consistent copy of the whole database while others write to it, and such a copy put into an empty one. No rules, no files but these.

SQLite: its online backup. PostgreSQL: its own programs `pg_dump` and `pg_restore`, of the newest version that is installed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from server.errors import CommandError, StoreUnavailable

SQLITE, POSTGRES = "sqlite", "postgresql"
DEBIAN_PROGRAMS = Path("/usr/lib/postgresql")


def engine(url: str) -> str:
    """Which engine the URL is of: a copy of one cannot be put into the other."""
    return SQLITE if url.startswith("sqlite") else POSTGRES


def files(url: str) -> set[Path]:
    """The files that the database itself is made of; none for PostgreSQL."""
    if engine(url) == POSTGRES:
        return set()
    main = _file(url)
    return {main.with_name(main.name + ending) for ending in ("", "-wal", "-shm", "-journal")}


def take(url: str, to: Path) -> None:
    """Copy the database as it is at one moment into the new file `to`. Raises CommandError, StoreUnavailable."""
    if engine(url) == SQLITE:
        with closing(sqlite3.connect(_file(url))) as source, closing(sqlite3.connect(to)) as copy:
            source.backup(copy)
        return
    _run("pg_dump", ["--format=custom", "--no-owner", "--no-privileges", f"--file={to}"], url)


def is_empty(url: str) -> bool:
    """Whether nothing was ever stored there. Raises StoreUnavailable."""
    if engine(url) == SQLITE:
        return not _file(url).exists()
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            found = connection.execute("SELECT 1 FROM pg_tables WHERE schemaname = 'public' LIMIT 1").fetchone()
    except psycopg.OperationalError as error:
        raise StoreUnavailable(f"the database does not answer: {error}") from error
    return found is None


def put(url: str, copy: Path) -> None:
    """Fill an empty database from a copy of the same engine. Raises CommandError; the database is empty still then."""
    if engine(url) == SQLITE:
        _check(copy)
        target = _file(url)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(copy, target)
        return
    _run("pg_restore", ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(copy)], url)


def _check(copy: Path) -> None:
    """Raises CommandError for a file that is no sound database of ours."""
    try:
        with closing(sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True)) as opened:
            said = opened.execute("PRAGMA quick_check(1)").fetchone()[0]
            opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as problem:
        said = str(problem)
    if said != "ok":
        raise CommandError(f"The database in the backup is damaged: {said}")


def _file(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def _run(name: str, words: list[str], url: str) -> None:
    """Run one of PostgreSQL's programs on the database; its password is not shown in the list of processes."""
    parsed = make_url(url)
    bare = parsed.set(password=None).render_as_string()
    environment = {**os.environ, "PGPASSWORD": str(parsed.password)} if parsed.password else dict(os.environ)
    program = [_program(name), f"--dbname={bare}", *words]
    done = subprocess.run(program, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise CommandError(f"{name} failed: {last}")


def _program(name: str) -> str:
    versions = sorted(DEBIAN_PROGRAMS.glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = str(versions[-1]) if versions else shutil.which(name)
    if found is None:
        raise CommandError(
            f"There is no {name} here: install PostgreSQL's client programs (apt install postgresql-client)."
        )
    return found
