"""The beginning of a text, cut where a reader would cut it: a subject from first words, the first paragraphs of a long post."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

from server.content import phrases, soup
from server.content.sanitize import clean, plain_line
from server.content.tree import Element, Node, events, serialise

_MARKUP = re.compile(r"\s{0,9}(?:#{1,6}\s|[-*+•]\s|\d{1,3}[.)]\s|>)")
_LINK = re.compile(r"!?\[([^\[\]]{0,200})\]\([^()\s]{0,1000}\)")
ELLIPSIS = "…"


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The first paragraphs as text and as sanitised HTML. `cut`: there is more."""

    text: str
    html: str
    cut: bool


def first_words(text: str, chars: int) -> str:
    """One line of at most `chars` characters from the first words of a text, for a subject; '' if there are none.

    Quotes, attributions, fences and the marks of Markdown are passed over; what is too long ends after a whole word with "…".
    """
    words: list[str] = []
    size = 0
    for line in text[: 50 * chars + 10_000].split("\n"):
        if not line.strip():
            if words:
                break
            continue
        if (
            line.startswith((">", "```"))
            or phrases.rule(line)
            or (phrases.ends_attribution(line) and phrases.introduces(line))
        ):
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


def excerpt(html: str, text: str, limit: int) -> Excerpt:
    """The first paragraphs that fit into `limit` bytes of UTF-8 each of text and HTML; whole characters, closed tags."""
    whole_text, whole_html = len(text.encode()) <= limit, len(html.encode()) <= limit
    return Excerpt(
        text if whole_text else _first_paragraphs(text, limit),
        html if whole_html else _first_blocks(html, limit),
        cut=not (whole_text and whole_html),
    )


def _first_paragraphs(text: str, limit: int) -> str:
    room = limit - len(ELLIPSIS.encode()) - 2
    head = _bytes(text, room)
    end = head.rfind("\n\n")
    if end >= len(head) // 3:
        return f"{head[:end].rstrip()}\n\n{ELLIPSIS}"
    return _cut_words(head, len(head)) + ELLIPSIS if room > 0 else ""


def _first_blocks(html: str, limit: int) -> str:
    tree = soup.parse(html)
    end = f"<p>{ELLIPSIS}</p>"
    left = room = limit - len(end.encode())
    kept: list[Node] = []
    for child in tree.children:
        size = len(serialise(Element("", children=[child])).encode())
        if size > left:
            break
        left -= size
        kept.append(child)
    if any(isinstance(child, Element) or child.strip() for child in kept):
        cleaned = clean(serialise(Element("", children=kept)) + end)
        if len(cleaned.encode()) <= limit:
            return cleaned
    words = " ".join("".join(node for _kind, node in events(tree) if isinstance(node, str)).split())
    shortened = _bytes(words, room)
    while (excess := len(escape(shortened, quote=False).encode()) - room) > 0:
        shortened = shortened[: -max(excess // 5, 1)]  # a character is 5 bytes at most: &amp;
    shortened = escape(_cut_words(shortened, len(shortened)), quote=False)
    return f"<p>{shortened}{ELLIPSIS}</p>" if shortened else ""


def _bytes(text: str, limit: int) -> str:
    """As many whole characters as fit into `limit` bytes of UTF-8."""
    return text[: max(limit, 0)].encode()[: max(limit, 0)].decode(errors="ignore")


def _cut_words(text: str, chars: int) -> str:
    """At most `chars` characters, to the end of a word if one ends in their last third."""
    head = text[: max(chars, 0)]
    if len(text) <= chars and head == text:
        place = max(head.rfind(" "), head.rfind("\n"))
    else:
        place = len(head) if text[len(head) : len(head) + 1].isspace() else max(head.rfind(" "), head.rfind("\n"))
    return (head[:place] if place > 2 * len(head) // 3 else head).rstrip(" ,;:-\n")
