"""The lines of a plain text and the quote marks before them."""

from __future__ import annotations

from dataclasses import dataclass

from server.content import phrases


@dataclass(slots=True)
class Line:
    """A line without its quote marks, and how many it had. `credit`: it says who wrote the quote that it opens. `marks`: what was
    taken off its front."""

    depth: int
    text: str
    credit: bool = False
    marks: str = ""


def read(text: str) -> list[Line]:
    lines: list[Line] = []
    fenced = False
    sources = text.split("\n")
    for place, source in enumerate(sources):
        depth, rest = _marks(source)
        marks = source[: len(source) - len(rest)]
        if source.startswith("```"):
            fenced = not fenced
        if depth and lines and _torn(lines, rest):
            depth, rest, marks = lines[-1].depth, source, ""
        if depth and source[0] == " " and not any(near.lstrip(" ")[:1] == ">" for near in _near(sources, place)):
            depth, rest, marks = 0, source, ""  # a drawing
        lines.append(Line(0, source) if fenced else Line(depth, rest, marks=marks))
    if not any(line.depth in (1, 2) for line in lines):  # an interpreter's ">>> " is no quote
        lines = [Line(0, ">>> " + line.text) if line.depth == 3 else line for line in lines]
    return lines


def _near(lines: list[str], place: int) -> list[str]:
    return lines[max(place - 1, 0) : place] + lines[place + 1 : place + 2]


def _marks(source: str) -> tuple[int, str]:
    """How many quote marks begin the line, and the rest of it (RFC 3676 section 4.5, with spaces between the marks)."""
    place = depth = 0
    if source.startswith(" >"):
        place = 1
    while source.startswith(">", place):
        depth += 1
        place += 1
        if source.startswith(" >", place):
            place += 1
    if not depth:
        return 0, source
    return depth, source[place + 1 :] if source.startswith(" ", place) else source[place:]


def _torn(lines: list[Line], rest: str) -> bool:
    """Whether `rest` is the ">:" or "> wrote:" of an address that a mail program broke."""
    if not phrases.torn_end(rest):
        return False
    above = next((line.text for line in reversed(lines[-3:]) if line.text.strip()), "")
    return above.rfind("<") > above.rfind(">") or above.startswith("mailto:")
