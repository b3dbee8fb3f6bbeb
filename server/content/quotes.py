"""Which lines of a plain text are new, which quote somebody, and which are a signature. Nothing is dropped: each line has a place.

"Fresh" is what the author says now. When in doubt a line is the author's, and a quote above an answer stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

from server.content import phrases, signatures

CONTEXT_LINES = 8  # of a long quote above an answer that stay with the answer
LONG_QUOTE_LINES = 16
ATTRIBUTION_LINES = 5
_MOST = phrases.ATTRIBUTION_CHARS


class Kind(Enum):
    """What a piece of a text is."""

    WORDS = "words"
    QUOTE = "quote"
    FORWARD = "forward"  # quoted on purpose, to be read
    SIGNATURE = "signature"


@dataclass(slots=True)
class Line:
    """A line without its quote marks, and how many it had. `credit`: it says who wrote the quote that it opens. `marks`: what was
    taken off its front."""

    depth: int
    text: str
    credit: bool = False
    marks: str = ""


@dataclass(slots=True)
class Piece:
    """Consecutive lines of one kind."""

    kind: Kind
    lines: list[Line] = field(default_factory=list)

    @property
    def attributed(self) -> bool:
        """Whether it says whom it quotes."""
        if any(line.credit and line.depth == 1 for line in self.lines):
            return True
        return phrases.introduces(next((line.text for line in self.lines if line.text.strip()), ""))

    @property
    def blank(self) -> bool:
        """Whether there is nothing to read in it."""
        return not any(line.text.strip() for line in self.lines)


def split(text: str) -> list[Piece]:
    """The text as pieces in order; joined again they are the whole text."""
    lines = _read(text)
    _credit_marked(lines)
    _find_unmarked(lines)
    return _pieces(lines)


def shown(pieces: Sequence[tuple[Kind, bool]]) -> list[bool]:
    """For each piece, given as (kind, attributed), whether it belongs to what is fresh.

    Signatures and the quotes after the last words of the author are folded. A quote above words stays, as they may answer it,
    but for a lone attributed quote at the top: the whole post answers it, and it stands in the thread right above.
    """
    words = [place for place, (kind, _) in enumerate(pieces) if kind in (Kind.WORDS, Kind.FORWARD)]
    if not words:
        return [True] * len(pieces)
    quotes = [place for place, (kind, _) in enumerate(pieces) if kind is Kind.QUOTE and place < words[-1]]
    lone = len(quotes) == 1 and quotes[0] < words[0] and pieces[quotes[0]][1]
    keep = set(words) | (set() if lone else set(quotes))
    return [place in keep for place in range(len(pieces))]


def fresh(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces that are new, with the quotes that they answer; all of them if nothing is to be folded."""
    spoken = [piece for piece in pieces if not piece.blank]
    if not any(piece.kind in (Kind.WORDS, Kind.FORWARD) for piece in spoken):
        return list(pieces)
    kept: list[Piece] = []
    gap = False
    for piece, stays in zip(spoken, shown([(piece.kind, piece.attributed) for piece in spoken]), strict=True):
        part = _context(piece) if stays and piece.kind is Kind.QUOTE else piece
        if stays and part.lines:
            if gap and kept:
                kept.append(Piece(Kind.WORDS, [Line(0, "")]))
            kept.append(part)
        gap = not stays
    return kept


def join(pieces: Sequence[Piece]) -> str:
    """The pieces as text again; lines that were found to be quotes have marks now."""
    lines = [_marked(line) for piece in pieces for line in piece.lines]
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return "\n".join(lines)


def _marked(line: Line) -> str:
    if line.depth and line.depth == line.marks.count(">"):
        return (line.marks + line.text).rstrip()
    return (">" * line.depth + " " + line.text).rstrip() if line.depth else line.text


def _context(piece: Piece) -> Piece:
    """As much of a quote as the answer below it needs: the thread tells who wrote it, and its last lines are near enough."""
    lines = [line for line in piece.lines if not (line.credit and line.depth == 1)]
    while lines and not lines[0].marks and not lines[0].text.strip():  # stood below the credit
        lines.pop(0)
    if len(lines) > LONG_QUOTE_LINES:
        lines = [Line(1, "[…]"), *lines[-CONTEXT_LINES:]]
    return Piece(Kind.QUOTE, lines)


