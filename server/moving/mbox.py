"""Mbox files as streams of messages, in all the ways in which they are written: mboxo, mboxrd, mboxcl, MMDF (RFC 4155, appendix A).

Neutral bytes: what a message says is for a bridge to read. Memory is bounded by the largest message that is taken.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO

from server import clock, limits

MMDF = b"\x01\x01\x01\x01"
BEGINNING = 64 * 1024  # what is kept of a message that is too large
OURS = b"From junto-"  # how a separator begins that we wrote ourselves, with the post's number
PARENT = b"X-Junto-Parent: "  # how the first line of an entry of ours begins that names what its message answers
_LINE = 64 * 1024
_DATED = re.compile(rb"From .{0,300}?\b\d{1,2}:\d\d(?::\d\d)?\b.{0,40}?\b\d{4}\b")
_FIELD = re.compile(rb">?[!-9;-~]{1,200}[ \t]{0,9}:")
_WHEN = re.compile(
    rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d{1,2}) {1,2}(\d\d):(\d\d)(?::(\d\d))?\b.{0,40}?\b(\d{4})\b"
)
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_NUMBER = re.compile(re.escape(OURS) + rb"(gone-)?(\d{1,12})@")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_UNQUOTED = re.compile(rb"^(>*From )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Found:
    """A message as it lay there. `position`: where reading can go on after it. `at`: when it was put there, if that is told.

    `number`: the number that a post had where we wrote it out ourselves. `whole`: False if it is larger than a message may be, and
    `data` only its beginning. `gone`: only the place of a post that was taken back. `parent`: the name of what it answers, where we
    wrote that out.
    """

    data: bytes
    position: int
    at: int | None = None
    number: int | None = None
    whole: bool = True
    gone: bool = False
    parent: str | None = None


class _Tape:
    """A stream read by lines of bounded length, of which some can be put back."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self.position = file, start
        self._back, self._at = b"", 0

    def line(self) -> bytes:
        if self._at < len(self._back):
            end = self._back.find(b"\n", self._at, self._at + _LINE) + 1 or min(self._at + _LINE, len(self._back))
            found, self._at = self._back[self._at : end], end
            if not found.endswith(b"\n") and self._at >= len(self._back):
                found += self._file.readline(_LINE)
        else:
            found = self._file.readline(_LINE)
        self.position += len(found)
        return found

    def take(self, count: int) -> bytes:
        held = self._back[self._at : self._at + count]
        self._at += len(held)
        found = held + self._file.read(count - len(held))
        self.position += len(found)
        return found

    def back(self, data: bytes) -> None:
        self._back, self._at = data + self._back[self._at :], 0
        self.position -= len(data)


class _Message:
    """The lines of one message, as far as they are kept."""

    def __init__(self) -> None:
        self._kept = bytearray()  # a list of lines would hold fifty times as much where they are empty
        self.size = self.head = 0

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= limits.MESSAGE_BYTES:
            self._kept += data
        else:
            del self._kept[BEGINNING:]

    def found(self, separator: bytes, position: int, quoted: bool = True) -> Found:
        data = bytes(self._kept)
        if self.size > self.head and data.endswith(
            (b"\n\n", b"\n\r\n")
        ):  # the empty line belongs to the next separator
            data = data[:-2] if data.endswith(b"\r\n") else data[:-1]
        if quoted and b">From " in data:
            data = _QUOTED.sub(rb"\1", data)
        number = _NUMBER.match(separator)
        whole = self.size <= limits.MESSAGE_BYTES
        if number is None:
            return Found(data, position, when(separator), whole=whole)
        parent, data = _parent(data)
        return Found(data, position, when(separator), int(number[2]), whole, bool(number[1]), parent)


def _parent(data: bytes) -> tuple[str | None, bytes]:
    """What our own first line says that the message answers, and the message without it."""
    if not data.startswith(PARENT):
        return None, data
    line, _end, message = data.partition(b"\n")
    return line[len(PARENT) :].decode("utf-8", "replace").strip(), message


MISFITS = 50  # lengths that fit nothing: after so many none is tried, since each costs reading it twice


def looks_like(beginning: bytes) -> bool:
    """Whether a file that begins so is an mbox of some kind."""
    first = beginning.lstrip(b"\r\n")
    return first.startswith((b"From ", MMDF))


def looks_like_a_message(beginning: bytes) -> bool:
    """Whether a file that begins so is one message."""
    return bool(_FIELD.match(beginning)) and not beginning.startswith(b">")


