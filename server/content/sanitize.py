"""What may be shown: the one sanitizer of HTML, and of single lines. Knows nothing of quotes, pages or bridges.

The allow-list stays near the HTML that Matrix clients accept (client-server API, m.room.message: 50 elements deep here, 100 there).
"""

from __future__ import annotations

import re
import unicodedata
from html import escape
from urllib.parse import urlsplit

import nh3

from server.i18n import _
from server.markup import soup
from server.markup.tree import Element, Node, events, names, serialise, walk

_ROUNDS = 4
REL = "nofollow noopener ugc"
_BLOB = re.compile(r"blob:[0-9a-f]{64}\Z")
_LANGUAGE = re.compile(r"language-[A-Za-z0-9_+#.-]{1,40}\Z")
_NUMBER = re.compile(r"[0-9]{1,4}\Z")
_OWN_CLASSES = {"blockquote": "quote", "div": "signature"}
_TAGS = names(
    "a b blockquote br caption code del details div em h1 h2 h3 h4 h5 h6 hr i img li ol p pre s strong sub summary sup table "
    "tbody td tfoot th thead tr u ul"
)
_ATTRIBUTES = {
    "*": {"dir"},
    "a": {"href", "title"},
    "blockquote": {"class"},
    "code": {"class"},
    "div": {"class"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan"},
}


def _filter(tag: str, attribute: str, value: str) -> str | None:
    """The value that an allowed attribute may have, or None."""
    if attribute == "class":
        if tag == "code":
            return next((name for name in value.split() if _LANGUAGE.match(name)), None)
        own = _OWN_CLASSES.get(tag)
        return own if own is not None and own in value.split() else None
    if attribute == "rel":
        return REL
    if attribute == "href":
        return value if link(value) else None
    if attribute == "src":
        return value if _BLOB.match(value) else None
    if attribute == "dir":
        return value.lower() if value.lower() in ("ltr", "rtl", "auto") else None
    if attribute in ("title", "alt"):
        return value
    return value if _NUMBER.match(value) else None


_CLEANER = nh3.Cleaner(
    tags=set(_TAGS),
    attributes=_ATTRIBUTES,
    attribute_filter=_filter,
    url_schemes={"http", "https", "mailto", "blob"},
    url_relative="deny",
    link_rel=REL,
)


def clean(html: str) -> str:
    """The HTML with nothing in it but what is allowed. Cleaning it again changes nothing.

    Links go to http, https and mailto only; pictures are `blob:HASH`, any other becomes a link or its words. A markup so odd that
    it reads differently each time comes out as its bare text. Linear, but slow enough for a megabyte that its length is the
    caller's to bound.
    """
    html = tidy(html)
    for _round in range(_ROUNDS):
        tree = soup.parse(html)
        _pictures(tree)
        cleaned = _CLEANER.clean(serialise(tree))
        if cleaned == html:
            return cleaned
        html = cleaned
    words = "".join(node for kind, node in events(soup.parse(html)) if isinstance(node, str))
    return f"<pre>{escape(words.strip(), quote=False)}</pre>"


def clean_own(html: str) -> str:
    """As `clean`, for what we wrote ourselves from text, well-formed and without a picture: once through the cleaner."""
    return _CLEANER.clean(html)


def link(url: str) -> bool:
    """Whether a reader may be sent there: an absolute http, https or mailto URL."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    if parts.scheme == "mailto":
        return bool(parts.path)
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def _pictures(tree: Element) -> None:
    """Every picture that is not one of ours becomes a link that a reader may follow or not: nothing remote is loaded."""
    linked: set[int] = set()
    for element in walk(tree):
        inside = element.name == "a" or id(element) in linked
        kept: list[Node] = []
        for child in element.children:
            if isinstance(child, Element) and inside:
                linked.add(id(child))
            if isinstance(child, Element) and child.name == "img":
                kept.extend(_picture(child, inside))
            else:
                kept.append(child)
        element.children = kept


def _picture(image: Element, linked: bool) -> list[Node]:
    source, words = image.attrs.get("src", "").strip(), " ".join(image.attrs.get("alt", "").split())[:200]
    if _BLOB.match(source):
        return [image]
    if all(image.attrs.get(side) in ("0", "1") for side in ("width", "height")):
        return []  # a tracking pixel
    if source[:4].lower() == "http" and link(source):
        words = _("remote image: {words}").format(words=words) if words else _("remote image")
        return [words] if linked else [Element("a", {"href": source}, [words])]
    return [words] if words else []


def tidy(text: str) -> str:
    """Text with LF line ends and without control characters and lone surrogates, which no database and no page takes."""
    return soup.CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def plain_line(text: str, limit: int) -> str:
    """One line of at most `limit` characters, for a name or a subject: no controls, line ends or marks that turn the text around."""
    flat = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text[: limit * 8])
    kept = "".join(c for c in flat if unicodedata.category(c) not in ("Cs", "Cn", "Co") and c not in _TURNING)
    line = " ".join(kept.split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


_TURNING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Bidirectional controls (UAX 9): in a name they can make the end of a line read as its beginning."""
