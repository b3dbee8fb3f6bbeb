"""What readers may read in two ways: fields that stand there twice, authors who are several, mail that was meant for another address."""

from __future__ import annotations

import pytest

from bridges.email.addresses import POST, Mailbox
from bridges.email.authentication import NOTHING_SAID, Verdict
from bridges.email.mailboxes import is_plain, mailboxes
from bridges.email.receive import inbound
from bridges.email.tests.reading import mail
from server.bridge import NewPost, Proof, Request
from server.errors import Rejected


@pytest.mark.parametrize("name", ["Subject", "Message-ID", "Date", "To", "References", "Content-Type"])
def test_what_is_posted_has_each_field_once(name: str) -> None:
    """Else who hands a signed mail on adds a subject that its author never wrote, above the one that is signed."""
    twice = f"From: ana@x.test\n{name}: text/plain\n{name}: text/html\n\ndelete 1"
    for function in (POST, "request"):
        with pytest.raises(Rejected, match=f"more than one {name.title()} field"):
            inbound(mail(twice), Mailbox("tides", function), NOTHING_SAID, "lists.test")


@pytest.mark.parametrize(
    "value",
    [
        b"ana@x.test",
        b" <ana@x.test>",
        b"Ana <ana@x.test>",
        b'"Smith, Ana" <ana@x.test>',
        b"=?utf-8?q?A=2C_b?= <ana@x.test>",
        b"Ana (of x: y) <ana@x.test> ",
        b"ana@x.test (Ana)",
    ],
)
def test_one_author_plainly_named(value: bytes) -> None:
    assert is_plain(value)
    assert [one.address for one in mailboxes(value)] == ["ana@x.test"]


@pytest.mark.parametrize(
    "value",
    [
        b"Ana <ana@x.test>: eve@evil.test;",
        b"eve@evil.test, Ana <ana@x.test>",
        b"Ana <ana@x.test>:;, eve@evil.test",
        b"<ana@x.test>x:eve@evil.test",
        b"Ana <ana@[x.test]>, eve@evil.test",
        b'"Ana" <ana@x.test\0>, eve@evil.test',
        b"ana@x.test <eve@evil.test>",
        b"<eve@evil.test> <ana@x.test>",
        b"=?utf-8?q?Ana <ana@x.test>, ?= <eve@evil.test>",
        b"=?utf-8?b?x <ana@x.test>, ?= <eve@evil.test>",
        b"Ana =?u?q?(?= <eve@evil.test> (x) =?u?q?)?=",
        b"Ana <ana@x.test",
        b"Ana",
        b"",
    ],
)
def test_an_author_that_another_reader_may_see_otherwise(value: bytes) -> None:
    assert not is_plain(value)


SIGNED = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from:subject{more}; bh=aGFzaA==; b=c2ln\n"


@pytest.mark.parametrize(
    ("head", "proof"),
    [
        ("To: tides@lists.test\n", Proof.NONE),
        ("To: tides@lists.test\nCc: tides-request@lists.test\n", Proof.NONE),  # few signatures cover Cc
        ("To: birds-request@lists.test\n", Proof.NONE),
        ("To: tides-request@far.test\n", Proof.NONE),
        ("To: tides-request@lists.test\n" + SIGNED.format(more=""), Proof.NONE),
        ("To: tides-request@lists.test\n" + SIGNED.format(more=":to"), Proof.AUTHENTICATED),
        ("To: tides-request@lists.test\n", Proof.AUTHENTICATED),
    ],
)
def test_what_was_sent_elsewhere_proves_nothing_at_an_address_that_acts(head: str, proof: Proof) -> None:
    """A signed post that somebody hands on to -request is no request of its author."""
    raw = mail(f"From: ana@x.test\n{head}Subject: help\n\n")
    told = inbound(raw, Mailbox("tides", "request"), Verdict(Proof.AUTHENTICATED), "lists.test")
    assert isinstance(told, Request)
    assert told.author.proof is proof


@pytest.mark.parametrize(
    "odd",
    [
        b"X: y\rSubject: delete 1\r\n",
        b"Subject\r: hello\r\n",
        b"X: y\0\r\n",
        b"\r\r\n",
        b": y\r\n",
        b"\x0b\r\n",
        b"From here on\r\n",
        b"Sub ject: x\r\n",
    ],
)
def test_a_header_whose_lines_end_differently_for_different_readers_is_refused(odd: bytes) -> None:
    for function in (POST, "request", "item"):
        raw = b"From: ana@x.test\r\n" + odd + b"\r\nwords\r\n"
        with pytest.raises(Rejected, match=r"must not be there|no field"):
            inbound(mail(raw), Mailbox("tides", function), NOTHING_SAID, "lists.test")


@pytest.mark.parametrize(
    ("head", "handed_on"),
    [
        ("To: tides@lists.test\n", False),
        ("To: bo@far.test\nCc: Tide pools <tides@old.test>\n", False),
        ("To: tides-item+aaaaaaaaaaaaaaaaaaaaaaaaaa@lists.test\n", False),
        ("To: bo@far.test\n", True),
        ("", True),
    ],
)
def test_a_mail_to_somebody_else_is_not_meant_for_everybody(head: str, handed_on: bool) -> None:
    told = inbound(mail(f"From: ana@x.test\n{head}Subject: x\n\nwords\n"), Mailbox("tides"), NOTHING_SAID, "lists.test")
    assert isinstance(told, NewPost)
    assert told.handed_on is handed_on
