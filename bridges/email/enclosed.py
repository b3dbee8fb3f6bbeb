"""Files that stand inside of a text: uuencoded ones, and what OpenPGP programs encrypted (RFC 9580 section 6.2). Pure.

In the text the name of each is left in brackets; the bytes become an attachment, so that no ciphertext is shown, folded or found.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass

MOST = 50  # files taken out of one text
_BEGIN = re.compile(rb"begin [0-7]{3,4} ([^\r\n]{1,255})\Z")
_ARMOUR = (b"-----BEGIN PGP MESSAGE-----", b"-----END PGP MESSAGE-----")


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that stood in a text; `media_type` is "" where only the name tells it."""

    name: bytes
    media_type: str
    data: bytes


def lift(text: bytes) -> tuple[bytes, list[Enclosed]]:
    """The text without the files in it, and the files; the text itself where there are none."""
    if b"begin " not in text and _ARMOUR[0] not in text:
        return text, []
    lines = text.split(b"\n")
    kept: list[bytes] = []
    found: list[Enclosed] = []
    at = 0
    while at < len(lines):
        file, after = _file(lines, at) if len(found) < MOST else (None, at)
        if file is not None:
            found.append(file)
            kept.append(b"[" + file.name + b"]")
        else:
            kept.extend(lines[at : max(after, at + 1)])  # what was looked at already is looked at once
        at = max(after, at + 1)
    return (b"\n".join(kept), found) if found else (text, [])


def _file(lines: list[bytes], at: int) -> tuple[Enclosed | None, int]:
    """The file that begins with the line, and where the lines behind it begin, or those that were no part of it."""
    opening = lines[at].rstrip()
    if opening == _ARMOUR[0]:
        end = next((place for place in range(at, len(lines)) if lines[place].rstrip() == _ARMOUR[1]), None)
        if end is None:
            return None, len(lines)
        return Enclosed(b"encrypted.asc", "application/pgp-encrypted", b"\n".join(lines[at : end + 1]) + b"\n"), end + 1
    begun = _BEGIN.match(opening) if opening.startswith(b"begin ") else None
    if begun is None:
        return None, at
    data: list[bytes] = []
    for place in range(at + 1, len(lines)):
        line = lines[place].rstrip(b"\r")
        if line.rstrip() == b"end":
            return (Enclosed(begun.group(1), "", b"".join(data)), place + 1) if data else (None, place)
        piece = uu_line(line)
        if piece is None:
            return None, place
        data.append(piece)
    return None, len(lines)


def uu_line(line: bytes) -> bytes | None:
    """The bytes of one line of uuencoding, b"" for the last one; None if it is none."""
    line = line.rstrip()
    if not line:
        return b""
    size = (line[0] - 32) & 63
    letters = (size * 4 + 2) // 3
    if not all(32 <= c <= 96 for c in line) or len(line) - 1 > letters + 4:
        return None
    try:
        return binascii.a2b_uu(line[: 1 + (size + 2) // 3 * 4])
    except binascii.Error:
        return None
