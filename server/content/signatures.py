"""Where the words of an author end and their signature begins. When in doubt, lines are words."""

from __future__ import annotations

from collections.abc import Sequence

from server.content import phrases

MOST_LINES = 30  # more than this below "-- " is no signature
LOOSE_LINES = 12  # the same where the mark is less certain
FOOTER_LINES = 6  # below a drawn line, as lists append it


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
        if fenced or below > MOST_LINES or phrases.forwards(line):
            break
        if (
            line == "-- "
            or (line.strip() in ("--", "\u2014") and below <= LOOSE_LINES)
            or (line.startswith("_____") and phrases.rule(line) and below <= FOOTER_LINES)
        ):
            found = place
        below += bool(line.strip())
    return found
