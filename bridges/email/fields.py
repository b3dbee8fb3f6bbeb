"""Header sections and what stands in them, read tolerantly from bytes. Pure; raises `Rejected` only for what is too large.

The standard library's readers of structured fields recurse on comments and take seconds on hostile parameters; these walk each
character once. What comes out holds no CR, LF or NUL; a NUL becomes SUBSTITUTE, so that what holds one is still seen to be broken.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from bridges.email.charsets import decode
from server import limits
from server.errors import Rejected
from server.i18n import _

MAILBOXES = 500  # read of one field
PARAMETERS = 60  # read of one field
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0xFEFF])
_BREAKS = dict.fromkeys([*range(32), 127, *range(128, 160), 8232, 8233], " ")


@dataclass(frozen=True, slots=True)
class Fields:
    """A header section: (lower-case name, unfolded value) in the order of the bytes."""

    all: tuple[tuple[str, bytes], ...]

    def values(self, name: str) -> list[bytes]:
        return [value for key, value in self.all if key == name]

    def first(self, name: str) -> bytes:
        """The value of the first field of that name, b"" if there is none."""
        return next((value for key, value in self.all if key == name), b"")

    def has(self, name: str) -> bool:
        return any(key == name for key, _ in self.all)


def cut(data: bytes, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """Where the header section of data[start:end] ends and where the body begins: at the first empty line.

    Not searched further than a header may be long: without an empty line until there, both are that place.
    """
    stop = len(data) if end is None else end
    if data.startswith(b"\r\n", start, stop):
        return start, start + 2
    if data.startswith(b"\n", start, stop):
        return start, start + 1
    stop = min(stop, start + limits.HEADER_BYTES + 4)
    crlf = data.find(b"\n\r\n", start, stop)
    lf = data.find(b"\n\n", start, stop if crlf < 0 else crlf + 1)
    if lf >= 0:
        return lf + 1, lf + 2
    return (crlf + 1, crlf + 3) if crlf >= 0 else (stop, stop)


def read(section: bytes) -> Fields:
    """Unfold and split a header section. Lines that are no field (an mbox "From " line, rubbish) are passed over."""
    if len(section) > limits.HEADER_BYTES:
        raise Rejected("5.3.4", _("the header is larger than {count} bytes").format(count=limits.HEADER_BYTES))
    found: list[tuple[str, list[bytes]]] = []
    for line in section.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if found:
                found[-1][1].append(b" " + line.strip(b" \t"))
            continue
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t")
        if not colon or not name or any(c <= 32 or c >= 127 for c in name):  # RFC 5322 section 2.2
            continue
        if len(found) >= limits.HEADER_FIELDS:
            raise Rejected("5.6.0", _("the header has more than {count} fields").format(count=limits.HEADER_FIELDS))
        found.append((name.decode("ascii").lower(), [value.strip(b" \t")]))
    return Fields(tuple((name, b"".join(parts).replace(b"\0", b"\x1a").strip()) for name, parts in found))


def plain(text: str, limit: int) -> str:
    """One line of visible text: no controls, no bidirectional overrides, single spaces, at most `limit` characters."""
    return " ".join(text.translate(_BREAKS).translate(_BIDI).split())[:limit].strip()


# Encoded words (RFC 2047) ------------------------------------------------------------------------------------------------
def words(value: bytes) -> str:
    """Unstructured text with its encoded words decoded; neighbours of one charset are joined before decoding.

    RFC 2047 section 5 forbids to split a letter between two words; many programs do it.
    """
    out: list[str] = []
    charset: str | None = None
    held = b""
    for here, data in _tokens(value):
        if here is not None and here == charset:
            held += data
            continue
        if charset is not None:
            out.append(decode(held, charset, guess=False))
        charset, held = here, data
        if here is None:
            out.append(decode(data, guess=False))
    if charset is not None:
        out.append(decode(held, charset, guess=False))
    return "".join(out)


def _tokens(value: bytes) -> list[tuple[str | None, bytes]]:
    """(charset, bytes) of each encoded word and (None, bytes) of what stands between, without what section 6.2 says not to show."""
    found: list[tuple[str | None, bytes]] = []
    shown = at = 0
    while (begin := value.find(b"=?", at)) >= 0:
        word = encoded_word(value, begin)
        if word is None:
            at = begin + 2
            continue
        between = value[shown:begin]
        if between and (between.strip() or not found):
            found.append((None, between))
        charset, data, at = word
        found.append((charset, data))
        shown = at
    if shown < len(value):
        found.append((None, value[shown:]))
    return found


def encoded_word(value: bytes, begin: int) -> tuple[str, bytes, int] | None:
    """The encoded word at `begin`: charset, bytes, and where it ends; None if there is none."""
    q1 = value.find(b"?", begin + 2, begin + 80)
    if q1 < 0 or value[q1 + 2 : q1 + 3] != b"?":
        return None
    # section 2 says at most 75 characters; whole subjects in one word are seen
    end = value.find(b"?=", q1 + 3, begin + 4_000)
    encoding = value[q1 + 1 : q1 + 2].lower()
    if end < 0 or encoding not in (b"q", b"b"):
        return None
    raw = value[q1 + 3 : end]
    data = binascii.a2b_qp(raw, header=True) if encoding == b"q" else base64(raw)
    charset = value[begin + 2 : q1].decode("ascii", "replace").partition("*")[0]  # RFC 2231 section 5: language tag
    return charset.lower(), data, end + 2


_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64) - {ord("=")})


def base64(data: bytes) -> bytes:
    """Decode what can be decoded: foreign characters passed over (RFC 2045 section 6.8), padding mended, pieces joined.

    What follows the padding is a further piece only if there is nothing but base64 in it: a list's footer is words.
    """
    padding = data.find(b"=")
    end = data.rstrip(b"=\r\n\t ")
    if 0 <= padding < len(end) and end[padding:].translate(None, _BASE64 + b"=\r\n"):
        data = data[: padding + 2]
    letters = data.translate(None, _NOT_BASE64)
    whole = letters.rstrip(b"=")
    pieces = [whole] if b"=" not in whole else [piece for piece in whole.split(b"=") if piece]
    out = []
    for piece in pieces:
        if len(piece) % 4 == 1:
            piece = piece[:-1]
        out.append(binascii.a2b_base64(piece + b"=" * (-len(piece) % 4)))
    return b"".join(out)


# Parameters (RFC 2045 section 5.1, RFC 2231) ---------------------------------------------------------------------------------
def parameters(value: bytes) -> tuple[str, dict[str, str]]:
    """The lower-case first word of a Content-Type or Content-Disposition, and its parameters decoded."""
    pieces = _split(value[: limits.HEADER_BYTES], b";", PARAMETERS + 1)
    opening = plain(decode(_uncommented(pieces[0]), guess=False), 200) if pieces else ""
    main, _space, rest = opening.replace(" /", "/").replace("/ ", "/").partition(" ")
    if "=" in rest:  # the semicolon before the first parameter was forgotten
        pieces.insert(1, rest.encode())
    simple: dict[str, bytes] = {}
    parts: dict[str, dict[int, tuple[bytes, bool]]] = {}
    for piece in pieces[1:]:
        key, equals, raw = piece.partition(b"=")
        name = key.strip().lower().decode("ascii", "replace")
        if not equals or not name:
            continue
        data = _unquoted(raw)
        base, star, rest = name.partition("*")
        if not star:
            simple.setdefault(base, data)
            continue
        number = rest.rstrip("*")
        if number.isascii() and number.isdigit() and len(number) <= 3:
            parts.setdefault(base, {}).setdefault(int(number), (data, rest.endswith("*")))
        elif not number:
            parts.setdefault(base, {}).setdefault(0, (data, True))
    read = {name: words(data) if b"=?" in data else decode(data, guess=False) for name, data in simple.items()}
    return main.lower(), read | {name: _continued(pieces_of) for name, pieces_of in parts.items()}


def _continued(pieces: dict[int, tuple[bytes, bool]]) -> str:
    """RFC 2231 sections 3 and 4: numbered pieces, of which the first may name a charset."""
    charset, out = "", []
    for number in sorted(pieces):
        data, extended = pieces[number]
        if extended and number == min(pieces) and data.count(b"'") >= 2:
            raw_charset, _, data = data.split(b"'", 2)
            charset = raw_charset.decode("ascii", "replace")
        out.append(unquote_to_bytes(data) if extended else data)
    return decode(b"".join(out), charset, guess=False)


def _split(value: bytes, separator: bytes, limit: int) -> list[bytes]:
    """Split outside of quoted strings."""
    if b'"' not in value:
        return value.split(separator)[:limit]
    out: list[bytes] = []
    begin, at, quoted, sep = 0, 0, False, separator[0]
    while at < len(value) and len(out) < limit:
        c = value[at]
        if c == 0x5C and quoted:
            at += 1
        elif c == 0x22:
            quoted = not quoted
        elif c == sep and not quoted:
            out.append(value[begin:at])
            begin = at + 1
        at += 1
    if len(out) < limit:
        out.append(value[begin:])
    return out


def _unquoted(raw: bytes) -> bytes:
    text = raw.strip()
    if text[:1] != b'"':
        return _uncommented(text).strip()
    out, at = bytearray(), 1
    while at < len(text) and text[at] != 0x22:
        if text[at] == 0x5C and at + 1 < len(text):
            at += 1
        out.append(text[at])
        at += 1
    return bytes(out)


def _uncommented(text: bytes) -> bytes:
    """Without a comment that follows; none of the values read here holds a bracket of its own."""
    return text.partition(b"(")[0].strip()
