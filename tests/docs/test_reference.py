"""What the documents promise an operator: names that exist, all of them, and commands that work as they are written."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from prometheus_client.metrics import MetricWrapperBase

from bridges.email import commands as mail_words
from server import app, config, metrics
from server.cli.root import app as commands
from server.delivery import notices
from server.desk import wishes
from server.desk.options import OPTIONS
from server.people.options import KEYS
from server.web.app import make_app

HERE = Path(__file__).parents[2]
REFERENCE = (HERE / "deploy" / "REFERENCE.md").read_text("utf-8")
README = (HERE / "README.md").read_text("utf-8")
SOURCES = [*HERE.glob("*.md"), *(path for room in ("server", "bridges", "deploy") for path in (HERE / room).rglob("*"))]
FIRST = re.compile(r"\|[^|`]*`([^`]+)`(?: \| `([^`]*)`)?")


def rows(heading: str) -> dict[str, str]:
    """The tables of one section: what stands in each row's first code, and in its second."""
    section = REFERENCE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = [FIRST.match(line) for line in section.split("\n") if line.startswith("|")]
    return {match[1]: match[2] or "" for match in found if match}


def settings() -> dict[str, str]:
    sections = {**config.OWN_SECTIONS, **app.sections(app.discover())}
    return {
        f"{name}.{key}": json.dumps(field.get_default(call_default_factory=True))
        for name, model in sections.items()
        for key, field in model.model_fields.items()
    }


def all_commands(command: Any = None, words: tuple[str, ...] = ("junto",)) -> Iterator[str]:
    command = command or typer.main.get_command(commands)
    if not hasattr(command, "list_commands"):
        yield " ".join(words)
        return
    for name in command.list_commands(None):
        yield from all_commands(command.get_command(None, name), (*words, name))


def routes() -> set[str]:
    made = make_app(SimpleNamespace())  # type: ignore[arg-type]
    return {route.resource.canonical for route in made.router.routes() if route.resource is not None}


def counted() -> set[str]:
    made = [each for each in vars(metrics).values() if isinstance(each, MetricWrapperBase)]
    return {each._name + ("_total" if each._type == "counter" else "") for each in made}


def test_every_setting_is_named_with_its_default() -> None:
    assert rows("Settings") == settings()


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Commands", {*all_commands()}),
        ("Options of a forum", {*OPTIONS}),
        ("Options of a member", {*KEYS}),
        ("Routes", routes()),
        ("Metrics", counted()),
    ],
)
def test_every_name_is_in_the_reference_and_no_other(heading: str, names: set[str]) -> None:
    assert {*rows(heading)} == names


def test_every_word_by_mail_is_in_the_reference_and_is_read() -> None:
    values = {
        "N": "12",
        "YES": "yes",
        "HOW": "each",
        "WHICH": "direct",
        "DAY": "friday",
        "ZONE": "UTC",
        "TAG": "pt",
        "NAME": "Ana",
    }
    read = {}
    for line in rows("Words by mail"):
        words = [values.get(word, word) for word in line.split()]
        command = mail_words.read(" ".join(words), "pools")
        assert command is not None, line
        read[command[0]] = line
    assert {*read} == {*wishes.VERBS, "help", "join", "leave", "whoami", "trace"}
    assert all(line.split()[0] in notices.WORDS for line in read.values())


def test_no_text_speaks_of_a_command_that_does_not_exist() -> None:
    known = {command.split()[1] for command in all_commands()}
    for path in SOURCES:
        if path.suffix in (".md", ".py") and path.is_file():
            for word in re.findall(r"`junto ([a-z]+)\b", path.read_text("utf-8")):
                assert word in known, f"{path.relative_to(HERE)}: junto {word}"


def test_the_commands_for_ones_own_server_work_as_they_are_written(tmp_path: Path) -> None:
    block = README.partition("\n## Your own server\n")[2].split("```")[1].strip().split("\n")
    program = tmp_path / ".venv" / "bin" / "junto"
    program.parent.mkdir(parents=True)
    program.symlink_to(Path(sys.executable).with_name("junto"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JUNTO_")}
    at, ran = tmp_path, []
    for line in block:
        words = shlex.split(line)
        if words[0] == "cd":
            at /= words[1]
        elif words[0].endswith("/junto"):
            assert (at / words[0]).exists(), line
            ran.append(words[1])
            words = [*words, "--help"] if words[1] == "serve" else words
            done = subprocess.run(words, cwd=at, env=environment, capture_output=True, text=True)
            assert (done.returncode, done.stderr) == (0, ""), line
        else:
            assert words[:3] == ["python3", "-m", "venv"], line
            assert words[-3:] == [".venv/bin/pip", "install", "."], line
    assert ran == ["init", "community", "forum", "member", "serve"]
    listed = subprocess.run(
        [program, "forum", "list", "--json"], cwd=at, env=environment, capture_output=True, text=True
    )
    assert [forum["slug"] for forum in json.loads(listed.stdout)] == ["pools"]
