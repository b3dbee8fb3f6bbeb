"""Who wrote what is quoted: lines that tell it, above quotes with marks and above originals that were put there without any."""

from __future__ import annotations

import re
from itertools import pairwise

from server.content import phrases
from server.content.lines import Line

ATTRIBUTION_LINES = 5
PATCH_LINES = 200  # from its header to its first change
_MOST = phrases.ATTRIBUTION_CHARS
_TRAILER = re.compile(r"[A-Z][\w-]{1,30}: ")  # "Signed-off-by: Ana", "Fixes: 1234": no part of an attribution
_OTHER_MARKS = frozenset(("% ", "| ", ": ", "# ", "} "))  # some quote by these: then what bears none is not quoted


def credit_marked(lines: list[Line]) -> None:
    """Lines right above a deeper quote that tell who wrote it become its first lines."""
    spoken = [place for place, line in enumerate(lines) if line.text.strip()]
    for last, below in pairwise(spoken):
        depth = lines[last].depth
        if below - last > 5 or lines[below].depth < depth or lines[last].credit:
            continue
        barred = _barred(lines, last, below) if lines[below].depth == depth else 0
        if not barred and lines[below].depth == depth:
            continue
        first = _attribution(lines, last)
        if first is None:
            continue
        for place in range(first, below):
            lines[place].credit = place <= last
            lines[place].depth = max(lines[place].depth, depth + 1)
        for line in lines[below : below + barred]:
            line.depth += 1


def _barred(lines: list[Line], above: int, start: int) -> int:
    """How many lines from `start` are marked in another way: "| " or the name of somebody ("AB> "); none where the one above is too."""
    first = lines[start]
    name, sign, _rest = first.text[:16].partition(">")
    mark = name + sign if sign and name.isalpha() else "|"
    if lines[above].text.startswith(mark):
        return 0  # it stands inside of that run, which was counted from its first line
    count = 0
    while start + count < len(lines):
        line = lines[start + count]
        if line.depth != first.depth or not line.text.startswith(mark):
            break
        count += 1
    return count


def _attribution(lines: list[Line], last: int) -> int | None:
    """The first line of the attribution above a marked quote that ends with line `last`, or None."""
    found = None
    joined = ""
    for first in range(last, max(last - ATTRIBUTION_LINES, -1), -1):
        line = lines[first]
        if line.depth != lines[last].depth or not line.text.strip() or line.credit or len(line.text) > _MOST:
            break
        if first < last and line.text.rstrip()[-1] in ".!?" and not phrases.torn_end(joined):
            break
        joined = _join_lines(line.text, joined)
        if phrases.introduces(joined):
            if phrases.begins_attribution(line.text):
                return first
            if found is None or (phrases.torn_end(lines[found].text) and phrases.evident(joined)):
                found = first
    return found


def _join_lines(line: str, below: str) -> str:
    """An attribution that was broken into lines, whole again: an address was broken right behind its bracket."""
    return f"{line}{below}".strip() if line.endswith("<") else f"{line} {below}".strip()


def find_unmarked(lines: list[Line]) -> None:
    """An original that was put below the answer without marks: from its announcement on, all lines are a quote.

    Where what was announced has marks after all, or was cut, or is all there is, the announcement alone tells whom the rest is from.
    """
    said = False
    bare = _bare_below(lines)
    for place, line in enumerate(lines):
        if line.depth or not line.text.strip():
            continue
        start = _announcement(lines, place) if line.text[:2] not in _OTHER_MARKS else None
        if start is None:
            said = True
            continue
        attribution = phrases.ends_attribution(line.text)
        end = place + 1 if attribution else _block_end(lines, place)
        if (_elided(lines, place) or bare[place]) if attribution else _marked_below(lines, end):
            _credit(lines, start, end)
        elif said:
            for later in lines[start : place + 1]:
                later.credit = bool(later.text.strip())
            for later in lines[start:]:
                later.depth += 1
            return
        elif attribution:
            _credit(lines, start, end)


def _credit(lines: list[Line], start: int, end: int) -> None:
    first = next(place for place in range(start, end) if lines[place].text.strip())
    for line in lines[first:end]:
        line.depth, line.credit = 1, True


def _block_end(lines: list[Line], place: int) -> int:
    """Where the lines end that stand together from `place` on, those of a header."""
    last = min(place + phrases.FIELD_LINES + 1, len(lines))
    return next((end for end in range(place, last) if not lines[end].text.strip() or lines[end].depth), last)


def _marked_below(lines: list[Line], end: int) -> bool:
    """Whether the first words from `end` on bear marks: then the author answers among them."""
    return next((bool(line.marks) for line in lines[end : end + 4] if line.text.strip()), False)


def _bare_below(lines: list[Line]) -> list[bool]:
    """For each line whether an attribution there is about the next marked quote, so that what stands between them is the first answer.

    It is, unless that quote has an attribution without marks of its own: then both are of an original that was put there whole.
    """
    found: list[bool] = []
    bare = False
    for line in reversed(lines):
        found.append(bare)
        if line.depth:
            bare = bool(line.marks)
    return found[::-1]


def _elided(lines: list[Line], place: int) -> bool:
    """Whether an attribution that ends with line `place` stands above a mark for what was left out, which becomes its quote.

    Whoever cuts a quote answers what is left of it, so the answer is below.
    """
    below = next((later for later in range(place + 1, min(place + 4, len(lines))) if lines[later].text.strip()), None)
    if below is None or lines[below].depth or not phrases.elision(lines[below].text):
        return False
    for line in lines[place + 1 : below + 1]:
        line.depth = 1
    return True


def _announcement(lines: list[Line], place: int) -> int | None:
    """Where the announcement starts that ends with line `place`, or whose header block begins there."""
    text = lines[place].text
    start: int | None = None
    if phrases.original_follows(text):
        start = place
    elif phrases.header_block([line.text for line in lines[place : place + phrases.FIELD_LINES]]):
        if not any(phrases.forwards(line.text) for line in lines[max(place - 3, 0) : place]) and not _patch(
            lines, place
        ):
            start = place
    elif phrases.ends_attribution(text):
        start = _unmarked_attribution(lines, place)
    while start and not lines[start - 1].depth:
        above = lines[start - 1].text
        if above.strip() and not phrases.rule(above):
            break
        start -= 1
    return start


def _patch(lines: list[Line], place: int) -> bool:
    """Whether the header block at `place` is that of a patch, which an author put there to be read."""
    if phrases.addressed([line.text for line in lines[place : place + phrases.FIELD_LINES]]):
        return False
    return any(phrases.patch(line.text) and not line.depth for line in lines[place : place + PATCH_LINES])


def _unmarked_attribution(lines: list[Line], last: int) -> int | None:
    found = None
    joined = ""
    for first in range(last, max(last - 2 * ATTRIBUTION_LINES, -1), -1):
        line = lines[first]
        if line.depth or len(line.text) > _MOST or (not line.text.strip() and joined[:1] not in ("<", ">")):
            break
        if _TRAILER.match(line.text):
            break
        joined = _join_lines(line.text, joined)
        if phrases.announces(joined):
            found = first if found is None or phrases.begins_attribution(line.text) else found
            if phrases.begins_attribution(line.text):
                break
    return found
