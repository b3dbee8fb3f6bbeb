"""Canonical forms of header fields and bodies (RFC 6376 section 3.4): what a signature is made over. Pure.

Work on bytes, without regular expressions, in time that grows with their size however long the runs of blanks are.
"""

from __future__ import annotations

import hashlib

from bridges.email.headers import CRLF

PIECE = 1024 * 1024  # of a body that is hashed at once: a large one is never copied whole


def relaxed_field(field: bytes) -> bytes:
    """A header field on one line, its name in lower case, with one blank where there were some (section 3.4.2)."""
    name, _colon, value = field.partition(b":")
    return name.rstrip(b" \t").lower() + b":" + _one_blank(value.replace(CRLF, b"")).strip(b" ") + CRLF


def simple_body(body: bytes) -> bytes:
    """Empty lines at the end go; an empty body is one line end (section 3.4.3)."""
    return _without_last_lines(body) + CRLF


def relaxed_body(body: bytes) -> bytes:
    """Runs of blanks become one, those before a line end go, and the empty lines at the end (section 3.4.4)."""
    text = _without_last_lines(_relaxed_lines(body).rstrip(b" "))
    return text + CRLF if text else b""


def relaxed_body_hash(message: bytes, begin: int) -> bytes:
    """SHA-256 of `relaxed_body` of what begins there, piece by piece. Its lines end in CRLF."""
    found, empty_lines, any_words = hashlib.sha256(), 0, False
    while begin < len(message):
        end = message.find(CRLF, begin + PIECE)
        end = len(message) if end < 0 else end + len(CRLF)
        piece = _relaxed_lines(message[begin:end])
        words = piece.rstrip(CRLF)
        if words:  # empty lines count only when something follows them
            found.update(CRLF * empty_lines + words)
            empty_lines, any_words = 0, True
        empty_lines += (len(piece) - len(words)) // len(CRLF)
        begin = end
    if any_words:
        found.update(CRLF)
    return found.digest()


def _relaxed_lines(lines: bytes) -> bytes:
    return _one_blank(lines).replace(b" \r\n", CRLF)


def _one_blank(text: bytes) -> bytes:
    text = text.replace(b"\t", b" ")
    while b"  " in text:  # a run is halved each time
        text = text.replace(b"  ", b" ")
    return text


def _without_last_lines(body: bytes) -> bytes:
    """Without the line ends at its end; a bare CR before them is no line end."""
    kept = len(body.rstrip(b"\r\n"))
    tail = body[kept:]
    if not tail.endswith(b"\n"):
        return body
    return body[: kept + tail.rfind(b"\r\r") + 1]
