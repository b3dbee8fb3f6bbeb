"""What comes back to a bounce address and what it says of a mailbox."""

from __future__ import annotations

import base64
import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email import bounces, notices
from bridges.email.addresses import Mailbox
from bridges.email.authentication import NOTHING_SAID
from bridges.email.parse import parse
from bridges.email.receive import inbound
from server.bridge import Bounce, Inbound, Refusal, Report
from server.errors import Rejected

TOKEN = "abcdefghijklmnopqrstuvwx23"


def told(text: str, sender: str = "") -> Inbound | None:
    mail = parse(text.lstrip("\n").replace("\n", "\r\n").encode(), sender, "lists.test", 1_790_000_000_000)
    return inbound(mail, Mailbox("tides", "bounces", TOKEN), NOTHING_SAID, "lists.test")


def report(*recipients: str, media_type: str = "message/delivery-status") -> str:
    blocks = "\n\n".join(
        ("Reporting-MTA: dns; mx.members.test\nArrival-Date: Mon, 5 Jan 2026 10:00:00 +0000", *recipients)
    )
    return f"""
From: MAILER-DAEMON@mx.members.test
Subject: Returned mail
Auto-Submitted: auto-replied
Content-Type: multipart/report; report-type=delivery-status; boundary=r

--r

Your message could not be delivered.
--r
Content-Type: {media_type}

{blocks}

--r
Content-Type: message/rfc822

From: tides@lists.test
Subject: Barnacles

words
--r--
"""


FAILED = """Final-Recipient: rfc822; ana@members.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 <ana@members.test>:
  no such mailbox"""


@pytest.mark.parametrize("media_type", ["message/delivery-status", "message/global-delivery-status"])
def test_a_failure_for_good(media_type: str) -> None:
    assert told(report(FAILED, media_type=media_type)) == Bounce(
        "tides", TOKEN, Refusal.GONE, "5.1.1", "550 5.1.1 <ana@members.test>: no such mailbox"
    )


def test_a_failure_for_now() -> None:
    found = told(report("Final-Recipient: rfc822; ana@members.test\nAction: failed\nStatus: 4.2.2"))
    assert found == Bounce("tides", TOKEN, Refusal.MISSED, "4.2.2", "")


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", ""])
def test_what_is_no_failure_says_nothing(action: str) -> None:
    assert told(report(f"Final-Recipient: rfc822; ana@members.test\nAction: {action}\nStatus: 4.4.1")) is None


def of(address: str, action: str, status: str) -> str:
    return f"Final-Recipient: rfc822; {address}\nAction: {action}\nStatus: {status}"


def test_several_recipients_are_told_each_by_itself() -> None:
    found = told(report(of("bo@members.test", "failed", "4.2.2"), FAILED))
    assert isinstance(found, Bounce)
    assert [(one.address, one.refusal, one.status) for one in found.each] == [
        ("ana@members.test", Refusal.GONE, "5.1.1"),
        ("bo@members.test", Refusal.MISSED, "4.2.2"),
    ]
    assert (found.refusal, found.status) == (Refusal.MISSED, "4.2.2")  # for a mailbox that hands its mail on to both


@pytest.mark.parametrize(("action", "status"), [("delivered", "2.0.0"), ("delayed", "4.4.1")])
def test_a_mailbox_that_hands_its_mail_on_is_not_lost_while_one_of_them_gets_it(action: str, status: str) -> None:
    found = told(report(FAILED, of("Bo@Members.test", action, status)))
    assert isinstance(found, Bounce)
    assert found.refusal is Refusal.OURS
    assert {one.address: one.refusal for one in found.each} == {
        "ana@members.test": Refusal.GONE,
        "bo@members.test": None,
    }


def test_who_is_told_of_twice_is_told_of_by_the_milder() -> None:
    expanded = f"Original-Recipient: rfc822; ana@members.test\n{of('bo@members.test', 'failed', '4.2.2')}"
    found = told(report(FAILED, expanded))
    assert isinstance(found, Bounce)
    assert (found.refusal, found.each) == (Refusal.MISSED, ())


