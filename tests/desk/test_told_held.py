"""What is told of held posts besides the report: a stranger that theirs waits, a moderator what still does."""

from __future__ import annotations

import sqlalchemy as sa

from server.bridge import Proof
from server.store.schema import held
from tests.desk.conftest import Table
from tests.desk.test_answers import Notices, answer, notices, several

__all__ = ["notices"]


def test_a_stranger_is_told_at_once_that_it_waits_if_it_is_surely_theirs(table: Table, notices: Notices) -> None:
    for text in ("one", "two"):
        table.post("eve", text, proof=Proof.AUTHENTICATED, subject=text.title())
        table.post("mal", text, subject=text.title())  # claims an address: whose it is hears nothing
    told = [(address, notice.subject) for address, notice in notices.new() if address != "mod@x.test"]
    assert told == [("eve@x.test", "Your message to Pools waits: One")]


def test_the_answer_says_what_still_waits(table: Table, notices: Notices) -> None:
    report = several(table, notices)
    names = table.store.read_now(lambda tx: list(tx.scalars(sa.select(held.c.name).order_by(held.c.post_id))))
    answer(table, report, "approve 1")
    assert f"Still waiting: {names[1]}, {names[2]}" in notices.one("mod").text
    answer(table, report, "approve all")
    assert "Still waiting" not in notices.one("mod").text
