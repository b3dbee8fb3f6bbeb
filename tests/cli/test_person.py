"""People with several addresses, as an operator sees to them."""

from __future__ import annotations

from tests.cli.conftest import Operator


def test_two_people_are_made_one(operator: Operator) -> None:
    operator.do("member", "add", "ana@x.example", "--forum", "tides", "--name", "Ana")
    operator.do("member", "add", "@ana:shore.example", "--forum", "tides", "--role", "moderator")
    operator.do("person", "merge", "@ana:shore.example", "ana@x.example")
    (member,) = operator.do("member", "list", "--forum", "tides", "--json").json
    assert [each["address"] for each in member["addresses"]] == ["ana@x.example", "@ana:shore.example"]
    assert (member["name"], member["role"], member["state"]) == ("Ana", "moderator", "active")
    assert "one person already" in operator.fails("person", "merge", "@ana:shore.example", "ana@x.example")
    assert "We know nobody" in operator.fails("person", "merge", "eve@x.example", "ana@x.example")


def test_who_is_banned_becomes_nobody_else(operator: Operator) -> None:
    for name in ("ana", "eve"):
        operator.do("member", "add", f"{name}@x.example", "--forum", "tides")
    operator.do("ban", "add", "eve@x.example", "--forum", "tides")
    assert "banned" in operator.fails("person", "merge", "eve@x.example", "ana@x.example")
