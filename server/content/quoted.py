"""Quotes and signatures in the HTML that mail programs write. Works on the tree, before the sanitizer takes the classes away.

It only renames and wraps what is there, for fold and reader; `fold` is the one that leaves something out.
"""

from __future__ import annotations

from collections.abc import Sequence

from server.content import phrases, signatures
from server.content.quotes import Kind, shown
from server.markup.reading import CREDIT, PEEK_NODES, peek
from server.markup.tree import Element, Node, blank, names, walk

_PLACES = names("blockquote details div h1 h2 h3 h4 h5 h6 hr ol p pre table ul")
_CREDIT_CLASSES = ("moz-cite-prefix", "gmail_attr", "moz-email-headers-table")
_SIGNATURE_CLASSES = ("gmail_signature", "moz-signature", "protonmail_signature_block", "signature")
_SIGNATURE_IDS = ("Signature", "AppleMailSignature", "ms-outlook-mobile-signature", "x_Signature")
_SIGNATURE_MARKS = ("--", "\u2014")
_QUOTE_CLASSES = ("gmail_quote", "protonmail_quote", "yahoo_quoted", "quote", "zmail_extra")
_OUTLOOK_IDS = ("divRplyFwdMsg", "x_divRplyFwdMsg", "OLK_SRC_BODY_SECTION", "mail-editor-reference-message-container")


def mark(root: Element) -> None:
    """Make every quote a <blockquote class="quote"> with its attribution inside, every signature a <div class="signature">."""
    settled: set[int] = set()  # elements in which nothing is looked for any more
    for element in walk(root):
        if id(element) in settled:
            settled.update(id(child) for child in element.children)
        else:
            element.children = _regroup(element.children, settled)


def _regroup(children: Sequence[Node], settled: set[int]) -> list[Node]:
    out: list[Node] = []
    for place, child in enumerate(children):
        near = children[place : place + PEEK_NODES]
        if isinstance(child, str):
            if child.strip() in _SIGNATURE_MARKS and _alone(children, place) and _short(children, place):
                return [*out, *_sign(children[place:], settled)]
        elif child.name in _PLACES:
            words = peek([child])
            if phrases.forwards(words):
                settled.update(id(later) for later in children[place:])
                return [*out, *children[place:]]
            if _original(child, words, near[1:]):
                return [*_without_rules(out), _original_quote(children[place:], settled)]
            mark = words.split("\n", 1)[0].strip()
            if (mark in _SIGNATURE_MARKS and _short(children, place)) or (
                mark.startswith("_____") and _footer(children[place:])
            ):
                return [*out, *_sign(children[place:], settled)]
            out.append(_named(child, words, out, settled))
            continue
        elif child.name in ("b", "strong") and phrases.header_block(peek(near).split("\n")):
            return [*_without_rules(out), _original_quote(children[place:], settled)]
        out.append(child)
    return out


def _named(child: Element, words: str, before: list[Node], settled: set[int]) -> Element:
    """The child itself, or what stands for it: a quote (its attribution is taken off the end of `before`) or a signature."""
    cited = child.has("quote") or child.attrs.get("type") == "cite" or any(map(child.has, _QUOTE_CLASSES))
    if child.name == "blockquote" or (child.name == "div" and cited and not _holds_quote(child)):
        credit = _credit(before)
        if credit or cited:
            opening: list[Node] = [Element("div", {"class": CREDIT}, credit)] if credit else []
            return _quote([*opening, *child.children])
    signed = any(map(child.has, _SIGNATURE_CLASSES)) or child.attrs.get("id") in _SIGNATURE_IDS
    if signed or "data-smartmail" in child.attrs or ("\n" not in words and phrases.sent_with(words)):
        return _signature([child], settled)
    return child


def _original_quote(nodes: Sequence[Node], settled: set[int]) -> Element:
    quote = _quote(list(nodes))
    settled.add(id(quote))
    return quote


def _signature(nodes: list[Node], settled: set[int]) -> Element:
    signature = Element("div", {"class": "signature"}, nodes)
    settled.add(id(signature))
    return signature


def _quote(children: list[Node]) -> Element:
    return Element("blockquote", {"class": "quote"}, children)


def _holds_quote(element: Element) -> bool:
    """Whether the container holds a quote of its own, near enough to be what it was made for."""
    near = [child for child in element.children[:PEEK_NODES] if isinstance(child, Element)]
    near += [child for outer in near for child in outer.children[:4] if isinstance(child, Element)]
    return any(child.name == "blockquote" for child in near)


