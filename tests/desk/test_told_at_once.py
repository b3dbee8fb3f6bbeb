"""What is answered stands beside what was asked, and says when nothing was understood."""

from __future__ import annotations

import json

import pytest

from server.bridge import Author, Join, Leave, Ref
from server.desk import members
from server.people import identity
from tests.desk.conftest import Table
from tests.desk.test_commands import ask, bo, claimed, sent

__all__ = ["bo"]


@pytest.mark.parametrize("lines", [(), ("unknown",)])
def test_help_says_when_no_command_was_found(table: Table, bo: identity.Known, lines: tuple[str, ...]) -> None:
    ask(table, *lines)
    (lot,) = claimed(table)
    assert lot.item.text.startswith("No command was found in your mail, so nothing was done.\n\nPools: ")


def test_help_that_was_asked_for_begins_with_the_forum(table: Table, bo: identity.Known) -> None:
    ask(table, "help")
    (lot,) = claimed(table)
    assert lot.item.text.startswith("Pools: ")


def test_a_wish_to_join_or_leave_is_answered_in_its_thread(table: Table, bo: identity.Known) -> None:
    asked = Ref("message-id", "<asked@x.test>")
    table.do(members.join, table.desk, Join("pools", Author("post", "eve@x.test"), ref=asked))
    table.do(members.leave, table.desk, Leave("pools", Author("post", "bo@x.test"), ref=asked))
    assert [json.loads(row.data)["in_reply_to"] for row in sent(table)] == ["<asked@x.test>"] * 2
