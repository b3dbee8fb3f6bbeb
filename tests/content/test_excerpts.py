"""The beginning of a text, cut where a reader would cut it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.content.excerpts import first_words
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


def test_a_sentence_that_announces_something_else_than_a_quote_is_the_subject() -> None:
    text = "The gauge was gone, so I wrote the tide down as it came:\n\n```\nlow 04:12\n```\n\nIs that right?"
    assert first_words(text, 80) == "The gauge was gone, so I wrote the tide down as it came:"


@pytest.mark.parametrize("after", ["", "\n", "\n\n> quoted\n"])
def test_an_attribution_stands_above_a_quote_or_at_the_end(after: str) -> None:
    assert first_words("On 1 May 2026, Ana wrote:" + after, 80) == ""
