"""`junto ban`, and the options of a forum that keep posts out."""

from __future__ import annotations

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
