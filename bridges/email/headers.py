"""The header section as bytes: cut, read, take away, put in, and write new fields. Pure; knows no post and no forum.

What came is never parsed and made again: a field is the bytes it came as, folded lines and all. What is made here is ASCII,
folded, and holds no control character, whatever it is made from.
"""

from __future__ import annotations

import re
import unicodedata
from base64 import b64encode
from collections.abc import Collection, Sequence

CRLF = b"\r\n"
FOLD_AT = 76  # RFC 5322 section 2.1.1 says 78; RFC 2047 section 2 says 76 for lines with encoded words
LINE_MAX = 998  # RFC 5322 section 2.1.1, without CRLF
WORD_BYTES = (
    39  # as base64 an encoded word of 64, so that the first one fits beside the field's name in 76 (RFC 2047 section 2)
)

_VISIBLE = re.compile(rf"[!-;=?-~]{{1,{LINE_MAX - 100}}}")  # ASCII without angle brackets
_COMMON_PATH = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,128}@[A-Za-z0-9.-]{1,190}")
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+\Z")  # atoms and the spaces between them, RFC 5322 section 3.2.3


def cut(message: bytes) -> tuple[bytes, bytes, bytes]:
    """Header section, empty line and body; joined they are the message. CRLF and bare LF both end a line here."""
    for gap in (b"\r\n", b"\n"):
        if message.startswith(gap):
            return b"", gap, message[len(gap) :]
    found = [(at, gap) for gap in (b"\n\r\n", b"\n\n") if (at := message.find(gap)) >= 0]
    if not found:
        return message, b"", b""
    at, gap = min(found)
    return message[: at + 1], gap[1:], message[at + len(gap) :]


def mended(body: bytes) -> bytes:
    """The body itself if all its lines end in CRLF; else with bare CR and LF mended (RFC 5321 section 2.3.8)."""
    if body.count(b"\r\n") == body.count(b"\n") == body.count(b"\r"):
        return body if body.endswith(CRLF) or not body else body + CRLF
    lines = [line.rstrip(b"\r").replace(b"\r", CRLF) for line in body.split(b"\n")]
    return CRLF.join(lines if not lines[-1] else [*lines, b""])


def split(head: bytes) -> list[bytes]:
    """The fields of a header section, each with its folded lines and line ends; joined they are the section."""
    found: list[bytes] = []
    for line in _lines(head):
        if found and line[:1] in (b" ", b"\t"):  # folded, RFC 5322 section 2.2.3
            found[-1] += line
        else:
            found.append(line)
    return found


def _lines(head: bytes) -> list[bytes]:
    """The lines with their ends; a bare CR ends none."""
    parts = head.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def name(field: bytes) -> bytes:
    """The field's name in lower case, b"" for a line that is no field. Space before the colon is obsolete but met."""
    before, colon, _ = field.partition(b":")
    found = before.rstrip(b" \t").lower()
    return found if colon and found and all(33 <= byte <= 126 for byte in found) else b""


def body(field: bytes) -> bytes:
    """The field's value, unfolded, without the space around it."""
    return b" ".join(field.partition(b":")[2].split())


def named(fields: Sequence[bytes], wanted: bytes) -> list[bytes]:
    """All fields of that name (lower case)."""
    return [field for field in fields if name(field) == wanted]


def without(fields: Sequence[bytes], names: Collection[bytes], prefixes: tuple[bytes, ...] = ()) -> list[bytes]:
    """The fields but those whose name is one of `names` or begins with one of `prefixes` (all lower case)."""
    return [
        field for field in fields if name(field) not in names and not (prefixes and name(field).startswith(prefixes))
    ]


def tidy(head: bytes) -> list[bytes]:
    """The fields of a header section, fit to go out: every line ends in CRLF and holds no other CR.

    Lines that belong to no field are dropped where they would grow onto a field put before them: a folded line at the very
    top, and mbox's "From " line. Everything else stays byte for byte.
    """
    if head and not head.endswith(b"\n"):
        head += CRLF
    if head.count(b"\r") != head.count(CRLF) or head.count(b"\n") != head.count(CRLF):
        head = b"".join(line.rstrip(b"\r\n").replace(b"\r", b" ") + CRLF for line in _lines(head))
    fields = split(head)
    while fields and (fields[0][:1] in (b" ", b"\t") or fields[0].startswith((b"From ", b">From "))):
        del fields[0]
    return fields


