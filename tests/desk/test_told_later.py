"""Who hears that a message waits on: its author, if it is surely theirs, and nobody whom a forger named."""

from __future__ import annotations

from server import clock
from server.bridge import Act, Author, Ref
from server.desk import forums, members, reports
from tests.desk.conftest import Table
from tests.desk.test_answers import Notices


def after_three_days(table: Table, notices: Notices) -> dict[str, str]:
    """The subject of what each address gets, by then."""
    notices.new()
    table.now += 4 * clock.DAY
    table.do(reports.sweep, table.desk)
    return {address: notice.subject for address, notice in notices.new()}


def test_whom_a_forger_named_is_not_told(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.member("mod", role="moderator")
    table.do(forums.set_options, "pools", {"hold_all": "yes"}, table.now)
    table.post("ana", "buy!", subject="Hello")
    assert list(after_three_days(table, Notices(table))) == ["mod@x.test"]


def test_who_confirmed_that_it_is_theirs_is_told(table: Table) -> None:
    table.forum()
    table.member("mod", role="moderator")
    table.do(forums.set_options, "pools", {"first_post": "hold"}, table.now)
    notices = Notices(table)
    table.post("eve", subject="Hello")
    question = notices.one("eve")
    assert question.reply is not None
    verb, token = question.reply
    answer = Act("pools", Author("post", "eve@x.test"), verb, token, Ref("message-id", "<y@x.test>"))
    table.do(members.act, table.desk, answer)
    assert after_three_days(table, notices)["eve@x.test"] == "Your message to Pools still waits: Hello"
