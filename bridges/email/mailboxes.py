"""Mailboxes in an address field (RFC 5322 section 3.4), read in one walk without recursion. Pure; never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from bridges.email import fields
from bridges.email.addresses import normal
from server import limits

_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/=_?.'")
_ADDRESS = frozenset(range(0x21, 0x100)) - frozenset(b'"(),:;<>[\\]')
READ_BYTES = 32 * 1024  # of one field

_PLAIN = re.compile(rb'[^"(<,;:=]+')  # what means nothing but itself


@dataclass(frozen=True, slots=True)
class Named:
    """A display name ("" if none) and a normalised address."""

    name: str
    address: str


@dataclass(slots=True)
class _State:
    """What was gathered of the mailbox that is being read."""

    phrase: bytearray = field(default_factory=bytearray)
    comment: bytearray = field(default_factory=bytearray)
    angle: bytes | None = None


def mailboxes(value: bytes) -> list[Named]:
    """The mailboxes that have a usable address, those in groups too, in the order of the field."""
    found: list[Named] = []
    state = _State()
    data = value[:READ_BYTES]
    at = 0
    while at < len(data) and len(found) < fields.MAILBOXES:
        c = data[at]
        word = fields.encoded_word(data, at) if data.startswith(b"=?", at) else None
        if word is not None:  # whatever stands in it, bare colons and commas too
            state.phrase += data[at : word[2]]
            at = word[2]
        elif c == 0x22:  # "
            at = _quoted(data, at, state.phrase)
        elif c == 0x28:  # (
            at = _comment(data, at, state.comment)
        elif c == 0x3C and state.angle is None:  # <
            end = data.find(b">", at)
            end = len(data) if end < 0 else end
            state.angle = data[at + 1 : end]
            at = end + 1
        elif c in b",;":
            _finish(state, found)
            state = _State()
            at += 1
        elif c == 0x3A and b"@" not in state.phrase:  # the name of a group ends
            state = _State()
            at += 1
        else:
            plain = _PLAIN.match(data, at)
            end = plain.end() if plain is not None else at + 1
            state.phrase += data[at:end]
            at = end
    _finish(state, found)
    return found


def is_plain(value: bytes) -> bool:
    """Whether the field names one mailbox in a way that no reader can take for another: no list, no group, no second address.

    Stricter than RFC 5322: an address in a name without quotes, or a local part in quotes, is not plain.
    """
    data = value[:READ_BYTES]
    at, signs, angle = 0, 0, False
    while at < len(data):
        c = data[at]
        word = fields.encoded_word(data, at) if data.startswith(b"=?", at) else None
        if word is not None:
            if not _WORD.issuperset(data[at : word[2]]):
                return False  # other readers end the word where a blank or a bracket stands (RFC 2047 section 5)
            at = word[2]
        elif c in b'"(':
            at = _quoted(data, at, bytearray()) if c == 0x22 else _comment(data, at, bytearray())
        elif c == 0x3C:  # <
            end = data.find(b">", at)
            inner = data[at + 1 : end]
            if angle or signs or end < 0 or inner.count(b"@") != 1 or not _ADDRESS.issuperset(inner.strip()):
                return False
            at, angle = end + 1, True
        elif c in b",:;>\0" or (angle and c not in b" \t\r\n"):
            return False
        else:
            signs += c == 0x40  # @
            at += 1
    return angle or signs == 1


def _quoted(data: bytes, at: int, into: bytearray) -> int:
    """Copy a quoted string with its quotes, without its backslashes; answer where it ends."""
    into.append(0x22)
    at += 1
    while at < len(data) and data[at] != 0x22:
        if data[at] == 0x5C and at + 1 < len(data):
            at += 1
        into.append(data[at])
        at += 1
    into.append(0x22)
    return at + 1


def _comment(data: bytes, at: int, into: bytearray) -> int:
    """Copy the text of a comment, its nested brackets included; answer where it ends."""
    depth, at = 1, at + 1
    while at < len(data):
        c = data[at]
        if c == 0x5C and at + 1 < len(data):
            at += 1
            c = data[at]
        elif c == 0x28:
            depth += 1
        elif c == 0x29:
            depth -= 1
            if depth == 0:
                return at + 1
        into.append(c)
        at += 1
    return at


def _finish(state: _State, found: list[Named]) -> None:
    phrase = bytes(state.phrase).strip()
    if state.angle is not None:
        spec = state.angle.rpartition(b":")[2] if state.angle.startswith(b"@") else state.angle  # a source route
        name = phrase.replace(b'"', b"")
    else:
        # "ana@x.test (Ana)", the way of old; or "Ana ana@x.test", which is no way at all
        before, _, spec = phrase.rpartition(b" ")
        if b'"' in phrase:
            before, spec = b"", phrase
        name = before or bytes(state.comment)
    # RFC 5322 section 4.4 allowed blanks around the dots and the @
    address = normal((spec if b'"' in spec else b"".join(spec.split())).decode("utf-8", "replace"))
    if address:
        found.append(Named(fields.plain(fields.words(name), limits.NAME_CHARS), address))
