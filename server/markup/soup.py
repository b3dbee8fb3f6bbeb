"""Reads an HTML fragment into a tree in linear time and space. Knows nothing of what is allowed or of quotes.

Full HTML parsers repair misnested tags as browsers do, and some 90 KB of unclosed tags become 100 MB in them. Here each tag is
looked at once: depth, attributes and elements are capped, every element is closed inside its parent, and markup outside the
element table is dropped while its text stays. The answer is never trusted: what leaves goes through the sanitizer.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import islice

from server.markup.tree import BLOCK, PARTS, SECTIONS, VOID, Element, names

DEPTH = 50  # elements inside one another; custom clients stop at 100
ATTRIBUTES = 30  # of one tag that are looked at
VALUE_CHARS = 8_000  # a longer attribute value is dropped
ELEMENTS = 30_000  # of one fragment but for <br>; later tags are ignored, their text is not
RUN_CHARS = 20_000  # text without a tag; the sanitizer's time is quadratic in it, so what is longer gets a line break
_WORD_CHARS = 4_000  # how far back a place for it is looked for
_KEEP = names("alt class cite colspan data-smartmail dir height href id rowspan src start title type width")
_INLINE = names("a b code del em i s strong sub sup u")
_HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_BARE = SECTIONS | {"table", "tr"}  # elements that hold no words themselves
_CELLS = frozenset(("td", "th", "caption"))
_ALIAS = dict.fromkeys(
    names(
        "address article aside center dd dl dt fieldset figcaption figure footer form header legend main nav section"
    ),
    "div",
)
_ALIAS |= {"strike": "s", "ins": "u", "cite": "i", "dfn": "i", "var": "i", "image": "img", "dir": "ul", "menu": "ul"}
_ALIAS |= dict.fromkeys(("kbd", "samp", "tt"), "code") | dict.fromkeys(("listing", "xmp"), "pre")
_SILENT = {name: re.compile(f"</{name}(?=[\\s/>])", re.IGNORECASE) for name in ("script", "style", "title")}

# Possessive, so that a tag that never ends costs one look (a quote counts only after "=", as in a browser).
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]{0,40}+)((?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+)>""")
_ATTRIBUTE = re.compile(r"""([^\s=>"'/]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?+""")
_HUGE_REFERENCE = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{8,}+);?+")
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def parse(html: str) -> Element:
    """The fragment as a tree under one nameless root. Never raises; linear in the length of `html`."""
    builder = _Builder()
    place, ends = 0, dict.fromkeys(_SILENT, True)
    comments = True
    while (start := html.find("<", place)) >= 0:
        builder.text(html[place:start])
        if match := _TAG.match(html, start):
            closing, name, attributes = match.group(1), match.group(2).lower(), match.group(3)
            place = match.end()
            if closing:
                builder.end(name)
            elif name in _SILENT:
                last = _SILENT[name].search(html, place) if ends[name] else None
                ends[name] = last is not None
                place = last.start() if last else place
            else:
                builder.start(name, _attributes(attributes))
        elif html.startswith("<!--", start) and comments:
            end = html.find("-->", start + 4)
            comments = end >= 0
            place = end + 3 if comments else start + 4
        elif html[start + 1 : start + 2] in ("!", "?"):
            end = html.find(">", start)
            if end < 0:
                place = start
                break
            place = end + 1
        elif html[start + 1 : start + 2].isalpha() or html.startswith("</", start):
            place = start  # a tag that never ends: all that is left is text
            break
        else:
            builder.text("<")
            place = start + 1
    builder.text(html[place:])
    return builder.root


def decode(text: str) -> str:
    """Text with its character references resolved and without control characters."""
    if "&" in text:
        text = unescape(_HUGE_REFERENCE.sub("\ufffd", text))
    return CONTROLS.sub("", text)


