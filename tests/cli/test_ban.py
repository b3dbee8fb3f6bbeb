"""`junto ban`, and the options of a forum that keep posts out."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import Rejected
from tests.cli.conftest import Operator, letter


def test_a_ban_is_made_listed_and_ended(operator: Operator) -> None:
    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    operator.do("ban", "add", "Ana@Shore.example", "--forum", "tides", "--reason", "spam")
    operator.do("ban", "add", "spam.example")
    operator.do("ban", "add", "*@*.spam.*")
    listed = operator.do("ban", "list", "--forum", "tides", "--json").json
    assert [(row["whom"], row["kind"], row["forum"]) for row in listed] == [
        ("ana@shore.example", "address", "tides"),
        ("spam.example", "domain", None),
        ("*@*.spam.*", "pattern", None),
    ]
    assert "spam" in operator.do("ban", "list").out
    with pytest.raises(Rejected):
        operator.accept(letter(1))
    assert operator.do("member", "list", "--forum", "tides", "--json").json[0]["state"] == "banned"
    assert "name its forum" in operator.fails("ban", "remove", "ana@shore.example")
    operator.do("ban", "remove", "ana@shore.example", "--forum", "tides")
    assert operator.do("member", "list", "--forum", "tides", "--json").json[0]["state"] == "left"
    assert "banned already" in operator.fails("ban", "add", "spam.example")


def test_each_command_bans_and_lifts_what_the_other_does(operator: Operator) -> None:
    def state() -> tuple[str, str]:
        (row,) = operator.do("member", "list", "--forum", "tides", "--json").json
        return row["state"], row["addresses"][0]["delivery"]

    def bans() -> list[str]:
        return [row["whom"] for row in operator.do("ban", "list", "--json").json]

    def member(*values: str) -> None:
        operator.do("member", "set", "ana@shore.example", *values, "--forum", "tides")

    operator.do("member", "add", "ana@shore.example", "--forum", "tides", "--delivery", "daily")
    member("state=banned")
    assert (state(), bans()) == (("banned", None), ["ana@shore.example"])
    operator.do("ban", "remove", "ana@shore.example", "--forum", "tides")
    assert (state(), bans()) == (("left", None), [])
    operator.do("ban", "add", "ana@shore.example", "--forum", "tides")
    assert state() == ("banned", None)
    member("state=active")
    assert (state(), bans()) == (("active", "daily"), [])
    assert [type(each).__name__ for each in operator.accept(letter(1))] == ["Accepted"]


def test_a_wider_ban_is_named_where_a_narrow_one_is_lifted(operator: Operator) -> None:
    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    operator.do("ban", "add", "shore.example")
    assert "shore.example" in operator.fails("member", "set", "ana@shore.example", "state=active", "--forum", "tides")
    assert "banned" in operator.fails("member", "add", "ana@shore.example", "--forum", "tides")
    operator.do("ban", "add", "ana@shore.example", "--forum", "tides")
    lifted = operator.do("ban", "remove", "ana@shore.example", "--forum", "tides")
    assert "others cover it still: shore.example" in lifted.out
    operator.do("ban", "remove", "shore.example")
    operator.do("member", "add", "ana@shore.example", "--forum", "tides")


def test_who_looks_after_a_forum_is_banned_after_the_role_is_gone(operator: Operator) -> None:
    operator.do("member", "add", "ana@shore.example", "--forum", "tides", "--role", "owner", "--name", "Ana")
    assert "Ana looks after tides" in operator.fails("ban", "add", "shore.example")
    assert "Ana looks after" in operator.fails("member", "set", "ana@shore.example", "state=banned", "--forum", "tides")
    operator.do("member", "set", "ana@shore.example", "role=member", "state=banned", "--forum", "tides")
    with pytest.raises(Rejected, match="shut out"):
        operator.accept(letter(1))


def test_a_file_of_members_names_who_is_banned_by_a_domain(operator: Operator, tmp_path: Path) -> None:
    operator.do("ban", "add", "spam.example")
    file = tmp_path / "members.csv"
    file.write_text("address\nana@shore.example\neve@spam.example\n")
    for more in ([], ["--confirmed"]):
        said = operator.fails("member", "import", str(file), "--forum", "tides", *more)
        assert "Line 3: eve@spam.example is banned" in said


@pytest.mark.parametrize("whom", ["", "*", "*@*", "nobody", "a b.example", "@", "."])
def test_nobody_is_banned_by_a_slip(operator: Operator, whom: str) -> None:
    assert "no address, no domain and no pattern" in operator.fails("ban", "add", whom)


def test_options_that_keep_out(operator: Operator) -> None:
    operator.do(
        "forum", "set", "tides", "max_recipients=5", "refused_types=EXE, video/*", "strangers=hold", "first_post=hold",
        "hold_all=yes", "machines=ci@shore.example",
    )  # fmt: skip
    for wrong in ("max_recipients=501", "strangers=maybe", "hold_all=perhaps", "machines=" + "x" * 400):
        operator.fails("forum", "set", "tides", wrong)
