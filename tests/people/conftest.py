"""A real database, of each engine in turn, with a forum and two people in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from server.desk import forums
from server.people import identity
from server.store.db import Store

NOW = 1_700_000_000_000


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open store on an empty database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'junto.db'}"
    else:
        url = request.getfixturevalue("postgres_url")
    made = Store(url)
    made.open()
    yield made
    made.close()


@dataclass(frozen=True)
class Place:
    """One forum and who is around it."""

    store: Store
    forum: int
    ana: identity.Known
    bruno: identity.Known

    def do(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.store.write_now(work, *args, **kwargs)

    def see(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.store.read_now(work, *args, **kwargs)


@pytest.fixture
def place(store: Store) -> Place:
    def build(tx: Connection) -> Place:
        forums.create_community(tx, "shore", "Shore watchers", NOW)
        forum = forums.create_forum(tx, "tides", "shore", title="Tide pools", mail_domain="Shore.Example", now=NOW)
        ana = identity.ensure(tx, "post", "ana@shore.example", "Ana", NOW)
        bruno = identity.ensure(tx, "chat", "@bruno:shore.example", "Bruno", NOW)
        return Place(store, forum, ana, bruno)

    return store.write_now(build)
