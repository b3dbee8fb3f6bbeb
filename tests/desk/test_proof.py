"""Posts that may be by somebody else: refused, held or posted as domain and forum say; and the one whose name they bear is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa

from server import clock
from server.bridge import Accepted, Act, Author, Doubt, Held, Proof, Spam
from server.desk import asking, forums, members
from server.errors import Rejected
from server.moderation import bans, queue
from server.people import handles
from server.store.schema import deliveries, letters, memberships, posts
from tests.desk.conftest import Table

FAILS, FORBIDDEN = Doubt.FAILS, Doubt.FORBIDDEN


def asked(table: Table, template: str = asking.WAS_IT_YOU) -> list[dict[str, Any]]:
    rows = table.store.read_now(lambda tx: tx.execute(sa.select(letters).where(letters.c.template == template)).all())
    return [json.loads(row.data) for row in rows]


def yes(table: Table, question: dict[str, Any]) -> Any:
    """The answer to a question, from wherever it comes: the token acts, the sender's name does not."""
    data = question | {"template": asking.WAS_IT_YOU}
    token = table.do(handles.grant, "confirm", 1, data, table.now, clock.DAY)
    return table.do(members.act, table.desk, Act("pools", Author("post", "anybody@y.test"), "confirm", token))


# Members ----------------------------------------------------------------------------------------------------------------
def test_a_members_mail_is_refused_where_their_domain_asks_for_it(table: Table) -> None:
    table.forum()
    table.member("ana")
    with pytest.raises(Rejected, match="their domain asks that such mail be refused") as raised:
        table.post("ana", doubt=FORBIDDEN)
    assert raised.value.code == "5.7.1"
    assert not table.store.read_now(lambda tx: tx.execute(posts.select()).all())


def test_it_is_held_where_it_only_fails_and_posted_where_nothing_is_said(table: Table) -> None:
    table.forum()
    table.member("ana")
    held = table.post("ana", doubt=FAILS)
    assert isinstance(held, Held)
    assert "DMARC" in held.reply
    assert isinstance(table.post("ana"), Accepted)
    assert isinstance(table.post("ana", proof=Proof.AUTHENTICATED, doubt=FORBIDDEN), Accepted)


@pytest.mark.parametrize("role", ["moderator", "owner"])
def test_the_name_of_a_moderator_is_no_proof(table: Table, role: str) -> None:
    table.forum(post_policy="moderators")
    table.member("ana", role=role)
    assert isinstance(table.post("ana", doubt=FAILS), Held)


@pytest.mark.parametrize(
    ("policy", "doubt", "proof", "becomes"),
    [
        ("usual", Doubt.NONE, Proof.NONE, "posted"),
        ("strict", Doubt.NONE, Proof.NONE, "held"),
        ("strict", Doubt.NONE, Proof.AUTHENTICATED, "posted"),
        ("strict", FAILS, Proof.NONE, "held"),
        ("strict", FORBIDDEN, Proof.NONE, "refused"),
        ("lax", FAILS, Proof.NONE, "posted"),
        ("lax", FORBIDDEN, Proof.NONE, "posted"),
    ],
)
def test_a_forum_may_want_more_proof_or_less(
    table: Table, policy: str, doubt: Doubt, proof: Proof, becomes: str
) -> None:
    table.forum()
    table.do(forums.set_options, "pools", {"proof": policy}, table.now)
    table.member("ana")
    try:
        result = table.post("ana", doubt=doubt, proof=proof)
    except Rejected:
        assert becomes == "refused"
    else:
        assert becomes == ("held" if isinstance(result, Held) else "posted")


# Strangers ----------------------------------------------------------------------------------------------------------------
def test_nobody_is_asked_because_of_a_strangers_mail_that_fails(table: Table) -> None:
    table.forum(post_policy="anyone")
    assert isinstance(table.post("eve", doubt=FAILS), Held)
    with pytest.raises(Rejected):
        table.post("eve", doubt=FORBIDDEN)
    assert asked(table) == asked(table, asking.POST) == []


# Was this you? --------------------------------------------------------------------------------------------------------
def test_a_member_is_asked_and_their_answer_publishes_that_one_post(table: Table) -> None:
    forum = table.forum()
    ana = table.member("ana")
    held = [table.post("ana", f"words {n}", subject=f"Number {n}", doubt=FAILS) for n in range(2)]
    (question,) = asked(table)
    assert (question["held"], question["subject"]) == (held[0].name, "Number 0")
    booked = sa.select(deliveries.c.address_id).where(deliveries.c.item_kind == "notice")
    assert table.store.read_now(lambda tx: tx.scalars(booked).all()) == [ana.address_id]
    assert yes(table, question) == Accepted("pools/1")
    waiting = table.store.read_now(lambda tx: queue.listing(tx, forum))
    assert [row.name for row in waiting] == [held[1].name]


