"""MIME parts of the mails that we make ourselves (RFC 2045 to 2047, 2183, 2231, 2387). Pure.

All of it is 7-bit, texts with lines of at most 78 bytes, so that no relay has a reason to touch it, and the same input gives the same
bytes at every attempt.
"""

from __future__ import annotations

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote

from bridges.email.headers import CRLF, path, plain, structured

FILENAME_BYTES = 600  # percent-encoded, so that its line stays below WIRE_LINE
SHOWN_MAX = 78  # RFC 5322 section 2.1.1: what is longer is folded by the encoding, and each program breaks lines at its own width
WIRE_LINE = 998  # RFC 5322 section 2.1.1
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}\Z")
_CONTROLS = dict.fromkeys([c for c in range(32) if c not in (9, 10)] + [127])


@dataclass(frozen=True, slots=True)
class Part:
    """Its own header fields (Content-*) and its encoded body; both end in CRLF."""

    head: bytes
    body: bytes


def text(content: str, subtype: str = "plain") -> Part:
    """A text part in UTF-8: as it is, quoted-printable, or base64, whichever is needed and shorter."""
    clean = content.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS).rstrip("\n") + "\n"
    data = clean.encode("utf-8", "replace")
    lines = data.replace(b"\n", CRLF)
    if data.isascii() and max(map(len, data.split(b"\n"))) <= SHOWN_MAX:
        return Part(_text_head(subtype, "7bit"), lines)
    foreign = sum(byte > 127 for byte in data[:4_000])
    if foreign * 6 > min(len(data), 4_000):
        return Part(_text_head(subtype, "base64"), encodebytes(lines).replace(b"\n", CRLF))
    return Part(_text_head(subtype, "quoted-printable"), b2a_qp(data).replace(b"\n", CRLF))


def _text_head(subtype: str, encoding: str) -> bytes:
    return structured("Content-Type", [f"text/{subtype};", "charset=utf-8"]) + structured(
        "Content-Transfer-Encoding", [encoding]
    )


def file(filename: str, media_type: str, data: bytes, content_id: str | None = None) -> Part:
    """An attachment; with `content_id` (no brackets) a picture that the HTML beside it shows (RFC 2392)."""
    kind = media_type.lower()
    # a part of these types must not be base64 (RFC 2046 sections 5.1 and 5.2.1)
    if not _MEDIA_TYPE.match(kind) or kind.startswith(("multipart/", "message/")):
        kind = "application/octet-stream"
    head = structured("Content-Type", [kind]) + structured("Content-Transfer-Encoding", ["base64"])
    head += structured(
        "Content-Disposition", ["inline;" if content_id else "attachment;", _filename_parameter(filename)]
    )
    if content_id:
        head += structured("Content-ID", [f"<{path(content_id).decode('ascii')}>"])
    return Part(head, encodebytes(data).replace(b"\n", CRLF))


def message(filename: str, raw: bytes) -> Part:
    """A message inside of ours, its bytes as they came; it must not be encoded (RFC 2046 section 5.2.1).

    One with a line that is longer than a relay takes is a file instead, so that nothing of it is broken on the way.
    """
    data = raw if raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r") else _ends(raw)
    if b"\0" in data or max(map(len, data.split(CRLF))) > WIRE_LINE:
        return file(filename, "application/octet-stream", raw)
    head = structured("Content-Type", ["message/rfc822"])
    head += structured("Content-Transfer-Encoding", ["7bit" if data.isascii() else "8bit"])
    head += structured("Content-Disposition", ["attachment;", _filename_parameter(filename)])
    return Part(head, data + CRLF)  # the last line end before a boundary is the boundary's (RFC 2046 section 5.1.1)


def _ends(raw: bytes) -> bytes:
    return raw.replace(CRLF, b"\n").replace(b"\r", b"\n").replace(b"\n", CRLF)


def _filename_parameter(filename: str) -> str:
    """RFC 2183 section 2.3, or RFC 2231 section 4 for what is not ASCII."""
    stem, dot, ending = plain(filename).replace("/", "_").replace("\\", "_").lstrip(".").rpartition(".")
    if not dot:
        stem, ending = ending or "file", ""
    while len(quote(stem, safe="")) > FILENAME_BYTES:
        stem = stem[:-1]
    name = stem + dot + ending[:10]
    if name.isascii() and "=?" not in name:
        return 'filename="' + name.replace('"', "'") + '"'
    return "filename*=utf-8''" + quote(name, safe="")


def multipart(subtype: str, parts: Sequence[Part], *parameters: str) -> Part:
    """The parts as one. The boundary is made of what they hold, so that no text can contain it on purpose."""
    mark = sha256(subtype.encode())
    for part in parts:
        mark.update(part.head + part.body)
    boundary = f"=_{mark.hexdigest()[:32]}"  # "=_" is never found in quoted-printable or base64 (RFC 2045 section 6.7)
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + part.head + CRLF + part.body for part in parts) + f"--{boundary}--\r\n".encode()
    words = [f"multipart/{subtype};", *(f"{parameter};" for parameter in parameters), f'boundary="{boundary}"']
    return Part(structured("Content-Type", words), body)
