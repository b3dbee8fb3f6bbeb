"""An answer to a post of a digest goes to everybody without the address that it was sent to, and under the thread's subject."""

from __future__ import annotations

from bridges.email import dkim_check
from bridges.email.compose import compose
from bridges.email.fields import read
from bridges.email.headers import cut
from bridges.email.passage import survivors
from bridges.email.tests.posts import mailed, target
from bridges.email.tests.signing import signed
from server.bridge import Post
from tests.fakes import forum

ITEM = b"tides-item+" + b"abcdefghijklmnopqrstuvwxyz"[:24] + b"27@lists.test"
ANSWER = (
    b"Received: from x by lists.test for <" + ITEM + b">; Mon, 2 Nov 2026 06:12:00 +0000\r\n"
    b"From: Dave <dave@members.test>\r\nTo: Tide pools <" + ITEM + b">\r\nCc: eve@members.test\r\n"
    b"Subject: Re: Tide pools digest, 25 Nov 2026: 10 posts\r\nDate: x\r\nMessage-ID: <d@members.test>\r\n\r\nForty.\r\n"
)


def answer(raw: bytes = ANSWER, **of: object) -> Post:
    return mailed(raw, subject="Re: Bad date", opens_thread=False, message_id="<d@members.test>", **of)


def test_no_copy_holds_the_token_and_all_have_the_threads_subject() -> None:
    sent = compose(answer(), {}, "https://talk.test/leave/").copy(target())
    header = read(cut(sent)[0])
    assert b"-item+" not in sent
    assert header.values("subject") == [b"Re: Bad date"]
    assert header.values("to") == [b"Tide pools <tides@lists.test>"]
    assert header.values("cc") == [b"eve@members.test"]
    assert b"for <tides@lists.test>" in header.first("received")


def test_a_prefix_stands_before_the_threads_subject_too() -> None:
    sent = compose(answer(forum=forum(subject_prefix="[pools]")), {}, "https://talk.test/leave/").copy(target())
    assert b"Subject: Re: [pools] Bad date\r\n" in sent


def test_any_other_mail_keeps_its_bytes() -> None:
    raw = ANSWER.replace(ITEM, b"tides@lists.test")
    sent = compose(answer(raw), {}, "https://talk.test/leave/").copy(target())
    assert sent.endswith(raw)


def test_another_forums_address_is_not_touched() -> None:
    raw = ANSWER.replace(b"tides-item", b"kelp-item")
    assert compose(answer(raw), {}, "https://talk.test/leave/").copy(target()).endswith(raw)


def test_a_signature_over_what_changes_is_not_counted_on() -> None:
    def left(*covers: str) -> int:
        raw = signed(ANSWER, "members.test", covers)
        return len(survivors(answer(raw), dkim_check.message(raw).fields))

    assert left("from", "date") == 1
    assert left("from", "to") == 0
    assert left("from", "subject") == 0
