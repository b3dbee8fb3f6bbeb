"""How commands print: text for a person, JSON for a program. What others wrote reaches the terminal without control characters."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPE_WIDTH = 4_000  # where nobody looks at the width, nothing is cut


def when(at: int | None) -> str | None:
    """A time of the database as RFC 3339 in UTC, to the millisecond."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(value: object) -> str:
    """A value as text that cannot steer a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "".join(c if c.isprintable() or c == "\n" else "�" for c in str(value))


def answer(as_json: bool, data: Any, text: str) -> None:
    """Print what a command has to say."""
    print(json.dumps(data, ensure_ascii=False, indent=2) if as_json else plain(text))


def table(as_json: bool, rows: Sequence[dict[str, Any]], columns: Sequence[str], none: str) -> None:
    """Print rows: all of their fields as JSON, or the named columns as a table; `none` is said where there is no row."""
    if as_json or not rows:
        answer(as_json, list(rows), none)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        grid.add_row(*(Text(plain(row[column]).replace("\n", " ")) for column in columns))
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(grid)