def messages(file: BinaryIO, start: int = 0) -> Iterator[Found]:
    """The messages of an mbox, from a position on that this told earlier. `file` stands at that position."""
    tape = _Tape(file, start)
    line = tape.line()
    while line.strip() == b"" and line:
        line = tape.line()
    if line.startswith(MMDF):
        yield from _mmdf(tape)
    elif line:
        yield from _mbox(tape, line)


def _mbox(tape: _Tape, separator: bytes) -> Iterator[Found]:
    misfits = 0
    while separator:
        message = _Message()
        length = _head(tape, message)
        body = _counted(tape, length) if length is not None and misfits < MISFITS else None
        misfits += length is not None and body is None
        if body is not None:
            message.add(body)
            quoted = not re.search(rb"^From ", body, re.MULTILINE)  # who counts need not quote
            position = tape.position
            following = tape.line()
            while following.strip() == b"" and following:
                position, following = tape.position, tape.line()
            yield message.found(separator, position, quoted)
            separator = following
            continue
        following, position = _rest(tape, message)
        yield message.found(separator, position)
        separator = following


def _head(tape: _Tape, message: _Message) -> int | None:
    """Read a header section; what it says of the body's length."""
    length: int | None = None
    while line := tape.line():
        if line.startswith(b"From ") and message.size and _separates(line, b"", blank=False):
            tape.back(line)  # a message without body, and without the empty line after it
            return None
        message.add(line)
        message.head = message.size
        if line.strip() == b"":
            return length
        if line[:15].lower() == b"content-length:" and line[15:].strip()[:9].isdigit():
            length = int(line[15:].strip()[:9])
    return None


def _counted(tape: _Tape, length: int) -> bytes | None:
    """The body of that many bytes, if a separator follows it and none stands within; else nothing was read."""
    if length > limits.MESSAGE_BYTES:
        return None
    body = tape.take(length)
    after = b""
    while (line := tape.line()) and not line.strip() and len(after) < 100:
        after += line
    fits = len(body) == length and (not body or body.endswith(b"\n")) and (not line or _DATED.match(line) is not None)
    tape.back(after + line)
    if fits and not _separator_within(body):
        return body
    tape.back(body)
    return None


def _separator_within(body: bytes) -> bool:
    """So that no message can swallow those after it by a length that it made up."""
    for hit in re.finditer(rb"(?:\A|\n)\r?\n(From [^\n]{0,400})\n([^\n]{0,300})", body):
        if _DATED.match(hit[1]) and _FIELD.match(hit[2]):
            return True
    return False


def _rest(tape: _Tape, message: _Message) -> tuple[bytes, int]:
    """Read until the next separator; that one, and where it begins."""
    blank, whole_line = True, True
    while line := tape.line():
        if whole_line and line.startswith(b"From "):
            following = tape.line()
            tape.back(following)
            if _separates(line, following, blank):
                return line, tape.position - len(line)
        message.add(line)
        blank = whole_line and line.strip() == b""
        whole_line = line.endswith(b"\n")
    return b"", tape.position


def _separates(line: bytes, following: bytes, blank: bool) -> bool:
    """Whether the line begins a message: it has a date, or what follows is a header, or (without empty line before it) both."""
    dated, field = _DATED.match(line) is not None, _FIELD.match(following) is not None
    return (dated or field) if blank else (dated and field)


def _mmdf(tape: _Tape) -> Iterator[Found]:
    """Messages between lines of four Ctrl-A each."""
    message, separator = _Message(), b""
    while line := tape.line():
        if line.startswith(MMDF):
            if message.size:
                yield message.found(separator, tape.position, quoted=False)
                message, separator = _Message(), b""
        elif not message.size and not separator and line.startswith(b"From "):
            separator = line
        else:
            message.add(line)
            message.head = message.size  # no line here is a separator's
    if message.size:
        yield message.found(separator, tape.position, quoted=False)


def when(separator: bytes) -> int | None:
    """The time that a separator tells, in milliseconds; None for none and for the epoch, which writers put there for none."""
    found = _WHEN.search(separator)
    if found is None:
        return None
    month, day, hour, minute, second, year = found.groups()
    try:
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    return calendar.timegm(moment.utctimetuple()) * clock.SECOND or None


def entry(message: bytes, at: int, sender: str) -> bytes:
    """One message of an mbox that we write: its separator, its lines with LF, ">" before each "From " and ">From " (mboxrd)."""
    stamp = datetime.fromtimestamp(at / 1000, UTC).strftime("%a %b %e %H:%M:%S %Y")
    body = message.replace(b"\r\n", b"\n")
    if not body.endswith(b"\n"):
        body += b"\n"
    return f"From {sender} {stamp}\n".encode() + _UNQUOTED.sub(rb">\1", body) + b"\n"
