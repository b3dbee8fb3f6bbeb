"""The first line that somebody wrote themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.reply import declines, first_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("approve\n", "approve"),
        ("\n\n  Approve 2 \n\n> approve 1\n", "Approve 2"),
        ("On Monday the forum wrote:\n> To decide: approve\n\nreject off topic\n", "reject off topic"),
        ("On Monday, 23 November 2026 at 09:00, Tide pools\n<pools-mod@x.test> wrote:\n\n> ban\n\napprove", "approve"),
        ("> quoted\n> approve\n", ""),
        ("", ""),
        ("reject: this belongs elsewhere\n> quoted\n", "reject: this belongs elsewhere"),
        (
            "reject this belongs to the other list, where people who know the\nanswer read it\n\nAna\n",
            "reject this belongs to the other list, where people who know the answer read it",
        ),
        ("reject off topic\nAna\n", "reject off topic"),
        ("approve\n-- \nAna\n", "approve"),
    ],
)
def test_the_first_line_of_ones_own(text: str, words: str) -> None:
    assert " ".join(first_words(text)) == words


@given(st.text(st.sampled_from("a >:\n-"), max_size=200))
def test_a_quoted_word_is_never_taken(text: str) -> None:
    quoted = "".join(f"> {line}\n" for line in text.split("\n"))
    assert first_words(quoted) == ()


@pytest.mark.parametrize(
    ("text", "no"),
    [
        ("No, I never asked for that.\n\n> To join, answer this mail\n", True),
        ("NO!\n", True),
        ("Don’t!\n", True),
        ("Nein danke\n", True),
        ("On Monday the forum wrote:\n> Please confirm\n\nno\n", True),
        ("yes\n> No, nothing happens\n", False),
        ("Northern shore, please\n", False),
        ("I did not ask for this. Who are you?\n", True),
        ("Please stop writing to me\n> To join, answer\n", True),
        ("no problem\n", True),  # asked once more
        ("Yes, no problem\n", False),
        ("OK!\n\nI am not sure what this is\n", False),
        ("Sounds good\n-- \nNot a doctor\n", False),
        ("> no\n", False),
        ("", False),
    ],
)
def test_an_answer_that_says_no(text: str, no: bool) -> None:
    assert declines(text) is no