def _read(text: str) -> list[Line]:
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


def _credit_marked(lines: list[Line]) -> None:
    """Lines right above a deeper quote that tell who wrote it become its first lines."""
    spoken = [place for place, line in enumerate(lines) if line.text.strip()]
    for last, below in pairwise(spoken):
        depth = lines[last].depth
        if below - last > 5 or lines[below].depth < depth or lines[last].credit:
            continue
        barred = _barred(lines, below) if lines[below].depth == depth else 0
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


def _barred(lines: list[Line], start: int) -> int:
    """How many lines from `start` are marked in another way: "| " or the name of somebody ("AB> ")."""
    first = lines[start]
    name, sign, _rest = first.text[:16].partition(">")
    mark = name + sign if sign and name.isalpha() else "|"
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
        joined = f"{line.text} {joined}".strip()
        if phrases.introduces(joined):
            if phrases.begins_attribution(line.text):
                return first
            if found is None or (phrases.torn_end(lines[found].text) and phrases.evident(joined)):
                found = first
    return found


def _find_unmarked(lines: list[Line]) -> None:
    """An original that was put below the answer without marks: from its announcement on, all lines are a quote."""
    said = len(lines)  # the first line of the author
    for place, line in enumerate(lines):
        if line.depth or not line.text.strip():
            continue
        start = _announcement(lines, place)
        if start is not None and _elided(lines, place):
            first = next(above for above in range(start, place + 1) if lines[above].text.strip())
            for above in lines[first : place + 1]:
                above.depth, above.credit = 1, True
            continue
        if start is not None and said < start:
            for later in lines[start : place + 1]:
                later.credit = bool(later.text.strip())
            for later in lines[start:]:
                later.depth += 1
            return
        if start is not None and phrases.announces(" ".join(above.text for above in lines[start : place + 1])):
            for above in lines[start : place + 1]:  # what it announces is all there is, so that is shown
                above.depth, above.credit = 1, True
            said = len(lines)
            continue
        said = min(said, place)


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
        if not any(phrases.forwards(line.text) for line in lines[max(place - 3, 0) : place]):
            start = place
    elif phrases.ends_attribution(text):
        start = _unmarked_attribution(lines, place)
    while start and not lines[start - 1].depth:
        above = lines[start - 1].text
        if above.strip() and not phrases.rule(above):
            break
        start -= 1
    return start


def _unmarked_attribution(lines: list[Line], last: int) -> int | None:
    found = None
    joined = ""
    for first in range(last, max(last - 2 * ATTRIBUTION_LINES, -1), -1):
        line = lines[first]
        if line.depth or len(line.text) > _MOST or (not line.text.strip() and joined[:1] not in ("<", ">")):
            break
        joined = f"{line.text} {joined}".strip()
        if phrases.announces(joined):
            found = first if found is None or phrases.begins_attribution(line.text) else found
            if phrases.begins_attribution(line.text):
                break
    return found


def _pieces(lines: list[Line]) -> list[Piece]:
    pieces: list[Piece] = []
    armoured = signatures.armour([line.text if not line.depth else "" for line in lines])
    for place, line in enumerate(lines):
        kind = Kind.QUOTE if line.depth else Kind.SIGNATURE if place in armoured else Kind.WORDS
        if not line.depth and not line.text.strip() and pieces and pieces[-1].kind is Kind.QUOTE:
            following = next((later for later in lines[place : place + 4] if later.text.strip() or later.depth), None)
            if following is not None and following.depth and not following.credit:
                kind = Kind.QUOTE
        if not pieces or pieces[-1].kind is not kind:
            pieces.append(Piece(kind))
        pieces[-1].lines.append(line)
    signed: list[Piece] = []
    for piece in pieces:
        if piece.kind is Kind.WORDS:
            end = signatures.start([line.text for line in piece.lines])
            parts = ((Kind.WORDS, piece.lines[:end]), (Kind.SIGNATURE, piece.lines[end:]))
            signed.extend(Piece(kind, part) for kind, part in parts if part)
        elif piece.kind is Kind.SIGNATURE:
            signed.append(piece)
        else:
            forward = any(phrases.forwards(line.text) for line in piece.lines[:4])
            signed.append(Piece(Kind.FORWARD, piece.lines) if forward else piece)
    return signed
