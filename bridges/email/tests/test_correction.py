"""Corrections as mail: a reply in the thread that shows what changed, and no more than that."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

from hypothesis import given
from hypothesis import strategies as st

from bridges.email.changes import Change, as_text, changes
from bridges.email.correction import correction
from bridges.email.tests.posts import LEAVE, VIA, post, target
from bridges.email.tests.test_compose import golden
from server.bridge import CorrectionItem

BEFORE = """\
I counted forty limpets on the north face, from the rusty ladder
to the cleft.

Bring a bucket.

Then the fog came in.
"""
AFTER = """\
I counted fourteen limpets on the north face, from the
rusty ladder to the cleft.

Then the fog came in.

The tide turns at eleven <not ten>.
"""
NAME = "<0199b1c0-0000-7000-8000-0000000000c1@lists.test>"


def item(before: str = BEFORE, after: str = AFTER, **more: object) -> CorrectionItem:
    return CorrectionItem(post(text=after, revision=1, **more), NAME, before)


def copy(of: CorrectionItem) -> bytes:
    return correction(of, "https://talk.test/leave/", 0).copy(target())


def read(of: CorrectionItem) -> EmailMessage:
    return message_from_bytes(copy(of), policy=policy.default)


def part(of: CorrectionItem, kind: str) -> str:
    found = read(of).get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_a_correction_as_its_reader_gets_it() -> None:
    golden("correction.eml", copy(item()))


def test_it_is_a_reply_to_the_post_in_its_thread() -> None:
    message = read(item())
    assert message["Message-ID"] == NAME
    assert message["In-Reply-To"] == item().post.message_id
    assert str(message["References"]).split()[-1] == item().post.message_id
    assert message["Subject"] == "Re: Limpets on the north face"
    assert message["From"] == f"Bruno Öst <tides-via+{VIA}@lists.test>"
    assert message["Reply-To"] == "Tide pools <tides@lists.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert LEAVE in str(message["List-Unsubscribe"])


def test_a_first_post_is_answered_under_its_own_subject() -> None:
    assert read(item(opens_thread=True, references=()))["Subject"] == "Re: Limpets on the north face"


def test_only_what_changed_is_shown_and_both_forms_say_it() -> None:
    for kind in ("plain", "html"):
        shown = part(item(), kind)
        assert "fog" not in shown
        for words in ("forty", "fourteen", "Bring a bucket.", "The tide turns at eleven"):
            assert words in shown
    assert "<not ten>" not in part(item(), "html")
    assert "<del " in part(item(), "html")
    assert "<ins " in part(item(), "html")


def test_words_that_differ_are_marked() -> None:
    assert changes("I counted forty limpets here.", "I counted fourteen limpets here.") == [
        Change(
            (("I counted", False), ("forty", True), ("limpets here.", False)),
            (("I counted", False), ("fourteen", True), ("limpets here.", False)),
        )
    ]


def test_another_sentence_is_not_a_changed_one() -> None:
    (found,) = changes("I counted forty limpets.", "Has anybody seen my bucket?")
    assert found == Change((("I counted forty limpets.", True),), (("Has anybody seen my bucket?", True),))


def test_wrapping_anew_is_no_change() -> None:
    assert changes("one two\nthree\n\nfour", "one\ntwo three\n\n\nfour\n") == []
    assert "no word" in part(item("a b\nc", "a\nb c"), "plain")
    assert "no word" in part(item("a b\nc", "a\nb c"), "html")


def test_very_much_is_bounded() -> None:
    much = "\n\n".join(f"{n} " + "limpet " * 400 for n in range(3_000))
    assert len(copy(item(much, much.upper()))) < 1_500_000


_WORDS = st.lists(st.sampled_from(["tide", "pool", "fog", "at", "noon", "\n\n"]), max_size=40).map(" ".join)


@given(_WORDS, _WORDS)
def test_what_is_shown_is_true(before: str, after: str) -> None:
    found = changes(before, after)
    olds, news = (
        [" ".join(text for text, _only in side) for change in found if (side := getattr(change, name)) is not None]
        for name in ("before", "after")
    )
    assert all(old in " ".join(before.split()) for old in olds)
    assert all(new in " ".join(after.split()) for new in news)
    assert (found == []) == ([p.split() for p in _split(before)] == [p.split() for p in _split(after)])
    assert as_text(found)


def _split(text: str) -> list[str]:
    joined = "\n".join(line.strip() for line in text.split("\n"))
    return [paragraph for paragraph in joined.split("\n\n") if paragraph.strip()]
