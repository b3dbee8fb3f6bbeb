"""HTML that is meant to stop its reader is read like any other."""

from __future__ import annotations

from server import markup


def test_words_of_a_fragment() -> None:
    assert markup.words("<p>Low <b>tide</b></p><p>at ten</p>").split() == ["Low", "tide", "at", "ten"]


def test_open_elements_are_not_copied_into_what_follows() -> None:
    """A parser that repairs as browsers do makes ten thousand times ten thousand elements of this."""
    html = "".join(f"<b id={n}>" for n in range(10_000)) + "<p>x" * 10_000
    assert markup.words(html).split() == ["x"] * 10_000
