"""The file of what could not be taken in: an mbox, each message with the reason on top, fit to be mended and imported again.

It is only ever added to, and never a file that is being read. What it holds already is not written again, so that a run that was
killed, or made twice, leaves each message in it once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from server import limits
from server.content.sanitize import plain_line
from server.errors import CommandError
from server.i18n import _
from server.moving import mbox
from server.moving.mbox import Found

_SENDER = "rejected"
_SEPARATOR = f"From {_SENDER} ".encode()
_REASON_CHARS = 300
_LINE = 64 * 1024
_MARK = 16


def file_for(slug: str, wanted: Path | None, read: Sequence[Path]) -> Path:
    """Where they go: where the operator says, else to a file here that is not among those that are `read`.

    Raises CommandError where the operator names one of these, or a file that is no such file.
    """
    if wanted is not None:
        if _among(wanted, read):
            raise CommandError(_("{path} is what is read here: name another file with --rejected.").format(path=wanted))
        path = wanted
    else:
        names = (Path(f"{slug}-rejected{ending}.mbox") for ending in ("", *(f"-{n}" for n in range(2, len(read) + 3))))
        path = next(path for path in names if not _among(path, read))
    if path.exists() and not _is_ours(path):
        raise CommandError(_("There is a {path} already: name another file with --rejected.").format(path=path))
    return path


class Rejections:
    """Opened with the first message that is refused. `added_to`: the file was there before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.added_to = path.exists()
        self._file: BinaryIO | None = None
        self._there: set[bytes] = set()
        self._end: bytes | None = None
        self._written = False

    def add(self, found: Found, source: Path, number: int, reason: str, now: int) -> None:
        """A message that cannot be taken. It is on the disk after `flush`."""
        file = self._file or self._open()
        said = plain_line(
            _("{source}, message {number}: {reason}").format(source=source, number=number, reason=reason), _REASON_CHARS
        )
        head = b"X-Junto-Rejected: " + said.encode("utf-8", "replace") + b"\n"
        entry = mbox.entry(head + found.data, found.at or now, _SENDER)
        body = entry[entry.index(b"\n") + 1 :]  # the separator has a time that may be another one now
        mark = _mark(body)
        if mark in self._there:
            return
        self._there.add(mark)
        if self._end is None:
            file.write(entry)
        elif self._end and body.startswith(self._end):  # the run that wrote it was killed in the middle of this one
            file.write(body[len(self._end) :])
        else:
            file.write(b"\n\n" + entry)
        self._end, self._written = None, True

    def flush(self) -> None:
        if self._file is not None and self._written:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._written = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        """See what is in it, and how it ends where that is not the end of a message."""
        self._file = self.path.open("a+b")
        start = _each(self._file, self._there)
        self._file.seek(start)
        last = self._file.read(limits.MESSAGE_BYTES + _LINE)
        whole = last.endswith(b"\n\n") or self._file.tell() == 0
        self._end = None if whole else last
        return self._file


def _each(file: BinaryIO, marks: set[bytes]) -> int:
    """Put a mark of each entry into `marks`; where the last one begins after its separator."""
    start = at = 0
    mark = hashlib.blake2b(digest_size=_MARK)
    file.seek(0)
    fresh = True
    while line := file.readline(_LINE):
        at += len(line)
        if fresh and line.startswith(_SEPARATOR):
            marks.add(mark.digest())
            mark, start = hashlib.blake2b(digest_size=_MARK), at
        else:
            mark.update(line)
        fresh = line.endswith(b"\n")
    marks.add(mark.digest())
    return start


def _mark(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_MARK).digest()


def _among(path: Path, read: Sequence[Path]) -> bool:
    return path.exists() and any(path.samefile(each) for each in read)


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SEPARATOR)) in (b"", _SEPARATOR)
