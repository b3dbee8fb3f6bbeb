"""HTML between Matrix and the house, and plain text made safe for both. Pure.

Matrix's subset: Client-Server API v1.15, section 11.3.1.1. What comes in is sanitised by the house; here it only loses what has
no meaning or no business outside of Matrix.
"""

from __future__ import annotations

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

from server.i18n import _

_TAGS = {
    *("del", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "p", "a", "ul", "ol", "sup", "sub", "li", "b", "i", "u"),
    *(
        "strong",
        "em",
        "s",
        "code",
        "hr",
        "br",
        "div",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "caption",
        "pre",
        "span",
    ),
    *("details", "summary"),
}
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES = {"https", "http", "ftp", "mailto", "magnet"}
_PEOPLE = ("https://matrix.to/#/@", "https://matrix.to/#/%40", "matrix:u/")
FALLBACK_LINES = 2_000


def clean(text: str) -> str:
    """Text without NUL and lone surrogates, which neither a database nor canonical JSON can hold."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def to_matrix(html: str) -> str:
    """The house's HTML as Matrix clients show it. Pictures become their names: their files follow as events of their own."""
    tree = LexborHTMLParser(html)
    for picture in tree.css("img"):
        name = picture.attributes.get("alt") or _("picture")
        picture.replace_with(f"[{name}]")
    for title in tree.css("a[title]"):
        title.attrs["title"] = ""
    return nh3.clean(
        _inner(tree),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=_SCHEMES,
        link_rel=None,
    ).strip()


def from_matrix(html: str) -> str:
    """A `formatted_body` for the house: no quoted fallback, no ids of people, no custom pictures."""
    tree = LexborHTMLParser(html)
    for fallback in tree.css("mx-reply"):  # older clients still send it (C-S API v1.12, 11.3.5)
        fallback.decompose()
    for picture in tree.css("img"):
        picture.replace_with(picture.attributes.get("alt") or "")
    for link in tree.css("a[href]"):
        if (link.attributes.get("href") or "").startswith(_PEOPLE):
            # A mention shows the person's name; their id is an address and does not leave the room.
            link.replace_with(link.text())
    return _inner(tree).strip()


def without_fallback(text: str) -> str:
    """The text of a reply without the quotation that older clients put before it: lines of `> ` up to an empty one."""
    if not text.startswith(("> <@", "> * <@")):
        return text
    lines = text.split("\n", FALLBACK_LINES)
    kept = next((n for n, line in enumerate(lines) if not line.startswith(">")), len(lines))
    return "\n".join(lines[kept:]).lstrip("\n")


def _inner(tree: LexborHTMLParser) -> str:
    body: LexborNode | None = tree.body
    return "" if body is None else body.inner_html or ""


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "code" and name == "class":
        return value if value.startswith("language-") and " " not in value else None
    return value
