"""An HTML tree as plain text that reads well: quotes with "> ", lists with their marks, links with their addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable

from server import limits
from server.markup.tree import Element, Node, events, names

PEEK_CHARS = 600
PEEK_NODES = 60
LIST_DIGITS = 4  # of the number that a list begins with
MARKS = 10  # quote marks that a line gets at most
_SPACE = re.compile(r"[ \t\n\r\f\xa0]+")
_APART = names("blockquote h1 h2 h3 h4 h5 h6 ol p pre table ul")  # an empty line stands before and after
CREDIT = "junto-credit"
"""The class of the line inside a quote that tells who wrote it; it is inside the tree only, the sanitizer drops it."""


def to_text(root: Element) -> str:
    """The words of the tree in the order of reading. Bounded by the size of the tree."""
    writer = _Writer()
    for kind, node in events(root):
        if isinstance(node, str):
            writer.text(node)
        elif kind == "open":
            writer.open(node)
        else:
            writer.close(node)
    return writer.whole()


def peek(nodes: Iterable[Node]) -> str:
    """The first words of the nodes, with a line feed where a block or a <br> begins; bounded in characters and nodes."""
    out: list[str] = []
    size = 0
    seen = 0
    waiting = list(nodes)[:PEEK_NODES][::-1]
    while waiting and size < PEEK_CHARS and seen < PEEK_NODES:
        node = waiting.pop()
        seen += 1
        if isinstance(node, str):
            text = " ".join(node[:PEEK_CHARS].split())
            spaced = (" " if node[:1].isspace() else "") + text + (" " if node[-1:].isspace() and text else "")
            out.append(spaced)
            size += len(spaced)
        elif node.name == "img":
            out.append("\ufffc")
        else:
            if node.block or node.name == "br":
                out.append("\n")
            if node.block:
                waiting.append(Element("br"))
            waiting.extend(node.children[:PEEK_NODES][::-1])
    if waiting:
        out.append("\n\ufffc")
    lines = (line.strip() for line in "".join(out).split("\n"))
    return "\n".join(line for line in lines if line)


class _Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._pre = 0
        self._lists: list[int | None] = []  # the next number of each open list; None: no numbers
        self._links: list[int] = []  # where in the line the text of each open link begins
        self._gap = False
        self._lead = ""

    def text(self, text: str) -> None:
        if self._pre:
            first, *rest = text.split("\n")
            self._line.append(first)
            for line in rest:
                self._end_line()
                self._line.append(line)
            return
        text = _SPACE.sub(" ", text)
        if not self._line or self._line[-1].endswith((" ", "\n")):
            text = text.lstrip(" ")
        if text:
            self._line.append(text)

    def open(self, element: Element) -> None:
        name = element.name
        if name == "br":
            self._end_line()
        elif name == "hr":
            self._flush(apart=True)
            self._line.append("---")
            self._flush(apart=True)
        elif name == "img" and element.attrs.get("alt"):
            self.text(f"[{element.attrs['alt']}]")
        elif name in ("td", "th") and self._line:
            self._line.append(" | ")
        elif name == "a":
            self._links.append(len(self._line))
        elif element.block and name not in ("td", "th"):
            self._flush(apart=name in _APART and not (name in ("ul", "ol") and self._lists))
        self._enter(element)

    def _enter(self, element: Element) -> None:
        name = element.name
        if name == "blockquote":
            self._quotes += 1
        elif name == "pre":
            self._pre += 1
        elif name == "ul":
            self._lists.append(None)
        elif name == "ol":
            start = element.attrs.get("start", "1")
            first = limits.whole_number(start, LIST_DIGITS)
            self._lists.append(1 if first is None else first)
        elif name == "li":
            number = self._lists[-1] if self._lists else None
            if number is not None:
                self._lists[-1] = number + 1
            self._lead = "  " * min(max(len(self._lists) - 1, 0), 8) + ("- " if number is None else f"{number}. ")
        elif element.has(CREDIT):
            self._quotes -= 1
        elif element.has("signature") and not peek([element]).startswith("--"):
            self._line.append("-- ")
            self._end_line()

    def close(self, element: Element) -> None:
        name = element.name
        if name == "a" and self._links:
            self._target(element.attrs.get("href", ""), self._links.pop())
        if name in ("td", "th") or not element.block:
            return
        self._flush(apart=name in _APART and not (name in ("ul", "ol") and len(self._lists) > 1))
        if name == "blockquote":
            self._quotes -= 1
        elif name == "pre":
            self._pre -= 1
        elif name in ("ul", "ol"):
            self._lists.pop()
        elif element.has(CREDIT):
            self._quotes += 1
            self._gap = False

    def _target(self, url: str, start: int) -> None:
        words = "".join(self._line[start:]).strip()
        if url and url.removeprefix("mailto:").rstrip("/") not in (words, words.rstrip("/")):
            self._line.append(f" <{url}>")

    def _flush(self, *, apart: bool) -> None:
        if "".join(self._line).strip():
            self._end_line()
        self._line.clear()
        self._links = [0] * len(self._links)
        self._gap = self._gap or apart

    def _end_line(self) -> None:
        text = "".join(self._line).rstrip() if self._line != ["-- "] else "-- "
        mark = ">" * min(self._quotes, MARKS)
        if self._gap and self._lines:
            self._lines.append(mark if self._lines[-1].startswith(">") else "")
        self._gap = False
        text, self._lead = self._lead + text, ""
        self._lines.append(f"{mark} {text}".rstrip() if mark else text)
        self._line.clear()
        self._links = [0] * len(self._links)

    def whole(self) -> str:
        self._flush(apart=False)
        return "\n".join(self._lines).strip("\n")
