"""A real SQLite database for each test, and what was put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.store.db import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(f"sqlite:///{tmp_path}/junto.db")
    opened.open()
    yield opened
    opened.close()