def _attributes(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in islice(_ATTRIBUTE.finditer(source), ATTRIBUTES):
        name = match.group(1).lower()
        value = match.group(2) or match.group(3) or match.group(4) or ""
        if name in _KEEP and name not in found and len(value) <= VALUE_CHARS:
            found[name] = decode(value)
    return found


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self._stack = [self.root]
        self._skipped: dict[str, int] = {}
        self._elements = 0
        self._run = 0

    def text(self, source: str) -> None:
        if not source:
            return
        top = self._stack[-1]
        text = decode(source)
        if top.name in _BARE:
            if not text.strip():
                return
            top = self._cell()
        if top.name == "pre" and not top.children:
            text = text.lstrip("\n")  # a newline first in <pre> is not text, and each reading would eat one
        if self._run + len(text) <= RUN_CHARS:
            top.children.append(text)
            self._run += len(text)
        else:
            self._broken(top, text)

    def _broken(self, top: Element, text: str) -> None:
        """Put too long a run down with line breaks in it, where a line or a word ends if one does."""
        place = 0
        while len(text) - place > (room := RUN_CHARS - self._run):
            least = place + max(room - _WORD_CHARS, 0)
            end = text.rfind("\n", least, place + room)
            end = end if end >= 0 else text.rfind(" ", least, place + room)
            end = end if end >= 0 else place + room
            top.children.extend((text[place:end], Element("br")))
            self._run = 0
            place = end + (text[end] == "\n")
        top.children.append(text[place:])
        self._run += len(text) - place

    def start(self, name: str, attrs: dict[str, str]) -> None:
        name = _ALIAS.get(name, name)
        if name in PARTS:
            table = self._inside("table", frozenset())
            if table is not None:
                self._part(name, attrs, table)
                return
            name = "div"
        if name not in BLOCK and name not in _INLINE and name not in VOID:
            return
        if self._stack[-1].name in _BARE:
            self._cell()
        self._close_implied(name)
        deep = len(self._stack) >= DEPTH and name not in VOID
        if deep or (self._elements >= ELEMENTS and name != "br"):
            if name not in VOID:
                self._skipped[name] = self._skipped.get(name, 0) + 1
            if name in BLOCK:
                self.text("\n")
            return
        self._push(name, attrs)

    def end(self, name: str) -> None:
        name = _ALIAS.get(name, name)
        if name == "br":
            self.start("br", {})
        elif self._skipped.get(name):
            self._skipped[name] -= 1
            if name in BLOCK:
                self.text("\n")
        elif name in PARTS or name == "table":
            table = self._inside("table", frozenset())
            place = self._inside(name, frozenset())
            if table is not None and place is not None and place >= table:
                self._pop(place)
        elif (place := self._inside(name, _CELLS)) is not None:
            if name in _INLINE and any(above.block for above in self._stack[place + 1 :]):
                self._stack[place].closing = True
            else:
                self._pop(place)

    def _close_implied(self, name: str) -> None:
        if name in BLOCK and (place := self._inside("p", _CELLS)) is not None:
            self._pop(place)
        if name == "li" and (place := self._inside("li", _CELLS | {"ul", "ol", "blockquote"})) is not None:
            self._pop(place)
        if name in _HEADINGS and self._stack[-1].name in _HEADINGS:
            self._pop(len(self._stack) - 1)
        if name == "a" and (place := self._inside("a", _CELLS)) is not None:
            self._pop(place)

    def _part(self, name: str, attrs: dict[str, str], table: int) -> None:
        """A part of a table is put where the grammar wants it, whatever was left open."""
        parents = {"tr": SECTIONS, "td": {"tr"}, "th": {"tr"}}.get(name, frozenset())
        while len(self._stack) - 1 > table and self._stack[-1].name not in parents:
            self._stack.pop()
        if name != "caption" and name not in SECTIONS and self._stack[-1].name == "table":
            self._push("tbody", {})
        if name in ("td", "th") and self._stack[-1].name != "tr":
            self._push("tr", {})
        self._push(name, attrs)

    def _cell(self) -> Element:
        if self._stack[-1].name == "table":
            self._push("tbody", {})
        if self._stack[-1].name != "tr":
            self._push("tr", {})
        self._push("td", {})
        return self._stack[-1]

    def _inside(self, name: str, boundary: frozenset[str]) -> int | None:
        """The place of the innermost open `name` that no open element of `boundary` hides."""
        for place in range(len(self._stack) - 1, 0, -1):
            if self._stack[place].name == name:
                return place
            if self._stack[place].name in boundary:
                return None
        return None

    def _push(self, name: str, attrs: dict[str, str]) -> None:
        element = Element(name, attrs)
        self._elements += name != "br"
        self._run = 0
        self._stack[-1].children.append(element)
        if name not in VOID:
            self._stack.append(element)

    def _pop(self, place: int) -> None:
        del self._stack[place:]
        self._run = 0
        while self._stack[-1].closing:
            self._stack.pop()
