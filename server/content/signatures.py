"""Where the words of an author end and their signature begins. When in doubt, lines are words."""

from __future__ import annotations

from collections.abc import Sequence

from server.content import phrases

MOST_LINES = 30  # more than this below "-- " is no signature
LOOSE_LINES = 12  # the same where the mark is less certain
FOOTER_LINES = 6  # below a drawn line, as lists append it
FOOTER_CHARS = 600


def start(lines: Sequence[str]) -> int:
    """The index of the first line of the signature, drawn lines and device advertisements above it included; else len(lines)."""
    end = _mark(lines)
    while end > 0 and (not lines[end - 1].strip() or phrases.rule(lines[end - 1]) or phrases.sent_with(lines[end - 1])):
        end -= 1
    while end < len(lines) and not lines[end].strip():
        end += 1
    return end


def _mark(lines: Sequence[str]) -> int:
    """Where the mark stands that begins the signature (RFC 3676 section 4.3: "-- "), or the number of lines."""
    below = 0  # lines with words
    found = len(lines)
    fenced = False
    for place in range(len(lines) - 1, -1, -1):
        line = lines[place]
        if line.startswith("```"):
            fenced = not fenced
        if fenced or below > MOST_LINES or phrases.forwards(line) or phrases.patch(line):
            break
        if (
            line in ("-- ", "- -- ")  # RFC 9580 section 7.2: signed text has a dash before each
            or (below <= LOOSE_LINES and _loose(lines, place))
            or (line.startswith("_____") and phrases.rule(line) and footer(lines[place + 1 :]))
        ):
            found = place
        below += bool(line.strip())
    return found


def footer(lines: Sequence[str]) -> bool:
    """Whether the lines, below a drawn one, are few and tell an address, as a list's footer does; a closing paragraph does not."""
    words = [line for line in lines if line.strip()]
    told = any("://" in line or "@" in line for line in words)
    return not words or (told and len(words) <= FOOTER_LINES and sum(map(len, words)) <= FOOTER_CHARS)


def _loose(lines: Sequence[str], place: int) -> bool:
    """Whether a mark without its space stands at `place`, apart from the words above, as "--" between pieces of output does not."""
    if lines[place].strip() not in ("--", "\u2014") or (place and lines[place - 1].strip()):
        return False
    return place + 1 == len(lines) or not lines[place + 1].startswith(("  ", "\t"))


def armour(lines: Sequence[str]) -> set[int]:
    """The lines in which an OpenPGP program wraps a signed text (RFC 9580 section 7): its first ones and the whole signature."""
    found: set[int] = set()
    begun: int | None = None
    for place, line in enumerate(lines):
        if not line.startswith("-----"):
            continue
        line = line.rstrip()
        if line == "-----BEGIN PGP SIGNED MESSAGE-----":
            found.add(place)
            found.update(below for below in (place + 1, place + 2) if lines[below : below + 1] and ": " in lines[below])
        elif line == "-----BEGIN PGP SIGNATURE-----":
            begun = place
        elif line == "-----END PGP SIGNATURE-----" and begun is not None:
            found.update(range(begun, place + 1))
            begun = None
    return found
