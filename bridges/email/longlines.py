"""Lines that are longer than mail may have (RFC 5321 section 4.5.3.1.6, RFC 5322 section 2.1.1): broken before they go out. Pure.

Strict relays refuse a whole mail for one of them, and lenient ones break it themselves. It is done as they do it, the same in header and
body: a line end before a space that is there, else a line end and a space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridges.email import headers
from bridges.email.headers import CRLF, LINE_MAX

_BLANK = b" \t"


def is_long(text: bytes) -> bool:
    """Whether a line of the text is too long; lines end in LF or CRLF."""
    start = 0
    while len(text) - start > LINE_MAX:
        # a line end within the reach: what stands before the last one of them is short enough
        end = text.rfind(b"\n", start, start + LINE_MAX + 2)
        if end < 0:
            return True
        start = end + 1
    return False


def broken(text: bytes) -> bytes:
    """The text with its long lines broken; itself where it has none. Lines end in CRLF."""
    if not is_long(text):
        return text
    return CRLF.join(piece for line in text.split(CRLF) for piece in _pieces(line))


def long_fields(fields: Sequence[bytes]) -> frozenset[bytes]:
    """The names (lower case) of the fields that are broken."""
    return frozenset(headers.name(field) for field in fields if is_long(field))


def _pieces(line: bytes) -> Iterator[bytes]:
    start, before = 0, b""  # `before`: the space that makes the next piece a part of the same line
    while len(before) + len(line) - start > LINE_MAX:
        end = _end(line, start, start + LINE_MAX - len(before))
        yield before + line[start:end]
        start, before = end, b"" if line[end : end + 1] in (b" ", b"\t") else b" "
    yield before + line[start:]


def _end(line: bytes, start: int, most: int) -> int:
    """Where the piece that begins at `start` ends: before its last blank with words on both sides, else between two characters."""
    end = max(line.rfind(b" ", start, most + 1), line.rfind(b"\t", start, most + 1))
    if (
        end > start and line[start:end].strip(_BLANK) and line[end:].strip(_BLANK)
    ):  # RFC 5322 section 2.2.3: no blank lines
        return end
    end = most
    while end > most - 3 and line[end] & 0xC0 == 0x80:  # within a character of UTF-8
        end -= 1
    return end