def _original(child: Element, words: str, after: Sequence[Node]) -> bool:
    """Whether the header of an original begins here that goes on to the end, as Outlook writes it."""
    if child.attrs.get("id") in _OUTLOOK_IDS:
        return True
    lines = words.split("\n")
    if phrases.original_follows(lines[0]):
        return True
    return phrases.header_block(lines) and bool(peek(after).strip() or len(lines) > 4)


def _credit(before: list[Node]) -> list[Node]:
    """Take the attribution off the end of `before`: the block or the line that says who wrote what follows."""
    end = len(before)
    while end and len(before) - end < 6 and _blank(before[end - 1]):
        end -= 1
    start = end
    while start and end - start < 12:
        node = before[start - 1]
        if isinstance(node, Element) and (node.block or node.name == "br"):
            break
        start -= 1
    if start == end and end:
        start -= 1
    nodes = before[start:end]
    known = len(nodes) == 1 and isinstance(nodes[0], Element) and any(map(nodes[0].has, _CREDIT_CLASSES))
    lines = [line for line in peek(nodes).split("\n") if line.strip()]
    fits = 0 < len(lines) <= 4 and phrases.introduces(" ".join(lines))
    if not known and not (fits and (len(lines) == 1 or phrases.begins_attribution(lines[0]))):
        return []
    del before[start:]
    return nodes


def _blank(node: Node) -> bool:
    if isinstance(node, str):
        return not node.strip()
    return blank(node)


def _without_rules(before: list[Node]) -> list[Node]:
    """Without the line that Outlook draws above an original."""
    while before and ((isinstance(before[-1], Element) and before[-1].name == "hr") or before[-1] == "\n"):
        before.pop()
    return before


def _alone(children: Sequence[Node], place: int) -> bool:
    """Whether the text at `place` is a line of its own."""
    sides = (children[place - 1] if place else None, children[place + 1] if place + 1 < len(children) else None)
    return all(side is None or (isinstance(side, Element) and (side.block or side.name == "br")) for side in sides)


def _short(children: Sequence[Node], place: int) -> bool:
    return (
        len(children) - place <= 2 * signatures.MOST_LINES
        and len(peek(children[place:]).split("\n")) <= signatures.MOST_LINES
    )


def _footer(nodes: Sequence[Node]) -> bool:
    """Whether a drawn line and a few words are all there is to the end, as lists append them; not the header of an original."""
    if len(nodes) > 2 * signatures.FOOTER_LINES:
        return False
    line, *below = [line for line in peek(nodes).split("\n") if line.strip()]
    return phrases.rule(line) and signatures.footer(below) and not phrases.header_block(below)


def _sign(nodes: Sequence[Node], settled: set[int]) -> list[Node]:
    """The nodes as a signature, but from the first quote or container of quotes on they are looked at like any others."""
    end = 1
    while end < len(nodes):
        node = nodes[end]
        if isinstance(node, Element) and (
            node.name == "blockquote" or any(map(node.has, _QUOTE_CLASSES + _CREDIT_CLASSES))
        ):
            break
        end += 1
    return [_signature(list(nodes[:end]), settled), *_regroup(nodes[end:], settled)]


def fold(root: Element) -> bool:
    """Leave out what is not fresh; True if anything was. The tree must have been marked."""
    found: list[tuple[Kind, bool, Element | None]] = []
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str) or node.name == "img":
            if (not isinstance(node, str) or node.strip()) and (not found or found[-1][0] is not Kind.WORDS):
                found.append((Kind.WORDS, False, None))
        elif node.name == "blockquote" and node.has("quote"):
            found.append((Kind.QUOTE, _attributed(node), node))
        elif node.has("signature"):
            found.append((Kind.SIGNATURE, False, node))
        else:
            waiting.extend(reversed(node.children))
    keep = shown([(kind, attributed) for kind, attributed, _ in found])
    if not any(kind is Kind.WORDS for kind, _, _ in found) or all(kind is Kind.WORDS for kind, _, _ in found):
        return False
    gone = {id(node) for (_, _, node), stays in zip(found, keep, strict=True) if not stays}
    for element in walk(root):
        quote = element.has("quote")
        element.children = [
            child
            for child in element.children
            if not (isinstance(child, Element) and (id(child) in gone or (quote and child.has(CREDIT))))
        ]
    _trim(root)
    return True


def _attributed(quote: Element) -> bool:
    first = next((child for child in quote.children if isinstance(child, Element)), None)
    return (first is not None and first.has(CREDIT)) or phrases.introduces(peek(quote.children).split("\n", 1)[0])


def _trim(root: Element) -> None:
    """Take away the empty lines that the folded parts leave at the end."""
    element = root
    while element.children:
        last = element.children[-1]
        if blank(last):
            element.children.pop()
        elif isinstance(last, Element) and not last.has("quote"):
            element = last
        else:
            return
