"""What comes back to a bounce address and what it says of a mailbox."""

from __future__ import annotations

import base64

import pytest

from bridges.email.addresses import Mailbox
from bridges.email.parse import parse
from bridges.email.receive import inbound
from server.bridge import Bounce, Inbound, Proof, Report
from server.errors import Rejected

TOKEN = "abcdefghijklmnopqrstuvwx23"


def told(text: str, sender: str = "") -> Inbound | None:
    mail = parse(text.lstrip("\n").replace("\n", "\r\n").encode(), sender, "lists.test", 1_790_000_000_000)
    return inbound(mail, Mailbox("tides", "bounces", TOKEN), Proof.NONE, "lists.test")


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
        "tides", TOKEN, True, "5.1.1", "550 5.1.1 <ana@members.test>: no such mailbox"
    )


def test_a_failure_for_now() -> None:
    found = told(report("Final-Recipient: rfc822; ana@members.test\nAction: failed\nStatus: 4.2.2"))
    assert found == Bounce("tides", TOKEN, False, "4.2.2", "")


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", ""])
def test_what_is_no_failure_says_nothing(action: str) -> None:
    assert told(report(f"Final-Recipient: rfc822; ana@members.test\nAction: {action}\nStatus: 4.4.1")) is None


def test_the_worst_of_several_counts() -> None:
    found = told(report("Action: delayed\nStatus: 4.4.1", "Action: failed\nStatus: 4.2.2", FAILED))
    assert isinstance(found, Bounce)
    assert (found.permanent, found.status) == (True, "5.1.1")


def test_a_missing_status_is_found_in_the_words() -> None:
    found = told(report("Action: failed (for good)\nDiagnostic-Code: smtp; 550-5.7.1 go away"))
    assert isinstance(found, Bounce)
    assert (found.permanent, found.status) == (True, "5.7.1")
    found = told(report("Action: failed\nDiagnostic-Code: smtp; 552 mailbox full"))
    assert isinstance(found, Bounce)
    assert (found.permanent, found.status) == (True, "5.0.0")
    found = told(report("Action: failed"))
    assert isinstance(found, Bounce)
    assert (found.permanent, found.status) == (False, "")


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


def test_an_old_notice_counts_but_never_for_good() -> None:
    found = told(
        "From: MAILER-DAEMON@mx.members.test\nSubject: failure notice\n\nHi.\n\nNo such mailbox:\n<ana@members.test>\n"
    )
    assert found == Bounce("tides", TOKEN, False, "", "Hi. No such mailbox: <ana@members.test>")


def test_a_notice_of_a_mail_system_that_calls_itself_a_reply_counts() -> None:
    found = told(
        "From: Mail Delivery System <Mailer-Daemon@x.test>\nAuto-Submitted: auto-replied\n\nunrouteable address\n"
    )
    assert found == Bounce("tides", TOKEN, False, "", "unrouteable address")


@pytest.mark.parametrize(
    "field", ["Auto-Submitted: auto-replied", "X-Autoreply: yes", "X-Auto-Response-Suppress: All", "X-Vacation: 1"]
)
def test_vacation_notices_are_dropped(field: str) -> None:
    assert told(f"From: ana@members.test\nSubject: Away\n{field}\n\nBack on Monday.\n") is None


def test_a_person_is_told_where_to_write() -> None:
    with pytest.raises(Rejected, match="tides-owner"):
        told("From: ana@members.test\nSubject: Hello?\n\nIs anybody there?\n", sender="ana@members.test")


def test_a_damaged_report_is_no_error() -> None:
    for damage in ("", "\n\n\n", "Action", "Status: 5.1.1", "\x00Action: failed", "Action: failed\nStatus: 5.999999.1"):
        assert isinstance(told(report(damage)), Bounce | None)
