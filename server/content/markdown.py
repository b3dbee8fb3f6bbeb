"""Markdown as written on our pages (CommonMark, with tables, strikethrough and plain web addresses as links) to safe HTML."""

from __future__ import annotations

from html import escape

from markdown_it import MarkdownIt

from server.content.sanitize import clean, tidy

NESTING = 20  # blocks and emphasis inside one another
MARKDOWN_CHARS = 200_000  # a longer text is shown as it was typed


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": True, "maxNesting": NESTING})
    parser.enable(["linkify", "strikethrough", "table"])
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # "setup.py" is a file, not a site in Paraguay
    return parser


_PARSER = _parser()


def render(text: str) -> str:
    """The HTML that the Markdown says; not yet sanitised."""
    text = tidy(text)
    if len(text) > MARKDOWN_CHARS:
        return f"<pre>{escape(text, quote=False)}</pre>"
    return str(_PARSER.render(text)).rstrip()


def to_html(text: str) -> str:
    """The Markdown as sanitised HTML. Raw HTML in it is shown as text. Never raises."""
    return clean(render(text))
