"""`junto doctor`: what it looks at by itself, how it says it, and its exit code."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Operator


def test_it_says_what_is_wrong_and_how_to_mend_it(operator: Operator) -> None:
    ran = operator.run("doctor", "--json")
    by_name = {check["name"]: check for check in ran.json}
    assert ran.code == 1  # nobody reads postmaster's mail yet
    assert by_name["database"]["ok"] is True
    assert by_name["keys"]["ok"] is True
    assert by_name["operator"]["ok"] is False
    assert "[server] operator" in by_name["operator"]["fix"]
    assert by_name["relay"]["name"] == "relay"

    text = operator.run("doctor").out
    assert "WRONG  operator:" in text
    assert "Set [server] operator" in text


def test_a_key_that_others_can_read_is_found(operator: Operator) -> None:
    key = operator.root / "var" / "keys" / "secret"
    key.chmod(0o644)
    by_name = {check["name"]: check for check in operator.run("doctor", "--json").json}
    assert by_name["keys"]["ok"] is False
    assert by_name["keys"]["fix"] == f"chmod go= {key}"


def test_a_database_that_is_away_does_not_end_the_visit(operator: Operator, tmp_path: Path) -> None:
    text = operator.config.read_text().replace("sqlite:///var/junto.db", f"sqlite:///{tmp_path}/no/such/place/x.db")
    operator.config.write_text(text)
    (tmp_path / "no").write_text("a file where a directory should be")
    ran = operator.run("doctor", "--json")
    assert ran.err == ""
    by_name = {check["name"]: check for check in ran.json}
    assert by_name["database"]["ok"] is False
    assert "disk" in by_name
