"""What of a received header goes on: what a signature covers stays, what is ours alone is said, who hides is in no field."""

from __future__ import annotations

from bridges.email import headers
from bridges.email.compose import Passage, compose
from bridges.email.tests.posts import VIA, mailed, target
from bridges.email.tests.test_compose import LEAVE_URL, body, read
from server.bridge import Writer

PROMISED = frozenset((b"list-post", b"list-help", b"reply-to", b"precedence", b"date", b"disposition-notification-to"))


def promising(original: bytes) -> bytes:
    """A copy of what came, below a signature that covers those names."""
    return compose(mailed(original), {}, LEAVE_URL, Passage(promised=PROMISED)).copy(target())


def test_what_a_signature_covers_is_neither_taken_away_nor_added() -> None:
    """RFC 6376 section 5.4.2: also a name of which there is no field is promised."""
    theirs = b"List-Post: <mailto:all@members.test>\r\nDisposition-Notification-To: ana@members.test\r\n"
    sent = read(promising(theirs + b"From: ana@members.test\r\nList-Help: <https://members.test/>\r\n\r\nx\r\n"))
    assert sent.get_all("List-Post") == ["<mailto:all@members.test>"]
    assert sent.get_all("List-Help") == ["<https://members.test/>"]
    assert sent["Disposition-Notification-To"] == "ana@members.test"
    assert sent["List-Owner"] == "<mailto:tides-owner@lists.test>"
    bare = read(promising(b"From: ana@members.test\r\nList-Owner: <x:y>\r\n\r\nx\r\n"))
    assert {name.lower().encode() for name in bare} & PROMISED == set()
    assert bare.get_all("List-Owner") == ["<mailto:tides-owner@lists.test>"]


def test_whose_list_this_is_and_how_to_leave_it_is_said_whatever_was_promised() -> None:
    must = frozenset((b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"))
    theirs = b"List-Id: <other.test>\r\nList-Unsubscribe: <mailto:x@other.test>\r\nFrom: ana@members.test\r\n\r\nx\r\n"
    sent = read(compose(mailed(theirs), {}, LEAVE_URL, Passage(promised=must)).copy(target()))
    assert sent.get_all("List-Id") == ["Tide pools <tides.lists.test>"]
    assert len(sent.get_all("List-Unsubscribe") or []) == len(sent.get_all("List-Unsubscribe-Post") or []) == 1


def test_nobody_brings_along_what_our_server_says_of_them() -> None:
    said = b"Authentication-Results: %b; dmarc=pass header.from=members.test\r\n"
    original = said % b"mx.lists.test" + said % b"MX.Far.test" + b"From: ana@members.test\r\n\r\nx\r\n"
    passage = Passage(impersonated=frozenset(("mx.lists.test",)))
    sent = compose(mailed(original), {}, LEAVE_URL, passage).copy(target())
    assert b"mx.lists.test" not in sent
    assert said % b"MX.Far.test" in sent


def test_who_hides_is_in_no_field_of_their_mail() -> None:
    original = (
        b"Received: from x by y for <tides@lists.test>\r\nX-Sender: Ana@Members.test\r\nSender: ana@members.test\r\n"
        b"X-Odd: =?utf-8?q?ana=40members.test?=\r\nErrors-To: bounces+1-ana=members.test@far.test\r\n"
        b"From: Ana <ana@members.test>\r\nReply-To: ana@elsewhere.test\r\nTo: tides@lists.test,\r\n ana@members.test\r\n"
        b"Cc: bo@far.test\r\nSubject: Limpets\r\n\r\nMine is ana@members.test.\r\n"
    )
    hidden = mailed(original, writer=Writer("key", "Ana", VIA, hidden=True))
    sent = compose(hidden, {}, LEAVE_URL, Passage(rewrite=True)).copy(target())
    head = headers.cut(sent)[0].lower()
    assert b"ana" not in head.replace(b"ana via", b"")
    message = read(sent)
    assert message["From"] == f"Ana via Tide pools <tides-via+{VIA}@lists.test>"
    assert (message["To"], message["Cc"]) == ("Tide pools <tides@lists.test>", None)
    assert message["Reply-To"] == "Tide pools <tides@lists.test>"
    assert body(sent) == body(original)
