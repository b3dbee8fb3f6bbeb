"""What stands before a subject, and what is the subject itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import subjects


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("Re: Limpets", "Limpets"),
        ("RE:Limpets", "Limpets"),
        ("AW: Re[2]: Sv : Limpets", "Limpets"),
        ("Fwd: WG: Limpets", "Limpets"),
        ("回复：贝类", "贝类"),
        ("Limpets for: whom", "Limpets for: whom"),
        ("Question re: tides", "Question re: tides"),
        ("Error: no tide", "Error: no tide"),
        ("Re", "Re"),
        ("", ""),
    ],
)
def test_marks_are_taken_off(subject: str, bare: str) -> None:
    assert subjects.bare(subject) == bare


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("Tides", "Re: Tides"),
        ("re: Tides", "re: Tides"),
        ("AW: Tides", "AW: Tides"),
        ("Fwd: Tides", "Re: Fwd: Tides"),
        ("", ""),
    ],
)
def test_an_answer_has_one_mark(subject: str, answer: str) -> None:
    assert subjects.answering(subject) == answer


@given(st.text(max_size=300))
def test_whatever_the_subject(subject: str) -> None:
    assert subjects.bare(subject) == subjects.bare(subject).strip()
    assert subjects.bare(subjects.answering(subject)) == subjects.bare(subject)
