"""Starting from nothing: init, communities, forums, and what the program says about itself."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Operator

NOUNS = ("community", "forum", "member", "held", "queue")
COMMANDS = [
    *("init", "serve", "trace", "backup", "restore", "community create", "matrix"),
    *(f"forum {verb}" for verb in ("create", "list", "set", "close")),
    *(f"member {verb}" for verb in ("add", "list", "set", "remove", "import")),
    *(f"held {verb}" for verb in ("list", "approve", "reject")),
    *(f"queue {verb}" for verb in ("list", "retry", "hold", "release", "drop")),
]


def test_the_real_program_makes_a_server_where_there_was_nothing(tmp_path: Path) -> None:
    program = str(Path(sys.executable).with_name("junto"))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("JUNTO_")}

    def junto(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)

    made = junto("init", "here")
    assert (made.returncode, made.stderr) == (0, "")
    assert "junto serve --config here/junto.toml" in made.stdout
    again = junto("init", "here")
    assert (again.returncode, again.stdout) == (1, "")
    assert "nothing was changed" in again.stderr
    listed = junto("forum", "list", "--config", "here/junto.toml", "--json")
    assert (listed.returncode, listed.stdout.strip()) == (0, "[]")
    role = junto("serve", "--only", "dance", "--config", "here/junto.toml")
    assert (role.returncode, role.stdout) == (1, "")
    assert "no role dance" in role.stderr
    lost = junto("forum", "list")
    assert lost.returncode == 1
    assert "junto init" in lost.stderr


def test_init_writes_every_key_and_keeps_secrets_to_the_owner(bare: Operator) -> None:
    told = bare.do("init", str(bare.root), "--config", str(bare.config), "--json").json
    assert told["config"] == str(bare.config)
    text = bare.config.read_text()
    for key in ("base_url", "data_dir", "url", "listen", "domain", "homeserver", "registration"):
        assert f"{key} = " in text
    for path in (bare.config, bare.root / "var" / "keys" / "secret"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (bare.root / "var" / "junto.db").exists()


def test_version_and_usage(bare: Operator) -> None:
    assert bare.run("--version").out.startswith("junto 0.")
    wrong = bare.run("forum", "list", "--colour")
    assert (wrong.code, wrong.out) == (2, "")
    assert "--colour" in wrong.err


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_has_help_a_config_and_json(bare: Operator, words: str) -> None:
    told = bare.run(*words.split(), "--help")
    assert told.code == 0
    assert "--config" in told.out
    assert "--json" in told.out


@pytest.mark.parametrize("noun", ["", *NOUNS])
def test_every_noun_lists_its_verbs(bare: Operator, noun: str) -> None:
    told = bare.run(*noun.split(), "--help")
    assert told.code == 0
    assert "Commands:" in told.out


def test_every_problem_of_the_configuration_is_named_with_its_key(operator: Operator) -> None:
    text = operator.config.read_text().replace("[web]\nlisten = ", "[web]\ncolour = 1\nlisten = 8 # ")
    operator.config.write_text(text)
    said = operator.fails("forum", "list")
    assert "web.colour" in said
    assert "web.listen" in said


def test_a_file_that_is_no_database_is_one_sentence(operator: Operator) -> None:
    (operator.root / "var" / "junto.db").write_bytes(b"x" * 5_000)
    assert "database" in operator.fails("forum", "list")


def test_a_forum_has_an_address_and_a_page(operator: Operator) -> None:
    made = operator.do(
        "forum", "create", "kelp", "--community", "shore", "--join", "invite", "--federate", "no", "--json"
    )
    assert (made.json["address"], made.json["url"]) == ("kelp@shore.example", "http://localhost:8080/f/kelp")
    assert (made.json["join"], made.json["federate"], made.json["title"]) == ("invite", False, "kelp")
    listed = operator.do("forum", "list", "--json").json
    assert [row["slug"] for row in listed] == ["kelp", "tides"]
    assert "Tide pools" in operator.do("forum", "list").out


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["Tides", "--community", "shore"], "cannot be a name"),
        (["tides", "--community", "shore"], "taken"),
        (["kelp", "--community", "forest"], "no community"),
        (["kelp", "--community", "shore", "--join", "maybe"], "one of open, approval, invite"),
        (["kelp", "--community", "shore", "--federate", "maybe"], "yes or no"),
    ],
)
def test_a_forum_that_cannot_be_is_refused_with_what_to_do(operator: Operator, words: list[str], why: str) -> None:
    assert why in operator.fails("forum", "create", *words)
    assert len(operator.do("forum", "list", "--json").json) == 1


def test_options_are_set_shown_and_explained(operator: Operator) -> None:
    assert operator.do("forum", "set", "tides", "settle=0", "title=Pools", "--json").json["settle"] == 0
    shown = operator.do("forum", "set", "tides").out
    assert "Pools" in shown
    assert "seconds" in shown
    assert "settle" in operator.fails("forum", "set", "tides", "settle=soon")
    assert "KEY=VALUE" in operator.fails("forum", "set", "tides", "settle")
    assert "no forum" in operator.fails("forum", "set", "kelp", "settle=1")


def test_a_room_is_told_of_each_change_once(operator: Operator) -> None:
    operator.do("forum", "set", "tides", "title=Pools")
    operator.do("forum", "close", "tides")
    waiting = operator.do("queue", "list", "--json").json["deliveries"]
    assert [row["item"].partition(":")[0] for row in waiting] == ["state"]
    assert operator.do("forum", "list", "--json").json[0]["state"] == "closed"


def test_a_bridges_own_command_is_found_by_its_name(operator: Operator) -> None:
    assert operator.do("matrix", "--json").json == ["registration"]
    assert "matrix-registration.yaml" in operator.do("matrix", "registration").out
    assert (operator.root / "var" / "matrix-registration.yaml").exists()
    assert "registration" in operator.fails("matrix", "dance")


def test_a_bridge_that_is_turned_off_says_so(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUNTO_MATRIX__HOMESERVER", "")
    assert "turned off" in operator.fails("matrix", "registration")


def test_an_operator_without_an_address_is_refused(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUNTO_SERVER__OPERATOR", "femi")
    said = operator.fails("forum", "list")
    assert "operator" in said
    assert "must be an address such as ana@example.org" in said
