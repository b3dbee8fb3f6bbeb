"""What an operator points at: mbox files (packed or not), Maildirs, single messages, and folders of all these. Finds and opens them."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from server import limits
from server.errors import CommandError, JuntoError
from server.i18n import _
from server.moving import mbox
from server.moving.mbox import Found

_SAMPLE = 64 * 1024
_BEGINNING = 1_024
_PACKED: dict[bytes, Callable[..., Any]] = {b"\xfd7zXZ\x00": lzma.open, b"\x1f\x8b": gzip.open, b"BZh": bz2.open}
_BROKEN = (EOFError, lzma.LZMAError, zlib.error, OSError)


class UnreadableError(JuntoError):
    """A file that cannot be read to its end."""


class Source(Protocol):
    """Old messages in one place. `size` in bytes on the disk; `key` tells it from others, None where nothing safe does."""

    path: Path
    size: int
    key: str | None

    def messages(self, start: int) -> Iterator[tuple[Found, int]]:
        """From that position on: each message, and how many bytes on the disk were read so far. Raises UnreadableError."""


@dataclass(slots=True)
class MboxFile:
    """An mbox, or one message, in a file."""

    path: Path
    size: int
    key: str | None
    alone: bool

    def messages(self, start: int) -> Iterator[tuple[Found, int]]:
        """Where the file is packed, what lies before `start` is unpacked and passed over."""
        try:
            with _opened(self.path) as (file, disk):
                if self.alone:
                    yield _message(file, None), self.size
                    return
                _skip(file, start)
                for found in mbox.messages(file, start):
                    yield found, disk.tell()
        except _BROKEN as problem:
            raise UnreadableError(_("{path}: {problem}").format(path=self.path, problem=problem)) from problem


@dataclass(slots=True)
class Maildir:
    """A folder with cur and new. A message's name there changes with its flags, so reading always begins anew."""

    path: Path
    size: int
    key: str | None = None

    def messages(self, start: int) -> Iterator[tuple[Found, int]]:
        """In the order of names, which begin with the time of delivery."""
        read = 0
        for file in _mails(self.path):
            try:
                with file.open("rb") as opened:
                    facts = os.fstat(opened.fileno())
                    found = _message(opened, int(facts.st_mtime * 1000))
            except FileNotFoundError:
                continue  # a mail program moved it meanwhile: it was read, or comes with the next run
            except OSError as problem:
                raise UnreadableError(_("{path}: {problem}").format(path=file, problem=problem)) from problem
            read += facts.st_size
            yield found, read


def find(paths: Sequence[Path]) -> tuple[list[Source], list[Path]]:
    """The sources at these paths, in order, those in folders by name; and the files in folders that are none.

    Raises CommandError for a path that is not there or is no source.
    """
    sources: list[Source] = []
    passed: list[Path] = []
    for path in paths:
        if path.is_dir():
            found, others = _in_folder(path)
            if not found:
                raise CommandError(_("{path} holds no mbox, no Maildir and no message.").format(path=path))
            sources += found
            passed += others
        elif path.exists():
            one = _of_file(path)
            if one is None:
                raise CommandError(_("{path} is no mbox and no message.").format(path=path))
            sources.append(one)
        else:
            raise CommandError(_("There is no {path}.").format(path=path))
    return sources, passed


def _in_folder(top: Path) -> tuple[list[Source], list[Path]]:
    sources: list[Source] = []
    passed: list[Path] = []
    for name, folders, files in os.walk(top):
        folder = Path(name)
        if {"cur", "new"} <= {*folders}:
            folders[:] = sorted({*folders} - {"cur", "new", "tmp"})
            sources.append(Maildir(folder, sum(file.stat().st_size for file in _mails(folder))))
            continue
        folders.sort()
        for each in sorted(files, key=lambda file: (int(file) if file.isdecimal() else 0, file)):
            one = _of_file(folder / each)
            if one is None:
                passed.append(folder / each)
            else:
                sources.append(one)
    return sources, passed


def _mails(folder: Path) -> list[Path]:
    files = [file for part in ("new", "cur") if (folder / part).is_dir() for file in (folder / part).iterdir()]
    return sorted((file for file in files if file.is_file() and not file.name.startswith(".")), key=lambda f: f.name)


def _of_file(path: Path) -> MboxFile | None:
    """An empty file is an mbox without messages. One that cannot be read is a source too, which says so when its turn comes."""
    if not path.is_file():
        return None
    try:
        with _opened(path) as (file, _disk):
            beginning = file.read1(_BEGINNING)  # `read` would wait for all of that, and a file that was cut has less
    except _BROKEN:
        return MboxFile(path, path.stat().st_size, None, alone=False)
    if beginning and not mbox.looks_like(beginning) and not mbox.looks_like_a_message(beginning):
        return None
    alone = bool(beginning) and not mbox.looks_like(beginning)
    return MboxFile(path, path.stat().st_size, None if alone else _key(path), alone)


def _key(path: Path) -> str:
    """The same for the same file under another name, another one once something was added."""
    mark = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        mark.update(f"{size}:".encode() + file.read(_SAMPLE))
        file.seek(max(0, size - _SAMPLE))
        mark.update(file.read(_SAMPLE))
    return mark.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedReader[Any], BinaryIO]]:
    """The file unpacked, and as it lies on the disk, to see how far it was read."""
    with path.open("rb") as disk:
        magic = disk.read(6)
        disk.seek(0)
        unpack = next((opener for sign, opener in _PACKED.items() if magic.startswith(sign)), None)
        if unpack is None:
            yield disk, disk
            return
        # A line at a time is read in C only through a buffer of its own.
        with unpack(disk, "rb") as file, io.BufferedReader(cast(io.RawIOBase, file), _SAMPLE) as lines:
            yield lines, disk


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0 and (passed := len(file.read(min(count, 1 << 20)))):
        count -= passed


def _message(file: BinaryIO, at: int | None) -> Found:
    data = file.read(limits.MESSAGE_BYTES + 1)
    if len(data) <= limits.MESSAGE_BYTES:
        return Found(data, 1, at)
    return Found(data[: mbox.BEGINNING], 1, at, whole=False)
