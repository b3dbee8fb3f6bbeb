"""Messages out of directories of mail, for the tools that measure on real and hostile ones: single files, mailboxes, compressed or not."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

_OPEN = {".xz": lzma.open, ".gz": gzip.open}


def messages(where: Path) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each message below `where`; a file that is no mailbox is one message, whatever it holds."""
    for path in sorted(where.rglob("*")) if where.is_dir() else [where]:
        if path.is_file():
            yield from _of_file(path)


def _of_file(path: Path) -> Iterator[tuple[str, bytes]]:
    with _OPEN.get(path.suffix, open)(path, "rb") as file:
        first = file.readline()
        if not _separates(first):
            yield str(path), first + file.read()
            return
        number, lines, blank = 1, [], False
        for line in file:
            if blank and _separates(line):
                yield f"{path}#{number}", b"".join(lines)
                number, lines = number + 1, []
                continue
            blank = not line.rstrip(b"\r\n")
            lines.append(line[1:] if line.lstrip(b">").startswith(b"From ") and line[:1] == b">" else line)
        yield f"{path}#{number}", b"".join(lines)


def _separates(line: bytes) -> bool:
    """Whether the line stands between two messages of a mailbox."""
    return line.startswith(b"From ") and len(line) < 300