def test_a_missing_status_is_found_in_the_words() -> None:
    found = told(report("Action: failed (for good)\nDiagnostic-Code: smtp; 550-5.1.1 go away"))
    assert isinstance(found, Bounce)
    assert (found.refusal, found.status) == (Refusal.GONE, "5.1.1")
    found = told(report("Action: failed\nDiagnostic-Code: smtp; 552 mailbox full"))
    assert isinstance(found, Bounce)
    assert (found.refusal, found.status) == (Refusal.MISSED, "5.0.0")
    found = told(report("Action: failed"))
    assert isinstance(found, Bounce)
    assert (found.refusal, found.status) == (Refusal.MISSED, "")


def test_a_report_in_base64() -> None:
    wrapped = base64.encodebytes(("Reporting-MTA: dns; mx\n\n" + FAILED + "\n").encode()).decode()
    text = (
        "From: MAILER-DAEMON@mx.members.test\nContent-Type: multipart/report; boundary=r\n\n--r\n"
        f"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n{wrapped}\n--r--\n"
    )
    found = told(text)
    assert isinstance(found, Bounce)
    assert found.status == "5.1.1"


def test_a_complaint_is_told_as_one() -> None:
    text = report("x").replace("message/delivery-status", "message/feedback-report")
    assert told(text.replace("Reporting-MTA: dns; mx.members.test", "Feedback-Type: abuse")) == Report(
        "tides", TOKEN, "abuse"
    )


def test_the_opposite_of_a_complaint_says_nothing() -> None:
    text = report("x").replace("message/delivery-status", "message/feedback-report")
    assert told(text.replace("Reporting-MTA: dns; mx.members.test", "Feedback-Type: not-spam")) is None


def test_an_outlook_complaint_is_the_message_alone() -> None:
    found = told(
        "From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=r\n\n"
        "--r\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: ana@members.test\nSubject: Barnacles\n\nwords\n--r--\n"
    )
    assert found == Report("tides", TOKEN, "abuse")


def test_an_old_notice_counts() -> None:
    found = told(
        "From: MAILER-DAEMON@mx.members.test\nSubject: failure notice\n\nHi.\n\nNo such mailbox:\n<ana@members.test>\n"
    )
    assert found == Bounce("tides", TOKEN, Refusal.GONE, "", "Hi. No such mailbox: <ana@members.test>")


@pytest.mark.parametrize(
    "words",
    [
        "THIS IS A WARNING MESSAGE ONLY.\nDelivery to ana@members.test has been delayed",
        "A message that you sent has not yet been delivered to one or more of its recipients:\n\n  ana@members.test\n",
    ],
)
def test_who_goes_on_trying_in_words_says_nothing(words: str) -> None:
    assert told(f"From: MAILER-DAEMON@mx.members.test\nSubject: Warning\n\n{words}\n") is None


def test_what_a_machine_says_that_refuses_nothing_says_nothing() -> None:
    assert told("From: robot@members.test\nSubject: Newsletter\n\nThe tide tables for May are here.\n") is None


def test_the_message_that_came_back_is_not_heard() -> None:
    found = told(
        "From: MAILER-DAEMON@mx.members.test\nSubject: failure notice\n\n<ana@members.test>:\nmailbox is full\n\n"
        "--- Below this line is a copy of the message.\n\n"
        "Return-Path: <tides-bounces@lists.test>\nReceived: from lists.test\nFrom: bo@members.test\nTo: tides@lists.test\n"
        "Subject: user unknown\n\n550 5.1.1 no such user\n"
    )
    assert isinstance(found, Bounce)
    assert (found.refusal, found.status) == (Refusal.MISSED, "")


