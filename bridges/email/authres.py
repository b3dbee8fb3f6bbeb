"""Authentication-Results (RFC 8601): what a server that we trust found out about a message. Pure; one walk over the bytes, no recursion.

Anybody can write such a field. It counts only with the id of a server that removes forged ones, and never travels on with that id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bridges.email import headers

FIELDS, BYTES, RESULTS = 20, 16 * 1024, 50  # read of one message, of one field, of one field
NAME = b"authentication-results"
_BLANK = b" \t\r\n"
_STOPS = frozenset(b';("' + _BLANK)


@dataclass(frozen=True, slots=True)
class Result:
    """One method's result, lower case. `properties` by "ptype.property"; of several of a name the first."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)


def results(fields: Sequence[bytes], trusted: str) -> list[Result] | None:
    """What the trusted id says in the topmost of its fields and those directly below it; None where it says nothing at all.

    Only the topmost run counts: a server writes its fields above what it took, so one further down was there before (section 5).
    """
    found: list[Result] | None = None
    for one in headers.named(fields, NAME)[:FIELDS]:
        who, said = read(one)
        if who == trusted.lower():
            found = (found or []) + said
        elif found is not None:
            break
    return found


def read(one: bytes) -> tuple[str, list[Result]]:
    """The id of a field and its results; ("", []) where it cannot be read."""
    pieces = _pieces(one.partition(b":")[2][:BYTES])
    if not pieces or not pieces[0]:
        return "", []
    who = pieces[0][0].strip().lower()
    if len(pieces[0]) > 2 or who in ("", "=", "."):  # after the id only a version may stand (section 2.2)
        return "", []
    return who, [result for piece in pieces[1 : RESULTS + 1] if (result := _result(piece)) is not None]


def id_of(one: bytes) -> str:
    """The id alone, lower case, "" where there is none."""
    return read(one)[0]


def _result(words: list[str]) -> Result | None:
    """`method[/version]=result [reason=value] *(ptype.property=value)`."""
    if len(words) < 3 or words[1] != "=":
        return None
    properties: dict[str, str] = {}
    for at in range(3, len(words) - 4):
        kind, dot, name, equals, value = words[at : at + 5]
        if (dot, equals) == (".", "="):
            properties.setdefault(f"{kind}.{name}".lower(), value.lower())
    return Result(words[0].partition("/")[0].lower(), words[2].lower(), properties)


def _pieces(text: bytes) -> list[list[str]]:
    """The words between semicolons. Comments go; "=" and the "." of a property's name are words of their own."""
    pieces: list[list[str]] = [[]]
    at = 0
    while at < len(text):
        c = text[at]
        words = pieces[-1]
        if c == 0x28:
            at = _after_comment(text, at)
        elif c == 0x3B:
            pieces.append([])
            at += 1
        elif c in _BLANK:
            at += 1
        elif c == 0x22 or (words and words[-1] == "="):
            word, at = _value(text, at)
            words.append(word)
        elif c in b"=.":
            words.append(chr(c))
            at += 1
        else:
            end = _end(
                text, at, b"=" if not words else b"=."
            )  # an id holds dots, the name of a property is cut at its one
            words.append(text[at:end].decode("utf-8", "replace"))
            at = end
    return pieces


def _end(text: bytes, at: int, stops: bytes) -> int:
    while at < len(text) and text[at] not in _STOPS and text[at] not in stops:
        at += 1
    return at


def _value(text: bytes, at: int) -> tuple[str, int]:
    """What stands after "=": letters, a quoted string, or an address with a quoted local part."""
    word = ""
    if text[at] == 0x22:
        word, at = _quoted(text, at)
    end = _end(text, at, b"")
    return word + text[at:end].decode("utf-8", "replace"), end


def _quoted(text: bytes, at: int) -> tuple[str, int]:
    out, at = bytearray(), at + 1
    while at < len(text) and text[at] != 0x22:
        if text[at] == 0x5C and at + 1 < len(text):
            at += 1
        out.append(text[at])
        at += 1
    return out.decode("utf-8", "replace"), at + 1


def _after_comment(text: bytes, at: int) -> int:
    depth = 0
    while at < len(text):
        c = text[at]
        if c == 0x5C:
            at += 1
        elif c == 0x28:
            depth += 1
        elif c == 0x29:
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return at