def signed(fields: Sequence[bytes]) -> frozenset[bytes]:
    """The names (lower case) that any DKIM signature of the message covers, present or not (RFC 6376 section 3.5, h=)."""
    covered: set[bytes] = set()
    for signature in named(fields, b"dkim-signature"):
        for tag in b"".join(signature.partition(b":")[2].split()).split(b";"):
            key, _, value = tag.partition(b"=")
            if key == b"h":
                covered.update(value.lower().split(b":"))
    return frozenset(covered)


# New fields -----------------------------------------------------------------------------------------------------------
def plain(text: str) -> str:
    """The text on one line: every control, line end and direction mark becomes a space."""
    bad = ("Cc", "Cs", "Zl", "Zp")
    marks = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they would turn the address shown behind a name
    return " ".join("".join(" " if unicodedata.category(c) in bad or c in marks else c for c in text).split())


def encoded(text: str) -> list[str]:
    """The text as encoded words (RFC 2047), no character split between two."""
    words, chunk = [], b""
    for character in text:
        piece = character.encode("utf-8", "replace")
        if len(chunk) + len(piece) > WORD_BYTES:
            words.append(chunk)
            chunk = b""
        chunk += piece
    return [f"=?utf-8?b?{b64encode(word).decode()}?=" for word in (*words, chunk) if word]


def _fold(name: str, words: Sequence[str]) -> bytes:
    lines, line = [], f"{name}:"
    for at, word in enumerate(words):
        if at and len(line) + 1 + len(word) > FOLD_AT:
            lines.append(line)
            line = ""
        line += f" {word}"
    return "\r\n".join((*lines, line)).encode("ascii") + CRLF


def unstructured(name: str, text: str) -> bytes:
    """A field of free text (Subject), folded, in encoded words where it must be."""
    clean = plain(text)
    words = clean.split(" ")
    fits = clean.isascii() and "=?" not in clean and max(map(len, words)) < FOLD_AT
    return _fold(name, words if fits else encoded(clean))


def phrase(text: str) -> str:
    """A display name: as it is, quoted, or in encoded words (RFC 5322 section 3.2.5, RFC 2047 section 5)."""
    clean = plain(text)
    if not clean.isascii() or "=?" in clean or len(clean) > FOLD_AT - 10:
        return " ".join(encoded(clean))
    if not clean or _ATEXT.match(clean):
        return clean
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def mailbox(name: str, address: str, shown: str) -> bytes:
    """A field with one address and its display name. Raises ValueError if the address could end the field or the brackets."""
    return structured(name, [*_phrase_words(shown), f"<{safe(address)}>"])


def _phrase_words(shown: str) -> list[str]:
    written = phrase(shown)
    return [written] if written.startswith('"') else written.split(" ") if written else []


def safe(text: str) -> str:
    """`text` if it may stand between angle brackets: visible ASCII only. Raises ValueError."""
    if not _VISIBLE.fullmatch(text):
        raise ValueError("cannot stand between angle brackets in a header")
    return text


def structured(name: str, words: Sequence[str]) -> bytes:
    """A field of words that may be folded between; the caller has made each of them fit for its place."""
    return _fold(name, words)


def bracketed(name: str, *addresses: str) -> bytes:
    """A field of URLs in angle brackets, a comma between (RFC 2369 section 2)."""
    words = [f"<{safe(address)}>" for address in addresses]
    return _fold(name, [word + "," for word in words[:-1]] + words[-1:])


def list_id(title: str, slug: str, domain: str) -> bytes:
    """`List-Id: TITLE <SLUG.domain>` (RFC 2919 section 2)."""
    return mailbox("List-Id", f"{slug}.{domain}", title)


def message_ids(name: str, ids: Sequence[str]) -> bytes:
    """A field of Message-IDs with their brackets, those left out that could not stand there. b"" if none is left."""
    fit = [one for one in ids if one[:1] == "<" and one[-1:] == ">" and _is_safe(one[1:-1])]
    return _fold(name, fit) if fit else b""


def _is_safe(text: str) -> bool:
    try:
        return bool(safe(text))
    except ValueError:
        return False


def path(address: str) -> bytes:
    """An address as it stands between angle brackets in an envelope or a To field; UTF-8 where it is not ASCII (RFC 6531).

    Raises ValueError for one that could end the brackets or the line.
    """
    if _COMMON_PATH.fullmatch(address):
        return address.encode()
    local, _, domain = address.rpartition("@")
    quoted = len(local) > 2 and local[0] == local[-1] == '"'
    visible = all(c.isprintable() and c not in "<>\u2028\u2029" and (c != " " or quoted) for c in address)
    if not local or not domain or not visible or " " in domain or len(address) > 320:
        raise ValueError("is no mail address")
    return address.encode()
