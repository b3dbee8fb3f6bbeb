"""Whether two messages under one name are one message. Pure. Lists change subjects and bodies in transit; nobody changes every line."""

from __future__ import annotations

from server import subjects


def other_words(subject: str, text: str, other_subject: str, other_text: str) -> bool:
    """Whether they differ by their subjects and by every line. What has no words is no other message."""
    mine, theirs = _lines(text), _lines(other_text)
    differ = subjects.bare(subject).casefold() != subjects.bare(other_subject).casefold()
    return differ and bool(mine and theirs) and mine.isdisjoint(theirs)


def _lines(text: str) -> set[str]:
    return {line for each in text.splitlines() if (line := " ".join(each.split()))}
