"""A held post, its moderators and its author: who is told, what an answer does, and what comes after a day and after three."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server import clock, i18n
from server.bridge import Accepted, Act, Author, Held, NoticeItem, Proof, Ref
from server.delivery import items, outbox
from server.desk import decide, forums, members, reports
from server.errors import Rejected
from server.moderation import words
from server.moderation.words import Unclear, Verdict
from server.people import handles, membership
from server.store.schema import bodies, held, posts
from tests.desk.conftest import POST, Table


class Notices:
    """What leaves, as a courier would hand it to a bridge."""

    def __init__(self, table: Table) -> None:
        object.__setattr__(table.desk, "sources", {"post": lambda post: f"made: {post.subject}".encode()})
        self._table = table

    def new(self) -> list[tuple[str, NoticeItem]]:
        """(address, notice) of everything that is due now, each once."""

        def work(tx: sa.Connection) -> list[Any]:
            rows = outbox.claim(tx, POST, "me", 100, self._table.now)
            ready, _dropped = items.check(tx, self._table.desk, rows, self._table.now)
            lots, _gone = items.load(tx, self._table.desk, ready)
            return lots

        lots = self._table.do(work)
        found = [(target.address, lot.item) for lot in lots for target in lot.targets]
        return sorted((each for each in found if isinstance(each[1], NoticeItem)), key=lambda each: each[0])

    def one(self, name: str) -> NoticeItem:
        """The one new notice to this person."""
        (found,) = [notice for address, notice in self.new() if address == f"{name}@x.test"]
        return found


@pytest.fixture
def notices(table: Table) -> Notices:
    table.forum()
    table.member("ana")
    table.member("mod", role="moderator")
    table.do(forums.set_options, "pools", {"strangers": "hold"}, table.now)
    return Notices(table)


def answer(table: Table, notice: NoticeItem, words: str, by: str = "mod", automatic: bool = False) -> Any:
    """An answer to a notice; who says that they wrote it does not matter."""
    assert notice.reply is not None
    verb, token = notice.reply
    assert verb == "mod"
    named = Ref("message-id", "<a@x.test>")
    author = Author("post", f"{by}@x.test")
    return table.do(members.act, table.desk, Act("pools", author, "mod", token, named, automatic, tuple(words.split())))


def states(table: Table) -> list[str]:
    return table.store.read_now(lambda tx: list(tx.scalars(sa.select(posts.c.state).order_by(posts.c.id))))


# A report -------------------------------------------------------------------------------------------------------------
def test_moderators_get_the_message_at_once_and_members_do_not(table: Table, notices: Notices) -> None:
    table.member("owner", role="owner")
    original = b"From: Eve <eve@x.test>\r\n\r\nMay I ask?\r\n"
    assert isinstance(table.post("eve", "May I ask?\n\nA lot?", original=original, subject="Hello"), Held)
    sent = notices.new()
    assert [address for address, _notice in sent] == ["mod@x.test", "owner@x.test"]
    notice = sent[0][1]
    assert notice.subject == "Waiting in Pools: “Hello” by Eve"
    assert notice.enclosed == (original,)
    for part in ("From: Eve <eve@x.test>", "Subject: Hello", "not a member", "    | May I ask?", "approve"):
        assert part in notice.text
    assert sent[0][1].reply != sent[1][1].reply


def test_a_post_born_elsewhere_is_enclosed_as_it_will_be_sent(table: Table, notices: Notices) -> None:
    table.post("cy", "hm", channel="room", subject="Chat")
    assert notices.one("mod").enclosed == (b"made: Chat",)


def test_what_comes_within_ten_minutes_of_a_report_is_one_mail(table: Table, notices: Notices) -> None:
    table.post("eve", "one")
    assert len(notices.new()) == 1
    for text in ("two", "three"):
        table.now += clock.MINUTE
        table.post("eve", text, subject=text.title())
    table.do(reports.sweep, table.desk)
    assert notices.new() == []
    table.now += 8 * clock.MINUTE
    table.do(reports.sweep, table.desk)
    notice = notices.one("mod")
    assert notice.subject == "Waiting in Pools: 2 messages"
    assert "1.  From: Eve" in notice.text
    assert "2.  From: Eve" in notice.text
    assert "approve all" in notice.text
    table.now += clock.HOUR
    table.do(reports.sweep, table.desk)
    assert notices.new() == []


def test_a_large_message_is_not_enclosed(table: Table, notices: Notices) -> None:
    table.post("eve", "film", original=b"x" * 6_000_000)
    notice = notices.one("mod")
    assert notice.enclosed == ()
    assert "The whole text is on that page." in notice.text


def test_who_was_only_asked_to_confirm_is_nobody_elses_business(table: Table, notices: Notices) -> None:
    table.do(forums.set_options, "pools", {"strangers": "confirm"}, table.now)
    table.post("eve")
    assert [address for address, _notice in notices.new()] == ["eve@x.test"]
    table.now += 4 * clock.DAY
    table.do(reports.sweep, table.desk)
    assert notices.new() == []


def test_without_moderators_the_operator_decides(table: Table) -> None:
    object.__setattr__(table.desk, "operator", ("post", "op@x.test"))
    table.forum()
    table.do(forums.set_options, "pools", {"strangers": "hold"}, table.now)
    table.post("eve")
    notice = Notices(table).one("op")
    answer(table, notice, "approve", by="op")
    assert states(table) == ["published"]


# Answers --------------------------------------------------------------------------------------------------------------
def test_approve_publishes_and_says_so_in_one_mail(table: Table, notices: Notices) -> None:
    table.post("eve", subject="Hello")
    notice = notices.one("mod")
    with pytest.raises(Rejected, match="Please answer from the address"):  # it was forwarded to somebody
        answer(table, notice, "Approve.", by="somebody-else")
    assert states(table) == ["held"]
    assert answer(table, notice, "Approve.") == Accepted()
    assert states(table) == ["published"]
    told = notices.one("mod")
    assert told.in_reply_to == ("<a@x.test>",)
    assert "“Hello” is published: https://talk.test/f/pools/1" in told.text
    assert notices.new() == []


def test_reject_tells_the_author_the_reason_or_nothing(table: Table, notices: Notices) -> None:
    table.post("eve", "one", subject="One")
    table.post("fay", "two", subject="Two")
    answer(table, notices.one("mod"), "reject")
    assert "told nothing" in notices.one("mod").text
    table.now += reports.GATHER_MS
    table.do(reports.sweep, table.desk)
    answer(table, notices.one("mod"), "reject This belongs to the other list.")
    sent = dict(notices.new())
    assert "This belongs to the other list." in sent["fay@x.test"].text
    assert "its author is told why" in sent["mod@x.test"].text
    assert states(table) == ["rejected", "rejected"]


def test_ban_shuts_the_author_out(table: Table, notices: Notices) -> None:
    table.do(forums.set_options, "pools", {"hold_all": "yes"}, table.now)
    table.post("ana", "buy!", proof=Proof.AUTHENTICATED)
    answer(table, notices.one("mod"), "ban")
    assert states(table) == ["rejected"]
    assert "neither post nor join" in notices.one("mod").text
    table.do(forums.set_options, "pools", {"hold_all": "no"}, table.now)
    with pytest.raises(Rejected):
        table.post("ana")


def test_a_forger_cannot_have_a_member_banned(table: Table, notices: Notices) -> None:
    table.do(forums.set_options, "pools", {"hold_all": "yes"}, table.now)
    table.post("ana", "buy!")
    answer(table, notices.one("mod"), "ban")
    assert states(table) == ["rejected"]
    assert "Nothing shows that this member wrote it" in notices.one("mod").text
    table.do(forums.set_options, "pools", {"hold_all": "no"}, table.now)
    assert isinstance(table.post("ana"), Accepted)


def several(table: Table, notices: Notices) -> NoticeItem:
    """A report on three posts."""
    table.post("eve", "zero")
    answer(table, notices.one("mod"), "approve")
    notices.new()
    for text in ("one", "two", "three"):
        table.post("eve", text, subject=text)
    table.now += reports.GATHER_MS
    table.do(reports.sweep, table.desk)
    return notices.one("mod")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("approve 2", ["held", "published", "held"]),
        ("approve 1,3", ["published", "held", "published"]),
        ("approve 1 3", ["published", "held", "published"]),
        ("approve all", ["published"] * 3),
        ("reject 2 3 days too late", ["held", "rejected", "held"]),
        ("approve", ["held"] * 3),
        ("approve 4", ["held"] * 3),
        ("approve 0", ["held"] * 3),
        ("thanks, approve all", ["held"] * 3),
        ("", ["held"] * 3),
        ("cancel all", ["held"] * 3),
    ],
)
def test_of_several_an_answer_says_which(table: Table, notices: Notices, words: str, wanted: list[str]) -> None:
    report = several(table, notices)
    answer(table, report, words)
    assert states(table)[1:] == wanted
    assert len([address for address, _notice in notices.new() if address == "mod@x.test"]) == 1


def test_a_name_says_which_too(table: Table, notices: Notices) -> None:
    report = several(table, notices)
    name = table.store.read_now(lambda tx: tx.scalar(sa.select(held.c.name).order_by(held.c.post_id.desc())))
    answer(table, report, f"approve {name.upper()}")
    assert states(table)[1:] == ["held", "held", "published"]


def test_what_was_not_understood_is_answered_and_can_be_answered_again(table: Table, notices: Notices) -> None:
    table.post("eve")
    answer(table, notices.one("mod"), "Yes please")
    told = notices.one("mod")
    assert "nothing was done" in told.text
    assert "approve" in told.text
    answer(table, told, "approve")
    assert states(table) == ["published"]


def test_who_comes_second_is_told_who_was_first(table: Table, notices: Notices) -> None:
    table.member("owner", role="owner")
    table.post("eve")
    first, second = (notice for _address, notice in notices.new())
    answer(table, first, "reject no")
    notices.new()
    answer(table, second, "approve", by="owner")
    told = notices.one("owner")
    assert "was already rejected by Mod" in told.text
    answer(table, first, "approve")
    assert "was already rejected by you" in notices.one("mod").text
    assert states(table) == ["rejected"]


def test_what_the_command_line_decided_is_known_too(table: Table, notices: Notices) -> None:
    table.post("eve")
    notice = notices.one("mod")
    name = table.store.read_now(lambda tx: tx.scalar(sa.select(held.c.name)))
    table.do(decide.approve, table.desk, name, "command", table.now)
    answer(table, notice, "approve")
    assert "already published by the operator: https://talk.test/f/pools/1" in notices.one("mod").text


def test_what_was_decided_before_the_mail_left_is_not_asked(table: Table, notices: Notices) -> None:
    table.post("eve", "secret words")
    name = table.store.read_now(lambda tx: tx.scalar(sa.select(held.c.name)))
    table.do(decide.reject, table.desk, name, "command", "", table.now)
    notice = notices.one("mod")
    assert "secret words" not in notice.text
    assert notice.enclosed == ()
    assert "there is nothing to do" in notice.text


def test_machines_and_other_tokens_decide_nothing(table: Table, notices: Notices) -> None:
    forum = table.store.read_now(lambda tx: forums.get(tx, "pools").id)
    table.post("eve")
    notice = notices.one("mod")
    answer(table, notice, "approve", automatic=True)
    data = {"address_id": 1, "template": "confirm-join"}
    other = table.do(handles.grant, "confirm", forum, data, table.now, 60_000)
    for token in (other, "a" * 26):
        with pytest.raises(Rejected):
            table.do(
                members.act, table.desk, Act("pools", Author("post", "mod@x.test"), "mod", token, words=("approve",))
            )
    table.now += 31 * clock.DAY
    with pytest.raises(Rejected, match="too old"):
        answer(table, notice, "approve")
    assert states(table) == ["held"]


def test_who_is_no_moderator_any_more_decides_nothing(table: Table, notices: Notices) -> None:
    table.post("eve")
    notice = notices.one("mod")

    def demote(tx: sa.Connection) -> None:
        forum = forums.get(tx, "pools").id
        (member,) = [row for row in membership.members(tx, forum) if row.name == "Mod"]
        membership.set_member(tx, forum, member.person_id, {"role": "member"})

    table.do(demote)
    with pytest.raises(Rejected, match="do not look after"):
        answer(table, notice, "approve")
    assert states(table) == ["held"]


# The author -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("visibility", "words"),
    [("public", "anybody can read it at https://talk.test/f/pools"), ("members", "only members")],
)
def test_a_first_post_says_what_comes_and_can_be_taken_back(
    table: Table, notices: Notices, visibility: str, words: str
) -> None:
    table.do(forums.set_options, "pools", {"first_post": "hold", "visibility": visibility}, table.now)
    table.post("ana", "my secret", subject="Hm")
    sent = dict(notices.new())
    assert set(sent) == {"ana@x.test", "mod@x.test"}
    told = sent["ana@x.test"]
    assert words in told.text
    assert "cancel" in told.text
    answer(table, told, "approve", by="ana")
    assert states(table) == ["held"]
    assert "only its author can take it back" in notices.one("ana").text
    answer(table, sent["mod@x.test"], "cancel")
    assert states(table) == ["held"]
    notices.new()
    answer(table, told, "cancel", by="ana")
    assert states(table) == ["retracted"]
    assert "taken back" in notices.one("ana").text
    answer(table, sent["mod@x.test"], "approve")
    assert "taken back by its author" in notices.one("mod").text
    assert states(table) == ["retracted"]


# Words ---------------------------------------------------------------------------------------------------------------
def test_the_words_of_the_mails_language_count_and_english_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"approve": "Freigeben", "reject": "ablehnen", "all": "alle"}

    def translated(text: str) -> str:
        return known.get(text, text) if i18n.language() == "de" else text

    monkeypatch.setattr(words, "_", translated)
    names = ["H-aaaa", "H-bbbb"]
    for line, verdict in (
        ("freigeben alle", Verdict("approve", (0, 1))),
        ("ABLEHNEN 2 passt nicht", Verdict("reject", (1,), "passt nicht")),
        ("approve 1", Verdict("approve", (0,))),
        ("*Ban*: h-bbbb", Verdict("ban", (1,))),
    ):
        assert words.read(tuple(line.split()), names, "de") == verdict
    assert isinstance(words.read(("freigeben", "1"), names, "en"), Unclear)


# Time goes by ---------------------------------------------------------------------------------------------------------
def test_moderators_are_reminded_after_a_day_and_the_author_told_after_three(table: Table, notices: Notices) -> None:
    table.post("eve", "one", subject="Hello", proof=Proof.AUTHENTICATED)
    table.post("eve", "two", subject="Again", proof=Proof.AUTHENTICATED)
    notices.new()
    table.now += reports.GATHER_MS
    table.do(reports.sweep, table.desk)
    notices.new()
    table.now += clock.DAY - 1
    table.do(reports.sweep, table.desk)
    first = notices.one("mod")
    assert first.subject == "Still waiting in Pools: “Hello” by Eve"
    table.now += clock.HOUR
    table.do(reports.sweep, table.desk)
    assert notices.one("mod").subject == "Still waiting in Pools: “Again” by Eve"
    table.now += clock.DAY
    table.do(reports.sweep, table.desk)
    assert notices.new() == []
    table.now += clock.DAY
    table.do(reports.sweep, table.desk)
    ((address, told),) = notices.new()
    assert address == "eve@x.test"
    assert told.subject == "Your message to Pools still waits: Hello (and 1 other)"
    answer(table, told, "cancel all", by="eve")
    assert states(table) == ["retracted", "retracted"]
    table.now += 9 * clock.DAY
    table.do(reports.sweep, table.desk)
    assert [address for address, _notice in notices.new()] == ["eve@x.test"]  # what became of the answer


def test_what_nobody_confirmed_is_kept_by_nobody(table: Table, notices: Notices) -> None:
    table.do(forums.set_options, "pools", {"strangers": "confirm"}, table.now)
    table.post("eve", "secret")
    table.now += 14 * clock.DAY - 1
    assert table.do(decide.forget_unconfirmed, table.desk) == 0
    table.now += 1
    assert table.do(decide.forget_unconfirmed, table.desk) == 1
    assert states(table) == ["rejected"]
    assert table.store.read_now(lambda tx: list(tx.scalars(sa.select(bodies.c.text)))) == [""]
    assert table.do(decide.forget_unconfirmed, table.desk) == 0
