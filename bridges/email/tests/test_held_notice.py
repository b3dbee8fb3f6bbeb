"""The mail about a held message: a plain text, and the message inside of it, its bytes as they came."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from bridges.email.letters import notice
from bridges.email.tests.posts import target
from server.bridge import NoticeItem
from tests.fakes import forum

TOKEN = "abcdefghijklmnopqrstuvwx23"
PLAIN = b"From: Eve <eve@x.test>\r\nSubject: What is this?\r\n\r\nA red blob.\r\n"


def mail(*enclosed: bytes) -> bytes:
    item = NoticeItem(
        id=1,
        forum=forum(),
        subject="Waiting in Tide pools: “What is this?” by Eve",
        text="A message to Tide pools waits for you.\n",
        message_id="<01a21234-0cd4-736f-8cfb-43d2969d8748@lists.test>",
        reply=("mod", TOKEN),
        enclosed=enclosed,
    )
    return notice(item, "lists.test", 0).copy(target())


def parts(raw: bytes) -> list[EmailMessage]:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return list(message.iter_parts())  # type: ignore[arg-type]


def test_an_answer_goes_to_the_address_that_decides() -> None:
    message = email.message_from_bytes(mail(PLAIN), policy=email.policy.default)
    assert message["Reply-To"] == f"Tide pools <tides-mod+{TOKEN}@lists.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/mixed"


@pytest.mark.parametrize(
    "enclosed",
    [
        PLAIN,
        PLAIN + b"\r\n\r\n",
        PLAIN.replace(b"red", "röt".encode()),
        PLAIN.replace(b"red", b"r\xf6t"),
        b"Subject: a broken one\r\n",
        PLAIN + b"--=_1\r\n\r\nno boundary of ours\r\n",
    ],
)
def test_its_bytes_are_the_ones_that_came(enclosed: bytes) -> None:
    raw = mail(enclosed)
    assert b"\r\n\r\n" + enclosed + b"\r\n--=_" in raw
    _text, part = parts(raw)
    assert part.get_content_type() == "message/rfc822"
    assert part["Content-Transfer-Encoding"] == ("7bit" if enclosed.isascii() else "8bit")
    assert part.get_filename() == "message.eml"


@pytest.mark.parametrize("enclosed", [PLAIN + b"x" * 999 + b"\r\n", PLAIN + b"a\0b\r\n"])
def test_what_a_relay_would_break_goes_as_a_file(enclosed: bytes) -> None:
    _text, part = parts(mail(enclosed))
    assert part.get_content_type() == "application/octet-stream"
    assert part.get_content() == enclosed


def test_lines_that_end_otherwise_are_mended_and_nothing_else() -> None:
    raw = mail(PLAIN.replace(b"\r\n", b"\n"))
    assert PLAIN in raw


def test_several_are_numbered_as_in_the_text() -> None:
    _text, *messages = parts(mail(PLAIN, PLAIN))
    assert [part.get_filename() for part in messages] == ["message-1.eml", "message-2.eml"]
    assert max(map(len, mail(PLAIN, PLAIN).split(b"\r\n"))) < 998
