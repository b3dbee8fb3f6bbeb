"""Of what a relay refuses for good, only its answer to RCPT says anything of the mailbox."""

from __future__ import annotations

import pytest

from bridges.email.tests.scripted_relay import relay
from bridges.email.tests.test_send import STEP_BY_STEP, Sending, sending
from server.bridge import Failed, Later, Refusal

__all__ = ["sending"]  # the fixture
EXTENSIONS = [("PIPELINING", "8BITMIME", "SIZE 10000000", "SMTPUTF8"), STEP_BY_STEP]
UNKNOWN = "550 5.1.1 user unknown"


@pytest.mark.parametrize("extensions", EXTENSIONS, ids=["pipelined", "step by step"])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"refuse": {"m1@far.test": UNKNOWN}}, Refusal.GONE),
        ({"refuse": {"m1@far.test": "552 5.2.2 mailbox full"}}, Refusal.MISSED),
        ({"refuse": {"m1@far.test": "554 5.7.1 relay access denied"}}, Refusal.OURS),
        ({"refuse_mail": UNKNOWN}, Refusal.OURS),
        ({"refuse_body": {"m1@far.test": UNKNOWN}}, Refusal.OURS),
    ],
)
async def test_what_a_refusal_says(
    sending: type[Sending],
    extensions: tuple[str, ...],
    how: dict[str, object],
    says: Refusal,
) -> None:
    async with relay(extensions=extensions, **how) as far:
        (outcome,) = await sending(far.url).lot(1)
    assert isinstance(outcome, Failed)
    assert outcome.refusal is says


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"refuse": {"m1@far.test": "452 4.2.2 mailbox full"}}, Refusal.MISSED),
        ({"refuse": {"m1@far.test": "450 4.1.1 user unknown"}}, Refusal.GONE),
        ({"refuse": {"m1@far.test": "451 4.3.0 queue file write error"}}, Refusal.OURS),
        ({"refuse": {"m1@far.test": "450 4.7.1 come later"}}, Refusal.OURS),
        ({"refuse_mail": "452 4.2.2 too much of you"}, Refusal.OURS),
        ({"refuse_body": {"m1@far.test": "452 4.2.2 mailbox full"}}, Refusal.OURS),
    ],
)
async def test_what_a_refusal_for_now_says_should_it_be_the_last_word(
    sending: type[Sending], extensions: tuple[str, ...], how: dict[str, object], says: Refusal
) -> None:
    async with relay(extensions=extensions, **how) as far:
        (outcome,) = await sending(far.url).lot(1)
    assert isinstance(outcome, Later)
    assert outcome.refusal is says
