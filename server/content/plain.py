"""Plain text as HTML: paragraphs, code and tables left as they were typed, quotes inside one another, links. Quoting itself is
found elsewhere (`quotes`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby, pairwise

from server.content.lines import Line
from server.content.quotes import Kind, Piece
from server.content.sanitize import REL, link

QUOTE_DEPTH = 20  # what is quoted more often stands at this depth
WRAP_COLUMNS = 50  # lines shorter than this are not wrapped prose
_URL = re.compile(r"(?<!\w)https?://[^\s<>\"]{1,2000}")
_NO_SIGNS = bytes(code for code in range(128) if chr(code).isalnum() or chr(code).isspace())
_ALIGNED = re.compile(r"\S {3}")
_INDENT = re.compile(r" {1,40}")
_WIDE = re.compile("[\u2e80-\uffdc]")
_ITEM = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s")


def to_html(pieces: Sequence[Piece]) -> str:
    """The pieces of a text as HTML: quotes in <blockquote class="quote">, a signature in <div class="signature">."""
    out: list[str] = []
    for piece in pieces:
        if piece.kind is Kind.WORDS:
            out.extend(_blocks([line.text for line in piece.lines]))
        elif piece.kind is Kind.SIGNATURE:
            out.append(f'<div class="signature">{"<br>".join(_inline(line.text) for line in piece.lines)}</div>')
        else:
            out.extend(_quote(piece.lines))
    return "\n".join(out)


def _quote(lines: Sequence[Line]) -> Iterator[str]:
    depth = 0
    for (wanted, _), group in groupby(lines, key=lambda line: (min(max(line.depth, 1), QUOTE_DEPTH), line.credit)):
        while depth < wanted:
            depth += 1
            yield '<blockquote class="quote">'
        while depth > wanted:
            depth -= 1
            yield "</blockquote>"
        yield from _blocks([line.text for line in group])
    yield from ["</blockquote>"] * depth


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    """Paragraphs, and <pre> for runs of paragraphs in which columns matter."""
    code: list[str] = []
    for paragraph in _paragraphs(lines):
        if _columns_matter(paragraph):
            code.extend(["", *paragraph] if code else paragraph)
            continue
        if code:
            yield _pre(code)
            code = []
        yield f"<p>{_prose(paragraph)}</p>"
    if code:
        yield _pre(code)


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines between empty lines; a ``` fence and a patch are one, whatever is in them."""
    held: list[str] = []
    whole = ""  # what the held lines are a part of
    for place, line in enumerate(lines):
        if not whole and (line.startswith("```") or _patch_begins(lines, place)):
            if held:
                yield held
            held, whole = [], "fence" if line.startswith("```") else "patch"
            held.append(line)
        elif whole == "fence" and line.startswith("```"):
            yield [*held, line]
            held, whole = [], ""
        elif whole or line.strip():
            held.append(line)
        elif held:
            yield held
            held = []
    if any(line.strip() for line in held):
        yield held


def _patch_begins(lines: Sequence[str], place: int) -> bool:
    below = lines[place + 1] if place + 1 < len(lines) else ""
    return lines[place].startswith("diff --git ") or (lines[place].startswith("--- ") and below.startswith("+++ "))


def _columns_matter(paragraph: Sequence[str]) -> bool:
    if paragraph[0].startswith("```") or _patch_begins(paragraph, 0):
        return True
    marked = sum(
        line.startswith(("    ", "\t", "|", "+-")) or "\t" in line or _ALIGNED.search(line) is not None
        for line in paragraph
    )
    if len(paragraph) > 2 and _drawn("".join(paragraph)):
        return True
    return 2 * marked >= len(paragraph) if len(paragraph) > 1 else paragraph[0].startswith(("    ", "\t"))


def _drawn(text: str) -> bool:
    """Whether there are more signs than letters in it, as in a picture of letters and in hardly any sentence."""
    if not text.isascii():
        return False
    signs = len(text.encode("ascii").translate(None, _NO_SIGNS))
    return 2 * signs > len(text) - text.count(" ")


def _pre(lines: list[str]) -> str:
    while lines and not lines[-1].strip():
        lines.pop()
    return f"<pre><code>{_linked(chr(10).join(lines))}</code></pre>"


def _prose(lines: Sequence[str]) -> str:
    """Lines of wrapped prose flow together again; any other line break is kept."""
    glue = "\n" if _wrapped(lines) else "<br>"
    return glue.join(_inline(line) for line in lines)


def _wrapped(lines: Sequence[str]) -> bool:
    width = max(len(line) for line in lines)
    if width < WRAP_COLUMNS or len(lines) < 2:
        return False
    for line, following in pairwise(lines):
        first = following.split(" ", 1)[0]
        if len(line.rstrip()) + 1 + len(first) <= width - 6 or _ITEM.match(following) or _WIDE.search(line):
            return False
        if len(line) < WRAP_COLUMNS or following.startswith((" ", "\t")):
            return False
    return True


def _inline(line: str) -> str:
    """One line of prose; the spaces at its beginning are kept."""
    line = line.rstrip()
    indent = _INDENT.match(line)
    if indent is None:
        return _linked(line)
    return "&nbsp;" * indent.end() + _linked(line[indent.end() :])


def _linked(text: str) -> str:
    """Text as HTML in which absolute web addresses are links."""
    if "://" not in text:
        return escape(text, quote=False)
    out: list[str] = []
    place = 0
    for match in _URL.finditer(text):
        url = _trimmed(match.group())
        if not link(url):
            continue
        shown = escape(url, quote=False)
        out.append(f'{escape(text[place : match.start()], quote=False)}<a href="{escape(url)}" rel="{REL}">{shown}</a>')
        place = match.start() + len(url)
    out.append(escape(text[place:], quote=False))
    return "".join(out)


def _trimmed(url: str) -> str:
    """Without the marks of the sentence around it; a bracket stays if it was opened inside."""
    while url:
        last = url[-1]
        opening = {")": "(", "]": "["}.get(last)
        if last not in ".,;:!?'*_" and (opening is None or url.count(last) <= url.count(opening)):
            break
        url = url[:-1]
    return url
