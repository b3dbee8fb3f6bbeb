"""The beginning of a text, cut where a reader would cut it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.content.excerpts import excerpt, first_words
from server.content.sanitize import clean
from tests.content import strategies


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Is the pump back?\n\nI wonder.", "Is the pump back?"),
        ("Is the pump\nback?", "Is the pump back?"),
        ("> quoted\n\nYes, it is.", "Yes, it is."),
        ("On 1/1/24, Ana wrote:\n> quoted\nYes.", "Yes."),
        ("## *Tides* at [noon](http://a.example)", "Tides* at noon"),
        ("- one\n- two", "one"),
        ("```\ncode\n```", "code"),
        ("a\x00b\u202ec\td", "a bc d"),
        ("The pump in the harbour runs again", "The pump in the…"),
        ("x" * 50, "x" * 19 + "…"),
        ("", ""),
        ("\n> only quoted\n", ""),
    ],
)
def test_a_subject_from_first_words(text: str, words: str) -> None:
    assert first_words(text, 20) == words or first_words(text, 40) == words


@given(strategies.texts, st.integers(min_value=5, max_value=80))
def test_first_words_are_one_line_within_the_limit(text: str, chars: int) -> None:
    words = first_words(text, chars)
    assert len(words) <= chars
    assert "\n" not in words


def test_a_short_post_is_its_own_excerpt() -> None:
    found = excerpt("<p>a</p>", "a", 100)
    assert (found.text, found.html, found.cut) == ("a", "<p>a</p>", False)


def test_a_long_post_is_cut_after_a_paragraph() -> None:
    text = "\n\n".join("word " * 9 + "end." for _ in range(10))
    html = "\n".join("<p>" + "word " * 9 + "end.</p>" for _ in range(10))
    found = excerpt(html, text, 200)
    assert found.cut
    assert found.text == "\n\n".join(["word " * 9 + "end."] * 3) + "\n\n…"
    assert found.html == "\n".join(["<p>" + "word " * 9 + "end.</p>"] * 3) + "\n<p>…</p>"


def test_one_long_paragraph_is_cut_after_a_word() -> None:
    found = excerpt("<p>" + "häfen " * 100 + "</p>", "häfen " * 100, 60)
    assert found.text == "häfen häfen häfen häfen häfen häfen häfen…"
    assert found.html == "<p>häfen häfen häfen häfen häfen häfen häfen…</p>"


@given(strategies.html, st.text(), st.integers(min_value=20, max_value=200))
def test_an_excerpt_fits_and_is_clean(html: str, text: str, limit: int) -> None:
    html = clean(html)
    found = excerpt(html, text, limit)
    assert len(found.text.encode()) <= limit
    assert clean(found.html) == found.html
    assert len(found.html.encode()) <= limit
