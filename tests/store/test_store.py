"""The two doors: what is answered is committed, what raises leaves nothing, and a newer database is refused."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.errors import JuntoError, StoreUnavailable
from server.store import db
from server.store.schema import server_state


def put(tx: Connection, key: str, value: str = "x") -> str:
    tx.execute(server_state.insert().values(key=key, value=value))
    return key


def keys(tx: Connection) -> set[str]:
    return {row.key for row in tx.execute(sa.select(server_state.c.key))}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[db.Store]:
    opened = db.Store(f"sqlite:///{tmp_path}/junto.db")
    opened.open()
    yield opened
    opened.close()


async def test_an_answer_comes_after_the_commit(store: db.Store, tmp_path: Path) -> None:
    await store.write(put, "a")
    with sqlite3.connect(tmp_path / "junto.db") as other:
        assert other.execute("SELECT key FROM server_state").fetchall() == [("a",)]


async def test_one_that_raises_takes_no_other_of_its_group_with_it(store: db.Store) -> None:
    def bad(tx: Connection) -> None:
        put(tx, "bad")
        raise ValueError("no")

    answers = await asyncio.gather(
        *(store.write(put, f"k{i}") for i in range(40)), store.write(bad), return_exceptions=True
    )
    assert isinstance(answers[-1], ValueError)
    assert await store.read(keys) == {f"k{i}" for i in range(40)}


async def test_what_raises_gives_no_hint(store: db.Store) -> None:
    heard = store.hints("outbox")

    def bad(tx: Connection) -> None:
        db.after(tx, "outbox")
        raise ValueError("no")

    with pytest.raises(ValueError):
        await store.write(bad)
    await asyncio.sleep(0)
    assert not heard.is_set()

    await store.write(lambda tx: db.after(tx, "outbox"))
    await asyncio.wait_for(heard.wait(), 5)


async def test_the_reading_door_cannot_write(store: db.Store) -> None:
    with pytest.raises((StoreUnavailable, sa.exc.DBAPIError)):
        await store.read(put, "a")
    assert await store.read(keys) == set()


async def test_a_second_writer_gets_its_turn(store: db.Store, tmp_path: Path) -> None:
    second = db.Store(f"sqlite:///{tmp_path}/junto.db")
    second.open()
    try:
        busy = [asyncio.create_task(store.write(put, f"busy{i}")) for i in range(300)]
        await asyncio.to_thread(lambda: [second.write_now(put, f"command{i}") for i in range(5)])
        await asyncio.gather(*busy)
    finally:
        second.close()
    assert len(await store.read(keys)) == 305


async def test_a_store_that_is_closed_defers(store: db.Store) -> None:
    store.close()
    with pytest.raises(StoreUnavailable):
        await store.write(put, "late")


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    first = db.Store(f"sqlite:///{tmp_path}/junto.db")
    first.open()
    first.close()
    with sqlite3.connect(tmp_path / "junto.db") as tx:
        tx.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(JuntoError, match="newer"):
        db.Store(f"sqlite:///{tmp_path}/junto.db").open()


async def test_a_full_database_is_told_of_until_it_takes_writes_again(
    store: db.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store.takes_writes()
    await store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 1"))  # no more than there are
    with pytest.raises(StoreUnavailable):
        await store.write(put, "large", "x" * 2_000_000)
    await store.write(lambda tx: tx.exec_driver_sql("PRAGMA max_page_count = 100000"))
    assert not store.takes_writes(), "a small write that was taken proves little"
    monkeypatch.setattr(db, "REFUSED_SECONDS", 0.0)
    assert not store.takes_writes(), "nothing was written since"
    await store.write(put, "large", "x" * 2_000_000)
    assert store.takes_writes()
