"""What changed between two texts: lines, and in lines that were changed the words. Pure, and bounded in time whatever the texts.

A line of a paragraph that was wrapped anew is changed in form only: where the words are the same, nothing is said of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape

from server.i18n import _

PARAGRAPHS = 400  # of a text that are compared; of longer ones only the first
WORDS = 150  # of a paragraph on each side; longer ones are shown whole, as it was and as it is
SHOWN = 60  # changes that are shown


@dataclass(frozen=True, slots=True)
class Change:
    """A paragraph as it was and as it is, each as runs of words: (text, whether it is only on this side). None: not there."""

    before: tuple[tuple[str, bool], ...] | None
    after: tuple[tuple[str, bool], ...] | None


def changes(before: str, after: str) -> list[Change]:
    """What is different, in order; [] where only the form is."""
    old, new = _paragraphs(before), _paragraphs(after)
    found: list[Change] = []
    for tag, i, j, k, n in SequenceMatcher(None, old, new).get_opcodes():
        if tag != "equal":
            found.extend(_pairs(old[i:j], new[k:n]))
    return found[:SHOWN]


def _paragraphs(text: str) -> list[str]:
    """Paragraphs on one line each, so that how they were wrapped does not count."""
    made: list[str] = []
    open_: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            open_.append(" ".join(line.split()))
        elif open_:
            made.append(" ".join(open_))
            open_ = []
    return made[:PARAGRAPHS]


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    for place in range(max(len(old), len(new))):
        was = old[place] if place < len(old) else None
        now = new[place] if place < len(new) else None
        if was is None or now is None:
            yield Change(_whole(was), _whole(now))
        else:
            yield _words(was, now)


def _whole(text: str | None) -> tuple[tuple[str, bool], ...] | None:
    return None if text is None else ((text, True),)


def _words(was: str, now: str) -> Change:
    old, new = was.split(), now.split()
    if max(len(old), len(new)) > WORDS:
        return Change(_whole(was), _whole(now))
    matcher = SequenceMatcher(None, old, new)
    if matcher.ratio() < 0.3:  # another sentence, not a changed one
        return Change(_whole(was), _whole(now))
    before: list[tuple[str, bool]] = []
    after: list[tuple[str, bool]] = []
    for tag, i, j, k, n in matcher.get_opcodes():
        before += [(" ".join(old[i:j]), tag != "equal")] if i < j else []
        after += [(" ".join(new[k:n]), tag != "equal")] if k < n else []
    return Change(tuple(before), tuple(after))


# Shown ----------------------------------------------------------------------------------------------------------------
SIDE_CHARS = 2_000  # of a paragraph
_GONE = "background:rgba(224,64,64,.22);text-decoration:line-through"
_NEW = "background:rgba(48,160,80,.25);text-decoration:none"


def as_text(found: Sequence[Change]) -> str:
    """For a text: each changed paragraph as it was and as it is, with the words in brackets that differ."""
    if not found:
        return _("Only its form changed, and no word.")
    return "\n\n".join("\n".join(_lines(change)) for change in found)


def _lines(change: Change) -> Iterator[str]:
    if change.before is None:
        yield from _labelled(_("New:"), _plain(change.after, False))
    elif change.after is None:
        yield from _labelled(_("Gone:"), _plain(change.before, False))
    else:
        yield from _labelled(_("Was:"), _plain(change.before, len(change.before) > 1))
        yield from _labelled(_("Now:"), _plain(change.after, len(change.after) > 1))


def _labelled(label: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        72,
        initial_indent=f"{label:<6}",
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _plain(runs: tuple[tuple[str, bool], ...] | None, marked: bool) -> str:
    return _short(" ".join(f"[{text}]" if only and marked else text for text, only in runs or ()))


def as_html(found: Sequence[Change]) -> list[tuple[str, str]]:
    """For HTML: each changed paragraph as it was and as it is, "" where it was not or is not there."""
    return [(_marked(change.before, "del", _GONE), _marked(change.after, "ins", _NEW)) for change in found]


def _marked(runs: tuple[tuple[str, bool], ...] | None, tag: str, style: str) -> str:
    return " ".join(
        f'<{tag} style="{style}">{escape(_short(text))}</{tag}>' if only else escape(_short(text))
        for text, only in runs or ()
    )


def _short(text: str) -> str:
    return text if len(text) <= SIDE_CHARS else text[:SIDE_CHARS].rstrip() + " …"
