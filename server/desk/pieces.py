"""A body of several messages: a burst of one author, or the talk of several people in a room. Pure.

Each message is kept apart as a piece, so that it can be edited and taken back alone. A piece with a name is a line of talk: it is
shown with its speaker, under an anchor of its own.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from server.bridge import Edit, NewPost
from server.content.derive import Derived
from server.desk.prepare import Prepared

Piece = dict[str, Any]
_WORDS = ("text", "html", "fresh_text", "fresh_html")


def of(prepared: Prepared[NewPost] | Prepared[Edit]) -> Piece:
    """The words of one message."""
    return {each: getattr(prepared.derived, each) for each in _WORDS}


def line(piece: Piece, person_id: int, name: str) -> Piece:
    """The words as a line of talk, said by that person."""
    return piece | {"by": person_id, "name": name}


def read(stored: str | None) -> list[Piece] | None:
    """What a body's column holds; None for a post that is one message."""
    found: list[Piece] | None = json.loads(stored or "null")
    return found


def replaced(pieces: Sequence[Piece], part: int, words: Piece | None) -> list[Piece]:
    """One of them with other words, or (None) without any."""
    changed = list(pieces)
    changed[part] = changed[part] | (words or dict.fromkeys(_WORDS, "") | {"gone": True})
    return changed


def said_by(pieces: Sequence[Piece] | None, part: int) -> int | None:
    """The person who said that line; None where it is no talk of several people."""
    by: int | None = pieces[part].get("by") if pieces is not None and part < len(pieces) else None
    return by


def is_gone(pieces: Sequence[Piece] | None, part: int) -> bool:
    """Whether that message was taken back: nothing brings its words again."""
    return pieces is not None and part < len(pieces) and bool(pieces[part].get("gone"))


def is_empty(pieces: Sequence[Piece]) -> bool:
    return not any(_has_words(each) for each in pieces)


def joined(pieces: Sequence[Piece]) -> Derived:
    """The body that they make together."""
    full = [(number, each) for number, each in enumerate(pieces, 1) if _has_words(each)]
    between = "\n" if pieces and "name" in pieces[0] else "\n\n"
    return Derived(
        text=between.join(_text(each, "text") for _number, each in full),
        html="\n".join(_html(number, each, "html") for number, each in full),
        fresh_text=between.join(_text(each, "fresh_text") for _number, each in full),
        fresh_html="\n".join(_html(number, each, "fresh_html") for number, each in full),
    )


def _has_words(piece: Piece) -> bool:
    return bool(piece["text"].strip() or piece["html"].strip())


def _text(piece: Piece, kind: str) -> str:
    words: str = piece[kind].rstrip()
    return f"{piece['name']}: {words}" if "name" in piece else words


def _html(number: int, piece: Piece, kind: str) -> str:
    words: str = piece[kind]
    if "name" not in piece:
        return words
    return f'<div id="line-{number}"><p><strong>{html.escape(piece["name"], quote=False)}</strong></p>{words}</div>'
