"""What a refusal says of a mailbox: that it is gone, that it was missed this time, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.refusals import code_in, judge
from server.bridge import Refusal


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.1.1", ""),
        ("", "550 5.1.1 <ana@members.test>: Recipient address rejected: User unknown in virtual mailbox table"),
        ("5.0.0", "550 No such user here"),
        ("", "550-5.1.1 The email account that you tried to reach does not exist."),
        ("5.4.4", "Host or domain name not found"),
        ("5.1.6", "551 not our customer"),
        ("4.1.1", "450 4.1.1 User unknown in virtual alias table"),
    ],
)
def test_nobody_is_there(status: str, words: str) -> None:
    assert judge(status, words) is Refusal.GONE


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.2.2", "552 5.2.2 Mailbox full"),
        ("5.1.1", "552 sorry, that mailbox is over quota (#5.1.1)"),
        ("5.2.1", "550 5.2.1 The email account that you tried to reach is disabled."),
        ("4.4.7", "554 4.4.7 Message expired: unable to deliver in 840 minutes"),
        ("4.4.1", "connect to members.test[192.0.2.1]:25: Connection timed out"),
        ("5.0.0", "554 Transaction failed"),
        ("", ""),
    ],
)
def test_it_was_missed_this_time(status: str, words: str) -> None:
    assert judge(status, words) is Refusal.MISSED


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.7.1", "554 5.7.1 Service unavailable; client [192.0.2.1] blocked using a list"),
        ("5.7.26", "550-5.7.26 Unauthenticated email from members.test is not accepted due to its DMARC policy"),
        ("5.3.4", "552 5.3.4 Message too large"),
        ("5.1.8", "553 5.1.8 Domain of sender address does not exist"),
        ("5.6.0", "554 5.6.0 cannot take this"),
        ("", "550 rejected as spam"),
        ("5.7.1", "550 5.7.1 go away"),
    ],
)
def test_it_was_our_mail_that_was_not_wanted(status: str, words: str) -> None:
    assert judge(status, words) is Refusal.OURS


def test_the_names_in_addresses_and_links_are_no_words() -> None:
    assert (
        judge("", "550 5.1.1 <spam@blocked.test> unknown user, see https://help.test/mailbox-full/spam") is Refusal.GONE
    )


def test_who_was_taken_first_and_is_unknown_after_the_message_may_be_filtering() -> None:
    said = "550 Unknown user ana@members.test"
    assert judge("5.0.0", said, "(in reply to RCPT TO command)") is Refusal.GONE
    assert judge("5.0.0", said, "(in reply to end of DATA command)") is Refusal.MISSED
    ahead = ">>> DATA <<< 550 Unknown user <<< 503 Valid RCPT command must precede DATA"
    assert judge("5.0.0", said, ahead) is Refusal.GONE


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("550 5.1.1 no", "5.1.1"),
        ("550-5.7.26 no", "5.7.26"),
        ("no mailbox here by that name (#5.1.1 - chkusr)", "5.1.1"),
        ("said: 452 later", "4.0.0"),
        ("250 2.1.5 Ok", "2.1.5"),
        ("192.168.1.1 said nothing, 5.1, 5.1.1234", ""),
        ("2.0.12 then 550", "5.0.0"),
    ],
)
def test_a_code_in_words(words: str, code: str) -> None:
    assert code_in(words) == code


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_no_words_are_an_error(status: str, words: str, context: str) -> None:
    assert isinstance(judge(status, words, context), Refusal)
