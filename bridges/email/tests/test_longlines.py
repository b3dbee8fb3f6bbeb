"""Mail with lines that are too long reaches members all the same: lines are broken as relays break them, and no signature is promised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email import dkim_check
from bridges.email.longlines import broken, is_long
from bridges.email.passage import survivors
from bridges.email.tests.posts import mailed
from bridges.email.tests.scripted_relay import relay
from bridges.email.tests.signing import signed
from bridges.email.tests.test_send import Sending, sending
from server.bridge import PostItem, Sent

__all__ = ["sending"]

HEAD = b"From: Ana <ana@members.test>\r\nTo: tides@lists.test\r\nDate: x\r\n"
COVERS = ("from", "to", "subject", "date")


def mail(subject: bytes = b"Limpets", body: bytes = b"Forty.\r\n") -> bytes:
    return HEAD + b"Subject: " + subject + b"\r\n\r\n" + body


# Breaking -------------------------------------------------------------------------------------------------------------
def test_what_is_short_is_itself() -> None:
    text = b"a\r\n" + b"x" * 998 + b"\r\n\r\n" + b"y" * 998
    assert broken(text) is text


def test_a_line_is_broken_before_a_blank_so_that_unfolded_it_is_the_same() -> None:
    text = b"Subject: " + b"long " * 400 + b"end\r\nTo: x\r\n"
    assert broken(text).replace(b"\r\n ", b" ") == text
    assert not is_long(broken(text))


def test_where_no_blank_is_a_line_end_and_a_blank_are_put_in() -> None:
    assert broken(b"x" * 2_000) == b"x" * 998 + b"\r\n " + b"x" * 997 + b"\r\n " + b"x" * 5


def test_a_character_is_not_cut_in_two() -> None:
    for piece in broken(("–" * 2_000).encode()).split(b"\r\n"):
        piece.decode()


@given(st.lists(st.binary(max_size=3_000).map(lambda line: line.replace(b"\r", b" ").replace(b"\n", b" ")), max_size=4))
def test_no_line_is_too_long_and_nothing_is_lost(lines: list[bytes]) -> None:
    text = b"\r\n".join(lines)
    found = broken(text)
    assert all(len(line) <= 998 for line in found.split(b"\r\n"))
    assert is_long(text) == any(len(line) > 998 for line in lines)
    assert b"".join(found.split()) == b"".join(text.split())


# On the way -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("original", [mail(subject=b"long " * 300), mail(body=b"<p>" + b"x" * 5_000 + b"</p>\r\n")])
async def test_a_strict_relay_takes_it(sending: type[Sending], original: bytes) -> None:
    async with relay(strict=True) as far:
        outcomes = await sending(far.url).lot(2, PostItem(mailed(original)))
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len(far.taken) == 2


def test_no_signature_is_promised_over_what_is_broken() -> None:
    def left(original: bytes) -> int:
        raw = signed(original, "members.test", COVERS)
        return len(survivors(mailed(raw), dkim_check.message(raw).fields))

    assert left(mail()) == 1
    assert left(mail(body=b"x" * 5_000 + b"\r\n")) == 0
    assert left(mail(subject=b"long " * 300)) == 0
