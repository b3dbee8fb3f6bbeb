"""Who comes, goes and comes again within a day is answered each time; who never answers is asked once."""

from __future__ import annotations

from typing import Any

from server import clock
from server.bridge import WEB, Author, Join, Leave, Proof
from server.desk import forums, members
from server.people import identity, membership
from tests.desk.conftest import Table
from tests.desk.test_commands import answered, ask, claimed, sent


def joins(table: Table, by: str = "ana") -> Any:
    table.now += clock.MINUTE
    return table.do(members.join, table.desk, Join("pools", Author("post", f"{by}@x.test")))


def leaves(table: Table, by: str = "ana") -> Any:
    table.now += clock.MINUTE
    return table.do(members.leave, table.desk, Leave("pools", Author("post", f"{by}@x.test")))


def confirms(table: Table) -> None:
    table.now += clock.MINUTE
    answered(table)


def told(table: Table) -> list[str]:
    return [letter.template for letter in sent(table)]


def is_member(table: Table, by: str = "ana") -> bool:
    def work(tx: Any) -> bool:
        known = identity.find(tx, "post", f"{by}@x.test")
        return known is not None and membership.is_active(
            membership.of(tx, known.person_id, forums.get(tx, "pools").id)
        )

    return table.store.read_now(work)


def test_who_left_may_come_back_the_same_day(table: Table) -> None:
    table.forum()
    for _time in range(3):
        joins(table)
        confirms(table)
        assert is_member(table)
        leaves(table)
        confirms(table)
        assert not is_member(table)
    joins(table)
    assert told(table)[-1] == "confirm-join"


def test_who_never_answers_is_asked_once_a_day(table: Table) -> None:
    table.forum()
    for _time in range(20):
        joins(table)
        ask(table, "join", by="ana")
    assert told(table) == ["confirm-join"]
    table.now += clock.DAY
    joins(table)
    assert told(table) == ["confirm-join", "confirm-join"]


def test_who_answers_every_question_is_asked_ten_times_a_day_at_most(table: Table) -> None:
    table.forum()
    for _time in range(12):
        joins(table)
        if told(table)[-1] == "confirm-join":
            confirms(table)
        table.now += 1
        table.do(membership.leave, 1, 1)
    assert told(table).count("confirm-join") == 10


def test_a_member_who_asks_to_join_is_told_that_they_are_one(table: Table) -> None:
    table.forum()
    table.member("ana")
    for _time in range(3):
        joins(table)
    ask(table, "join", by="ana")
    assert told(table) == ["member-already"]
    table.now += clock.HOUR
    ask(table, "join", by="ana")
    assert told(table) == ["member-already"] * 2
    ask(table, "join", "whoami", by="ana")  # all of one mail is answered in one mail
    assert told(table) == ["member-already"] * 2 + ["answer"]


def test_who_is_no_member_hears_so_from_the_leave_address(table: Table) -> None:
    table.forum(visibility="members")
    for _time in range(3):
        leaves(table, "zed")
    (letter,) = sent(table)
    assert letter.template == "no-member"
    assert '"called": "pools"' in letter.data  # a stranger learns no more of a hidden forum than its name


def test_a_second_leave_is_answered_too(table: Table) -> None:
    table.forum()
    table.member("ana")
    leaves(table)
    confirms(table)
    for _time in range(3):
        leaves(table)
    assert told(table) == ["confirm-leave", "left", "no-member"]


def test_who_joins_on_a_page_gets_a_welcome_that_says_what_comes(table: Table) -> None:
    table.forum()
    for name, wish in (("kim", "daily"), ("li", None)):
        who = table.do(identity.ensure, "post", f"{name}@x.test", name.title(), table.now, True)
        by = Author(WEB, str(who.person_id), name.title(), Proof.SESSION)
        for _time in range(2):
            table.do(members.join, table.desk, Join("pools", by, wish))
    texts = [lot.item.text for lot in claimed(table)]
    assert len(texts) == 2
    assert "What is sent to this address: one mail a day with what was new." in texts[0]
    assert "What is sent to this address: every post." in texts[1]
