"""Which lines of a plain text are new, which quote somebody, and which are a signature. Nothing is dropped: each line has a place.

"Fresh" is what the author says now. When in doubt a line is the author's, and a quote above an answer stays with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from server.content import phrases, signatures
from server.content.attributions import credit_marked, find_unmarked
from server.content.lines import Line, read

CONTEXT_LINES = 8  # of a long quote above an answer that stay with the answer
LONG_QUOTE_LINES = 16


class Kind(Enum):
    """What a piece of a text is."""

    WORDS = "words"
    QUOTE = "quote"
    FORWARD = "forward"  # quoted on purpose, to be read
    SIGNATURE = "signature"


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
    lines = read(text)
    credit_marked(lines)
    find_unmarked(lines)
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
            kept.extend(_closed_up(kept[-1].lines[-1], part) if gap and kept else [part])
        gap = not stays or not part.lines
    return kept


def _closed_up(above: Line, piece: Piece) -> list[Piece]:
    """The piece where something was left out above it: one empty line stands there, not two."""
    first = next(place for place, line in enumerate(piece.lines) if line.text.strip())
    rest = Piece(piece.kind, piece.lines[first:])
    return [Piece(Kind.WORDS, [Line(0, "")]), rest] if above.text.strip() else [rest]


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
    return Piece(Kind.QUOTE, lines if any(line.text.strip() for line in lines) else [])


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
