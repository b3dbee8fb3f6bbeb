"""HTML between Matrix and the house, and plain text made safe for both. Pure.

Matrix's subset: Client-Server API v1.18, section 11.3.1.1. What comes in is sanitised by the house; here it is only said in the
house's words: a spoiler is a box to open, a mention is a name, a picture is a file of the message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape

import nh3

from bridges.matrix.mentions import PEOPLE, mentioned
from bridges.matrix.names import media_parts
from bridges.matrix.tags import Tag, opening, pieces
from server.i18n import _

_TAGS = {
    *("del", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "p", "a", "ul", "ol", "sup", "sub", "li", "b", "i", "u"),
    *("strong", "em", "s", "code", "hr", "br", "div", "table", "thead", "tbody", "tr", "th", "td", "caption", "pre"),
    *("span", "img", "details", "summary"),
}
_PICTURE = ("alt", "title", "width", "height")
_ATTRIBUTES = {"a": {"href"}, "ol": {"start"}, "code": {"class"}, "img": {"src", *_PICTURE}}
_SCHEMES = {"https", "http", "ftp", "mailto", "magnet", "mxc"}
FALLBACK_LINES = 2_000
PICTURES = 10  # in one message that are fetched; of others their words remain


def clean(text: str) -> str:
    """Text without NUL and lone surrogates, which neither a database nor canonical JSON can hold."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


# Outwards
def named(attributes: Mapping[str, str]) -> str:
    """A picture that is not shown, by its words."""
    return escape(f"[{attributes.get('alt') or _('picture')}]", quote=False)


def to_matrix(html: str, picture: Callable[[Mapping[str, str]], str] = named) -> str:
    """The house's HTML as Matrix clients show it. `picture` says what stands for an <img> with these attributes."""
    out: list[str] = []
    for piece in pieces(html):
        if isinstance(piece, str):
            out.append(piece)
        elif piece.name == "img":
            out.append(picture(piece.attributes))
        elif piece.name == "tfoot":  # not in the subset, and its rows must stay inside the table
            out.append("</tbody>" if piece.closing else "<tbody>")
        else:
            out.append(piece.source)
    return nh3.clean(
        "".join(out),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_attribute,
        url_schemes=_SCHEMES,
        link_rel=None,
    ).strip()


def shown(mxc: str, attributes: Mapping[str, str]) -> str:
    """A picture that the homeserver keeps, inside a text."""
    return opening("img", src=mxc, **{key: attributes.get(key, "") for key in _PICTURE})


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name not in _ATTRIBUTES.get(tag, ()):  # the cleaner lets "title" and "lang" through on everything
        return None
    if tag == "code" and name == "class":
        return value if value.startswith("language-") and " " not in value else None
    if tag == "img" and name == "src":
        return value if media_parts(value) else None
    if tag == "a" and name == "href":
        return None if value[:4].lower() == "mxc:" else value
    return value


# Inwards
@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in the middle of a text; the HTML names it `cid:CONTENT-ID`."""

    mxc: str
    words: str
    content_id: str


@dataclass(frozen=True, slots=True)
class Rich:
    """A `formatted_body` for the house. `people` are the ids of those it mentions; `hides`: it has spoilers."""

    html: str
    pictures: tuple[Picture, ...] = ()
    people: tuple[str, ...] = ()
    hides: bool = False


def from_matrix(html: str) -> Rich:
    """No quoted fallback, no link to a person's id, no address of a homeserver."""
    return _Inwards(html).rich()


class _Inwards:
    """One pass over the tags of a formatted_body."""

    def __init__(self, html: str) -> None:
        self._out: list[str] = []
        self._pictures: dict[str, Picture] = {}
        self._people: dict[str, None] = {}
        self._spoilers: list[bool] = []
        self._pill = self._hides = False
        # Older clients put the quotation of a reply there (until v1.12, 11.3.5); one that never ends is no such thing.
        quotation = "</mx-reply" in html.lower()
        skipping = False
        for piece in pieces(html):
            if isinstance(piece, Tag) and piece.name == "mx-reply":
                skipping, quotation = quotation and not piece.closing, False
            elif not skipping:
                self._out.append(piece if isinstance(piece, str) else self._tag(piece))

    def rich(self) -> Rich:
        return Rich("".join(self._out).strip(), tuple(self._pictures.values()), tuple(self._people), self._hides)

    def _tag(self, tag: Tag) -> str:
        match tag.name:
            case "img":
                return self._picture(tag.attributes)
            case "a":
                return self._link(tag)
            case "span":
                return self._span(tag)
            case _:
                return tag.source

    def _picture(self, attributes: Mapping[str, str]) -> str:
        source, words = attributes.get("src", ""), attributes.get("alt") or attributes.get("title") or ""
        if media_parts(source) is None:
            return opening("img", src=source, alt=words) if source[:4].lower() == "http" else escape(words, quote=False)
        known = self._pictures.get(source)
        if "data-mx-emoticon" in attributes or (known is None and len(self._pictures) >= PICTURES):
            return escape(words, quote=False)
        if known is None:
            digest = hashlib.sha256(source.encode()).hexdigest()[:24]
            known = self._pictures[source] = Picture(source, words, f"{digest}@picture")
        return shown(f"cid:{known.content_id}", attributes)

    def _link(self, tag: Tag) -> str:
        if tag.closing:
            pill, self._pill = self._pill, False
            return "" if pill else tag.source
        person = mentioned(tag.attributes.get("href", ""))
        self._pill = person is not None
        if person is not None and len(self._people) < PEOPLE:
            self._people[person] = None
        # A mention shows the person's name; their id is an address and does not leave the room.
        return "" if self._pill else tag.source

    def _span(self, tag: Tag) -> str:
        if tag.closing:
            return "</details>" if self._spoilers and self._spoilers.pop() else tag.source
        spoiler = "data-mx-spoiler" in tag.attributes
        self._spoilers.append(spoiler)
        if not spoiler:
            return tag.source
        self._hides = True
        reason = tag.attributes["data-mx-spoiler"]
        words = _("Spoiler: {reason}").format(reason=reason) if reason else _("Spoiler")
        return f"<details><summary>{escape(words, quote=False)}</summary>"


def without_fallback(text: str) -> str:
    """The text of a reply without the quotation that older clients put before it: lines of `> ` up to an empty one."""
    if not text.startswith(("> <@", "> * <@")):
        return text
    lines = text.split("\n", FALLBACK_LINES)
    kept = next((n for n, line in enumerate(lines) if not line.startswith(">")), len(lines))
    return "\n".join(lines[kept:]).lstrip("\n")