def test_a_report_whose_parts_fell_apart_is_read_from_the_words() -> None:
    found = told(f"From: MAILER-DAEMON@mx.members.test\nSubject: Returned mail\n\nReporting-MTA: dns; mx\n\n{FAILED}\n")
    assert isinstance(found, Bounce)
    assert (found.refusal, found.status) == (Refusal.GONE, "5.1.1")


def test_of_several_recipients_each_has_its_own_words() -> None:
    mail = parse(
        b"From: MAILER-DAEMON@mx.members.test\r\nSubject: failure notice\r\n\r\n"
        b"<ana@members.test>:\r\n550 5.2.2 mailbox full\r\n\r\n<bo@members.test>:\r\n550 5.1.1 user unknown\r\n",
        "",
        "lists.test",
        1_790_000_000_000,
    )
    assert [(one.recipient, one.refusal, one.status) for one in bounces.failures(mail)] == [
        ("ana@members.test", Refusal.MISSED, "5.2.2"),
        ("bo@members.test", Refusal.GONE, "5.1.1"),
    ]


def test_a_notice_of_a_mail_system_that_calls_itself_a_reply_counts() -> None:
    found = told(
        "From: Mail Delivery System <Mailer-Daemon@x.test>\nAuto-Submitted: auto-replied\n\nunrouteable address\n"
    )
    assert found == Bounce("tides", TOKEN, Refusal.GONE, "", "unrouteable address")


@pytest.mark.parametrize(
    "field", ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "X-Auto-Response-Suppress: All", "X-Vacation: 1"]
)
def test_vacation_notices_are_dropped(field: str) -> None:
    assert told(f"From: ana@members.test\nSubject: Away\n{field}\n\nBack on Monday.\n") is None


def test_an_answer_without_any_mark_is_no_notice() -> None:
    away = "From: ana@members.test\nSubject: Away\n{}\n\nMy mailbox is full of kelp until Monday.\n"
    assert told(away.format("In-Reply-To: <1@lists.test>")) is None


def test_a_person_is_told_where_to_write() -> None:
    with pytest.raises(Rejected, match="tides-owner"):
        told("From: ana@members.test\nSubject: Hello?\n\nIs anybody there?\n", sender="ana@members.test")


def test_a_damaged_report_is_no_error() -> None:
    for damage in ("", "\n\n\n", "Action", "Status: 5.1.1", "\x00Action: failed", "Action: failed\nStatus: 5.999999.1"):
        assert isinstance(told(report(damage)), Bounce | None)


@given(
    st.binary(max_size=2_000),
    st.sampled_from(["text/plain", "message/delivery-status", "multipart/report; boundary=r"]),
)
def test_no_bytes_are_an_error(body: bytes, media_type: str) -> None:
    raw = b"From: mailer-daemon@x.test\r\nContent-Type: " + media_type.encode() + b"\r\n\r\n" + body
    with contextlib.suppress(Rejected):
        assert isinstance(bounces.read(parse(raw, "", "lists.test", 0), "tides", TOKEN), Bounce | Report | None)


@given(st.lists(st.text("a@<,= =40\n", max_size=400), max_size=30))
def test_what_is_handed_to_the_foreign_parser_has_no_line_to_backtrack_on(lines: list[str]) -> None:
    harmless = notices._harmless("\n".join(lines).encode()).split(b"\n")
    for line, following in itertools.pairwise([*harmless, b""]):
        joined = line + following if line.endswith(b"=") else line
        assert len(joined) <= 2 * notices.FOREIGN_LINE
        assert joined.count(b"@") + joined.count(b"=40") + joined.count(b"<") <= 2 * notices.FOREIGN_SIGNS + 1
        assert not (line.endswith(b"=") and following.endswith(b"="))


def test_a_notice_made_to_stop_its_reader_is_read_like_any_other() -> None:
    words = b"," * 10_000 + b"@" * 20_000
    raw = b"From: MAILER-DAEMON@far.test\r\nSubject: failure notice\r\n\r\n" + words
    mail = parse(raw, "", "lists.test", 0)
    assert notices.recipients(mail, notices.read(mail)) == ([], False)
