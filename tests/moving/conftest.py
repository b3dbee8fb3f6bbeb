"""An operator with an empty forum, on each database, and old messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from server.moving import mbox
from server.store.schema import posts
from tests.cli.conftest import Operator

AT = 1_600_000_000_000
MINUTE = 60_000


def mail(number: int, answers: int | None = None, by: str = "ana", **fields: str) -> bytes:
    """An old message as files hold it."""
    header = {
        "From": f"{by.title()} <{by}@shore.example>",
        "Subject": f"Anemones {number}",
        "Message-ID": f"<{number}@shore.example>",
        "Date": "Sun, 13 Sep 2020 12:26:40 +0000",
        "List-Id": "<old.shore.example>",
        "Precedence": "list",
    }
    if answers is not None:
        header["In-Reply-To"] = f"<{answers}@shore.example>"
    header |= fields
    return "".join(f"{name}: {value}\n" for name, value in header.items() if value).encode() + b"\nSeen.\n"


def box(path: Path, *messages: bytes) -> Path:
    """An mbox of them."""
    path.write_bytes(b"".join(mbox.entry(one, AT + n * MINUTE, "list") for n, one in enumerate(messages)))
    return path


def rows(operator: Operator, table: sa.Table = posts) -> list[sa.Row[Any]]:
    with operator.home() as home:
        return home.store.read_now(lambda tx: list(tx.execute(sa.select(table).order_by(*table.primary_key))))


@pytest.fixture
def operator(
    tmp_path: Path, database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Operator:
    monkeypatch.delenv("JUNTO_CONFIG", raising=False)
    monkeypatch.setenv("JUNTO_DATABASE__URL", database)
    monkeypatch.setenv("JUNTO_EMAIL__DOMAIN", "talk.example")
    made = Operator(tmp_path / "junto", capsys, monkeypatch)
    made.do("init", str(made.root), "--config", str(made.config))
    made.do("community", "create", "shore", "--name", "Shore watchers")
    made.do("forum", "create", "tides", "--community", "shore", "--title", "Tide pools")
    return made
