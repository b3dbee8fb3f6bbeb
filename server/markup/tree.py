"""An HTML fragment as a tree: its elements, ways to walk through it without recursion, and back to HTML."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape


def names(words: str) -> frozenset[str]:
    """The set of the words of a line."""
    return frozenset(words.split())


VOID = names("br hr img")
BLOCK = names("blockquote details div h1 h2 h3 h4 h5 h6 hr li ol p pre summary table ul")
SECTIONS = frozenset(("tbody", "thead", "tfoot"))
PARTS = SECTIONS | {"tr", "td", "th", "caption"}


class Element:
    """An element with its attributes and children; a child that is a str is text, with no entities in it."""

    __slots__ = ("attrs", "children", "closing", "name")

    def __init__(self, name: str, attrs: dict[str, str] | None = None, children: list[Node] | None = None) -> None:
        self.name = name
        self.attrs = attrs if attrs is not None else {}
        self.children: list[Node] = children if children is not None else []
        self.closing = False  # its end tag came while a block inside it was still open

    @property
    def block(self) -> bool:
        """Whether it stands on lines of its own."""
        return self.name in BLOCK or self.name in PARTS

    def has(self, mark: str) -> bool:
        """Whether `mark` is one of its classes."""
        return mark in self.attrs.get("class", "").split()


Node = Element | str


def walk(root: Element) -> Iterator[Element]:
    """Every element under `root` and itself, parents first; children may be replaced while their parent is being looked at."""
    waiting = [root]
    while waiting:
        element = waiting.pop()
        yield element
        waiting.extend(child for child in reversed(element.children) if isinstance(child, Element))


def events(root: Element) -> Iterator[tuple[str, Node]]:
    """("open", element), ("text", str) and ("close", element) in the order of reading, without recursion."""
    waiting: list[tuple[str, Node]] = [("open", root)]
    while waiting:
        kind, node = waiting.pop()
        yield kind, node
        if kind == "open" and isinstance(node, Element):
            waiting.append(("close", node))
            waiting.extend(("text" if isinstance(c, str) else "open", c) for c in reversed(node.children))


def blank(node: Node) -> bool:
    """Whether there is neither a word nor a picture in it."""
    return not any(
        inner.strip() if isinstance(inner, str) else inner.name == "img"
        for _, inner in events(Element("", children=[node]))
    )


def serialise(root: Element) -> str:
    """The tree as HTML; the root itself has no tag."""
    out: list[str] = []
    for kind, node in events(root):
        if isinstance(node, str):
            out.append(escape(node, quote=False))
        elif not node.name:
            continue
        elif kind == "open":
            attrs = "".join(f' {key}="{escape(value)}"' for key, value in node.attrs.items())
            out.append(f"<{node.name}{attrs}>")
        elif node.name not in VOID:
            out.append(f"</{node.name}>")
    return "".join(out)
