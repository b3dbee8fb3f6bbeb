"""What readers may read in two ways: fields that stand there twice, authors who are several, mail that was meant for another address."""

from __future__ import annotations

import pytest

from bridges.email.addresses import POST, Mailbox
from bridges.email.authentication import NOTHING_SAID, Verdict
from bridges.email.mailboxes import is_plain, mailboxes
from bridges.email.receive import inbound
from bridges.email.tests.reading import mail
from server.bridge import Proof, Request
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
        b"Ana <ana@x.test",
        b"Ana",
        b"",
    ],
)
def test_an_author_that_another_reader_may_see_otherwise(value: bytes) -> None:
    assert not is_plain(value)


def test_what_was_sent_to_the_forum_proves_nothing_at_its_other_addresses() -> None:
    """A signed post that somebody hands on to -request is no request of its author."""
    proved = Verdict(Proof.AUTHENTICATED)
    for to, proof in (("tides@lists.test", Proof.NONE), ("tides-request@lists.test", Proof.AUTHENTICATED)):
        told = inbound(
            mail(f"From: ana@x.test\nTo: {to}\nSubject: help\n\n"), Mailbox("tides", "request"), proved, "lists.test"
        )
        assert isinstance(told, Request)
        assert told.author.proof is proof
