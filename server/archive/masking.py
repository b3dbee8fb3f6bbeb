"""Addresses and our own tokens, hidden wherever the archive shows words to somebody else than their author. Pure.

A forum's own addresses stay, for everybody may know them; a token in one of them does not. Patterns are bounded. Nothing that is
kept is changed by this, only what is shown of it.
"""

from __future__ import annotations

import base64
import quopri
import re
from binascii import Error as BadBase64
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import Message

from server import limits

_ADDRESS = re.compile(r"([\w.+%'-]{1,64})@((?:[\w-]{1,63}\.){1,10}[^\W\d_][\w-]{0,62}|localhost\b)")
_TOKEN_PATH = re.compile(r"(?i)(/(?:leave|sign-in|confirm)/)[a-z2-7]{26}(?![a-z2-7])")
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\s]{0,998}\?=")  # RFC 2047 section 2
_IDS = frozenset(("message-id", "references", "in-reply-to", "content-id", "resent-message-id", "archived-at"))
_TRACES = frozenset(("received", "x-received", "x-originating-ip", "return-path", "delivered-to", "x-original-to"))


@dataclass(frozen=True, slots=True)
class Mask:
    """What hides addresses of a forum's members: all but the forum's own (`slug` at `domain`). `hidden` stands in their place."""

    slug: str
    domain: str
    hidden: str = "…@…"

    def text(self, text: str) -> str:
        """The text with addresses and tokens hidden."""
        if "@" in text:
            text = _ADDRESS.sub(self._shown, text)
        return self.tokens(text)

    def tokens(self, text: str) -> str:
        """The text with our own tokens hidden, addresses as they are."""
        return _TOKEN_PATH.sub(r"\1…", text) if "/" in text else text

    def _shown(self, found: re.Match[str]) -> str:
        if found.string[max(0, found.start() - 4) : found.start()] in ("cid:", "mid:"):  # RFC 2392: ids, not addresses
            return found[0]
        local, plus, _token = found[1].lower().partition("+")
        if found[2].lower() == self.domain and (local == self.slug or local.startswith(self.slug + "-")):
            return f"{local}{plus and '+…'}@{found[2]}"
        return self.hidden

    def message(self, raw: bytes) -> bytes:
        """A received message with what names people or their machines hidden. Still a message that mail programs can read."""
        mask = Mask(self.slug, self.domain, hidden="hidden@address.invalid")  # RFC 2606 section 2
        return b"".join(_Masked(mask).of(raw))


@dataclass(slots=True)
class _Part:
    text: bool = True
    encoding: str = ""
    message: bool = False
    lines: list[bytes] = field(default_factory=list)


class _Masked:
    """One pass over a message's lines; parts are told by the boundaries seen so far, so nothing nests on our side."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._boundaries: set[bytes] = set()

    def of(self, raw: bytes) -> Iterator[bytes]:
        part, fields, in_head = _Part(), list[bytes](), True
        for line in raw.splitlines(keepends=True):
            bare = line.rstrip()
            if bare.startswith(b"--") and (bare in self._boundaries or bare.removesuffix(b"--") in self._boundaries):
                yield from self._head(fields, part) if in_head else self._body(part)
                yield line
                part, fields, in_head = _Part(), [], bare in self._boundaries
            elif not in_head:
                part.lines.append(line)
            elif bare:
                if line[:1] in b" \t" and fields:
                    fields[-1] += line
                else:
                    fields.append(line)
            else:
                yield from self._head(fields, part)
                yield line
                fields, in_head = [], part.message
                part = _Part() if part.message else part  # a message within has a head of its own
        yield from self._head(fields, part) if in_head else self._body(part)

    def _head(self, fields: list[bytes], part: _Part) -> Iterator[bytes]:
        for raw in fields:
            name = raw.partition(b":")[0].strip().lower().decode("ascii", "replace")
            value = raw.partition(b":")[2].decode("utf-8", "surrogateescape")
            if name == "content-type":
                self._type(value, part)
            elif name == "content-transfer-encoding":
                part.encoding = value.strip().lower()
            if name in _TRACES:
                continue
            if name in _IDS or name.startswith("list-"):
                yield _bytes(self._mask.tokens(_text(raw)))
            else:
                yield _bytes(self._mask.text(_ENCODED_WORD.sub(self._word, _text(raw))))

    def _type(self, value: str, part: _Part) -> None:
        message = Message()
        message["Content-Type"] = " ".join(value.split())
        part.text = message.get_content_maintype() in ("text", "multipart")
        part.message = message.get_content_type() == "message/rfc822"
        boundary = message.get_boundary()
        if boundary and len(self._boundaries) < limits.MIME_PARTS:
            self._boundaries.add(b"--" + _bytes(boundary).rstrip())

    def _word(self, found: re.Match[str]) -> str:
        try:
            plain = str(make_header(decode_header(found[0])))
        except (LookupError, ValueError, HeaderParseError):
            return found[0]
        masked = self._mask.text(plain)
        return found[0] if masked == plain else Header(masked, "utf-8").encode()

    def _body(self, part: _Part) -> Iterator[bytes]:
        raw = b"".join(part.lines)
        if not part.text:
            yield raw
        elif part.encoding == "base64":
            try:
                yield base64.encodebytes(self._plain(base64.b64decode(raw)))
            except (BadBase64, ValueError):
                return
        elif part.encoding == "quoted-printable":
            yield quopri.encodestring(self._plain(quopri.decodestring(raw)))
        else:
            yield self._plain(raw)

    def _plain(self, raw: bytes) -> bytes:
        return _bytes(self._mask.text(_text(raw)))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
