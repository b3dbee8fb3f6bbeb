"""The program as an operator meets it: its words, what it prints, its exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from server.bridge import Author, Inbound, NewPost, Ref, Result
from server.cli import main
from server.cli.context import opened
from server.house import Household


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Operator:
    """Somebody at the command line of a server in `root`."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.config = root, root / "junto.toml"
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *words: str) -> Ran:
        """Run `junto` with these words; its own configuration is named unless the words name one."""
        named = words if {"--config", "--help", "--version"} & {*words} else (*words, "--config", str(self.config))
        self._monkeypatch.setattr(sys, "argv", ["junto", *named])
        self._capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = self._capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    def do(self, *words: str) -> Ran:
        """As `run`, for what must succeed."""
        ran = self.run(*words)
        assert ran.code == 0, ran.err
        return ran

    def fails(self, *words: str) -> str:
        """What the program says to what it refuses: on stderr, nothing on stdout."""
        ran = self.run(*words)
        assert (ran.code, ran.out) == (1, "")
        assert "Traceback" not in ran.err
        return ran.err.strip()

    @contextmanager
    def home(self) -> Iterator[Household]:
        with opened(str(self.config)) as home:
            yield home

    def accept(self, *inbound: Inbound) -> list[Result]:
        """Hand things in at the desk, as a bridge does."""

        async def each(home: Household) -> list[Result]:
            return [await home.accept(one) for one in inbound]

        with self.home() as home:
            return asyncio.run(each(home))


def letter(
    number: int, address: str = "ana@shore.example", forum: str = "tides", answers: int | None = None
) -> NewPost:
    """A mail to the forum, as a bridge hands it over."""
    parents = (Ref("message-id", f"<{answers}@shore.example>"),) if answers is not None else ()
    return NewPost(
        forum=forum,
        author=Author("email", address, "Ana"),
        refs=(Ref("message-id", f"<{number}@shore.example>"),),
        parents=parents,
        subject=f"Anemones {number}",
        text=f"Seen {number} of them.",
        original=f"Subject: Anemones {number}\r\n\r\nSeen {number} of them.\r\n".encode(),
    )


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Operator:
    """An operator in an empty place."""
    monkeypatch.delenv("JUNTO_CONFIG", raising=False)
    return Operator(tmp_path / "junto", capsys, monkeypatch)


@pytest.fixture
def operator(bare: Operator, monkeypatch: pytest.MonkeyPatch) -> Operator:
    """An operator with a forum, `tides`, and both channels turned on."""
    monkeypatch.setenv("JUNTO_MATRIX__HOMESERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("JUNTO_MATRIX__SERVER_NAME", "shore.example")
    monkeypatch.setenv("JUNTO_EMAIL__DOMAIN", "shore.example")
    bare.do("init", str(bare.root), "--config", str(bare.config))
    bare.do("community", "create", "shore", "--name", "Shore watchers")
    bare.do("forum", "create", "tides", "--community", "shore", "--title", "Tide pools")
    return bare
