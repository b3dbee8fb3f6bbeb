"""The file of what could not be taken in: an mbox, each message with the reason on top, fit to be mended and imported again."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from server.content.sanitize import plain_line
from server.errors import CommandError
from server.i18n import _
from server.moving import mbox
from server.moving.mbox import Found

_SENDER = "rejected"
_REASON_CHARS = 300


class Rejections:
    """Made with the first message that is refused. `resumed`: a run before this one may have begun it."""

    def __init__(self, path: Path, resumed: bool) -> None:
        self.path, self._resumed = path, resumed
        self._file: BinaryIO | None = None

    def add(self, found: Found, source: Path, number: int, reason: str, now: int) -> None:
        """A message that cannot be taken. It is on the disk after `flush`."""
        file = self._file or self._open()
        said = plain_line(
            _("{source}, message {number}: {reason}").format(source=source, number=number, reason=reason), _REASON_CHARS
        )
        head = b"X-Junto-Rejected: " + said.encode("utf-8", "replace") + b"\n"
        file.write(mbox.entry(head + found.data, found.at or now, _SENDER))

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO:
        if self.path.exists() and not self._resumed:
            with self.path.open("rb") as old:
                if not old.readline().startswith(f"From {_SENDER} ".encode()):
                    raise CommandError(
                        _("There is a {path} already: name another file with --rejected.").format(path=self.path)
                    )
        self._file = self.path.open("ab" if self._resumed else "wb")
        return self._file
