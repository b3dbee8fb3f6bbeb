"""What is shown of a post, from what was written: text and HTML, each whole and with quotes and signature folded away.

Pure, and slow enough for large input that it is called off the event loop. It can be done again at any time from the parts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

from server import limits
from server.bridge import Attachment
from server.content import attachments as files
from server.content import markdown, plain, quoted, quotes
from server.content.sanitize import clean, clean_own, tidy
from server.i18n import _
from server.markup import reading, soup
from server.markup.tree import Element, serialise, walk

HTML_CHARS = 1_000_000  # of one post; what is beyond is in its original only
_EMBEDDED = re.compile(r"""(src\s{0,9}=\s{0,9}["']?)data:[^"'\s>]{0,8000000}+""", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Derived:
    """Text and sanitised HTML of a post. `fresh_*` lack what is only quoted and the signature; they are never empty if the
    whole is not."""

    text: str
    html: str
    fresh_text: str
    fresh_html: str


def derive(
    text: str | None,
    html: str | None,
    text_format: str,
    attachments: Sequence[Attachment],
    hashes: Sequence[str],
) -> Derived:
    """What is shown of a post. `hashes[i]` names the stored bytes of `attachments[i]`; never raises on any text or HTML.

    A post with both parts is shown by each; one that is missing or empty is made from the other. `text_format` is "plain" or
    "markdown".
    """
    text = _within(tidy(text or ""), limits.TEXT_CHARS)
    pictures = _pictures(attachments, hashes)
    if html and html.strip():
        found = _of_html(html, text, pictures)
        if found is not None:
            return found
    if text_format == "markdown":
        tree = soup.parse(markdown.render(text))
        _name_pictures(tree, pictures)
        shown = clean(serialise(tree))
        return Derived(text, shown, text, shown)
    pieces = quotes.split(text)
    fresh = quotes.fresh(pieces)
    made = {id(piece): clean_own(plain.to_html([piece])) for piece in pieces}  # once, though it is shown twice
    whole = "\n".join(filter(None, made.values()))
    if len(fresh) == len(pieces) and all(a is b for a, b in zip(fresh, pieces, strict=True)):
        return Derived(text, whole, text, whole)
    kept = (made[id(piece)] if id(piece) in made else clean_own(plain.to_html([piece])) for piece in fresh)
    return Derived(text, whole, quotes.join(fresh), "\n".join(filter(None, kept)))


def _of_html(html: str, text: str, pictures: Mapping[str, str]) -> Derived | None:
    """The post by its HTML part, with `text` as its text part; None if the HTML shows nothing and the text does."""
    html = _EMBEDDED.sub(r"\1", tidy(html))
    if len(html) > HTML_CHARS and text.strip():
        return None
    tree = soup.parse(_within(html, HTML_CHARS))
    _name_pictures(tree, pictures)
    quoted.mark(tree)
    whole = clean(serialise(tree))
    words = _within(reading.to_text(tree), limits.TEXT_CHARS)
    if text.strip() and not words.strip() and "<img" not in whole:
        return None
    folded = quoted.fold(tree)
    fresh_html = clean(serialise(tree)) if folded else whole
    if text.strip():
        return Derived(text, whole, quotes.join(quotes.fresh(quotes.split(text))), fresh_html)
    fresh_text = _within(reading.to_text(tree), limits.TEXT_CHARS) if folded else words
    return Derived(words, whole, fresh_text, fresh_html)


def _pictures(attachments: Sequence[Attachment], hashes: Sequence[str]) -> dict[str, str]:
    """Hash by content id, of those attachments that are pictures by their first bytes."""
    return {
        attachment.content_id: name
        for attachment, name in zip(attachments, hashes, strict=True)
        if attachment.content_id and files.picture(attachment.data)
    }


def _name_pictures(tree: Element, pictures: Mapping[str, str]) -> None:
    """cid:CONTENT-ID (RFC 2392) becomes blob:HASH; one that names nothing of ours is left for the sanitizer to take away."""
    for element in walk(tree):
        source = element.attrs.get("src", "").strip() if element.name == "img" else ""
        if source[:4].lower() == "cid:":
            name = pictures.get(source[4:]) or pictures.get(unquote(source[4:]))
            element.attrs["src"] = f"blob:{name}" if name else ""


def _within(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n\n{escape(_('The rest is too long to be shown here.'))}\n"
