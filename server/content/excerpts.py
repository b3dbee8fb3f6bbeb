"""The beginning of a text, cut where a reader would cut it: a subject from first words."""

from __future__ import annotations

import re

from server.content import phrases
from server.content.sanitize import plain_line

_MARKUP = re.compile(r"\s{0,9}(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|>)")
_LINK = re.compile(r"!?\[([^\[\]]{0,200})\]\([^()\s]{0,1000}\)")
ELLIPSIS = "…"


def first_words(text: str, chars: int) -> str:
    """One line of at most `chars` characters from the first words of a text, for a subject; '' if there are none.

    Quotes, attributions, fences and the marks of Markdown are passed over; what is too long ends after a whole word with "…".
    """
    words: list[str] = []
    size = 0
    lines = text[: 50 * chars + 10_000].split("\n")
    for place, line in enumerate(lines):
        if not line.strip():
            if words:
                break
            continue
        if line.startswith((">", "```")) or phrases.rule(line) or _attribution(lines, place):
            continue
        if words and _MARKUP.match(line):
            break
        plain = plain_line(_LINK.sub(r"\1", _MARKUP.sub("", line, count=1)), chars + 200).strip("*_`# ")
        if plain:
            words.append(plain)
            size += len(plain) + 1
        if size > chars:
            break
    joined = " ".join(words)
    return joined if len(joined) <= chars else _cut_words(joined, chars - 1) + ELLIPSIS


def _attribution(lines: list[str], place: int) -> bool:
    """Whether that line says who wrote the quote below it, or what stood there before it was folded away at the text's end."""
    if not (phrases.ends_attribution(lines[place]) and phrases.introduces(lines[place])):
        return False
    return next((line for line in lines[place + 1 :] if line.strip()), ">").startswith(">")


def _cut_words(text: str, chars: int) -> str:
    """At most `chars` characters, to the end of a word if one ends in their last third."""
    head = text[: max(chars, 0)]
    if len(text) <= chars and head == text:
        place = max(head.rfind(" "), head.rfind("\n"))
    else:
        place = len(head) if text[len(head) : len(head) + 1].isspace() else max(head.rfind(" "), head.rfind("\n"))
    return (head[:place] if place > 2 * len(head) // 3 else head).rstrip(" ,;:-\n")
