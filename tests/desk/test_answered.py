"""A question that is answered a second time, by mail or by its page, is answered with how things stand, and nothing is done."""

from __future__ import annotations

from typing import Any

import pytest

from server import clock
from server.bridge import Accepted, Act, Author, Join, Leave
from server.desk import answered, forums, members
from server.errors import Rejected
from tests.desk.conftest import Table
from tests.desk.test_commands import claimed, sent

ANA = Author("post", "ana@x.test")


def token(table: Table) -> str:
    return next(str(lot.item.reply[1]) for lot in reversed(claimed(table)) if lot.item.reply and lot.item.reply[1])


def says(table: Table, with_token: str) -> Any:
    table.now += clock.MINUTE
    return table.do(members.act, table.desk, Act("pools", ANA, "confirm", with_token))


def test_a_second_yes_to_joining_says_that_one_is_a_member(table: Table) -> None:
    table.forum()
    table.do(members.join, table.desk, Join("pools", ANA))
    yes = token(table)
    assert says(table, yes) == Accepted()
    for _time in range(3):
        assert says(table, yes).reply == "You are a member of Pools already."
    assert [letter.template for letter in sent(table)] == ["confirm-join", "welcome", "answered-before"]
    table.do(members.leave, table.desk, Leave("pools", ANA))
    bye = token(table)
    says(table, bye)
    assert says(table, bye).reply.startswith("You left Pools already")
    assert "no member of Pools any more" in says(table, yes).reply


def test_what_is_too_old_is_refused(table: Table) -> None:
    table.forum()
    table.do(members.join, table.desk, Join("pools", ANA))
    yes = token(table)
    table.now += 4 * clock.DAY
    with pytest.raises(Rejected, match="too old"):
        says(table, yes)


def test_another_forum_learns_nothing(table: Table) -> None:
    table.forum()
    table.forum("rocks")
    table.do(members.join, table.desk, Join("pools", ANA))
    yes = token(table)
    says(table, yes)
    rocks = table.store.read_now(lambda tx: forums.get(tx, "rocks"))
    assert table.store.read_now(lambda tx: answered.question(tx, rocks, yes)) is None


def test_a_question_says_how_long_it_is_good(table: Table) -> None:
    table.forum()
    table.do(members.join, table.desk, Join("pools", ANA))
    (lot,) = claimed(table)
    assert "good for 3 days" in lot.item.text