def test_it_is_asked_once_a_day(table: Table) -> None:
    table.forum()
    table.member("ana")
    for n in range(5):
        table.post("ana", f"words {n}", doubt=FAILS)
    assert len(asked(table)) == 1
    table.now += clock.DAY + 1
    table.post("ana", "later", doubt=FAILS)
    assert len(asked(table)) == 2


def test_many_forged_posts_in_an_hour_make_few_questions(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "QUESTIONS_AN_HOUR", 3)
    table.forum()
    for n in range(6):
        table.member(f"m{n}")
        assert isinstance(table.post(f"m{n}", doubt=FAILS), Held)
    assert len(asked(table)) == 3


def test_only_an_address_with_a_history_here_is_asked(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.do(lambda tx: tx.execute(sa.text("UPDATE addresses SET verified_at = NULL")))
    table.post("ana", doubt=FAILS)
    assert asked(table) == []
    table.post("ana", "as always")
    table.post("ana", "forged", doubt=FAILS)
    assert [question["held"][:2] for question in asked(table)] == ["H-"]


def test_what_a_filter_suspects_is_not_asked_about(table: Table) -> None:
    table.forum()
    table.member("ana")
    assert isinstance(table.post("ana", doubt=FAILS, spam=Spam.SUSPECT), Held)
    assert asked(table) == []


def test_an_answer_does_not_pass_an_emergency(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    held = table.post("ana", doubt=FAILS)
    table.do(forums.set_options, "pools", {"hold_all": "yes"}, table.now)
    assert isinstance(yes(table, asked(table)[0]), Held)
    assert [row.name for row in table.store.read_now(lambda tx: queue.listing(tx, forum))] == [held.name]


def test_an_answer_that_comes_too_late_says_so(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.post("ana", doubt=FAILS)
    (question,) = asked(table)
    yes(table, question)
    with pytest.raises(Rejected, match="decided already"):
        yes(table, question)


def test_who_was_shut_out_meanwhile_publishes_nothing(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.post("ana", doubt=FAILS)
    table.do(lambda tx: tx.execute(memberships.update().values(state="banned")))
    with pytest.raises(Rejected, match="shut out"):
        yes(table, asked(table)[0])


def test_who_was_banned_by_a_domain_meanwhile_publishes_nothing(table: Table) -> None:
    forum = table.forum()
    table.member("ana")
    table.post("ana", doubt=FAILS)
    table.do(bans.add, forum, "domain", "x.test", "", "command", table.now)
    with pytest.raises(Rejected, match="shut out"):
        yes(table, asked(table)[0])


def test_of_two_answers_with_one_token_only_the_first_acts(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    table.forum()
    table.member("ana")
    table.post("ana", doubt=FAILS)
    monkeypatch.setattr(handles, "use", lambda *_: False)  # another answer was faster, between the look and the act
    with pytest.raises(Rejected, match="answered before, or is too old"):
        yes(table, asked(table)[0])
    assert table.do(lambda tx: tx.scalar(sa.select(posts.c.state))) == "held"


def test_an_answer_in_a_forum_that_holds_first_posts_goes_to_moderators_and_its_author_hears_what_comes(
    table: Table,
) -> None:
    table.forum()
    table.member("olga", role="owner")
    table.member("ana")
    table.post("ana", doubt=FAILS)
    (question,) = asked(table)
    table.do(forums.set_options, "pools", {"first_post": "hold"}, table.now)
    assert isinstance(yes(table, question), Held)
    assert len(asked(table, "held-first")) == 1
    assert len(asked(table, "held")) == 1


@pytest.mark.parametrize("role", ["member", "moderator"])
def test_a_signed_letter_that_somebody_hands_on_waits_for_its_author(table: Table, role: str) -> None:
    table.forum()
    table.member("ana", role=role)
    answer = table.post("ana", "For your eyes only.", proof=Proof.AUTHENTICATED, handed_on=True)
    assert isinstance(answer, Held)
    assert isinstance(table.post("ana", "For all.", proof=Proof.AUTHENTICATED), Accepted)
