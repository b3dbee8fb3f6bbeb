"""Files that came with posts: the blob directory, of which this is the only reader and writer, and what a file may be called.

A blob is named by the SHA-256 of its bytes and never changes. What `put` has answered survives a power cut.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import secrets
import unicodedata
from pathlib import Path
from typing import BinaryIO

from server.errors import NotFound, StoreUnavailable
from server.i18n import _

FILENAME_CHARS = 120
UNKNOWN = "application/octet-stream"
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\Z")
_ALIASES = {"image/jpg": "image/jpeg", "image/pjpeg": "image/jpeg", "image/x-png": "image/png"}
_PICTURES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))


class Blobs:
    """The blob directory, `path`/ab/cdef…; safe for several writers at once.

    `refused`: how many bytes the last file had that the disk did not take; 0 once it takes some again.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._root = Path(path)
        self.refused = 0

    def put(self, data: bytes) -> str:
        """Store the bytes and answer their name, a hex SHA-256. Raises StoreUnavailable when the disk does not take them."""
        name = hashlib.sha256(data).hexdigest()
        target = self.path(name)
        try:
            self._folder(target.parent)
            if not (target.exists() and target.stat().st_size == len(data)):
                _write(target, data)
            _sync(target.parent)  # also when it was there: another writer may not have come so far
        except OSError as error:
            self.refused = len(data)
            raise StoreUnavailable("our disk does not take attachments, please try again later") from error
        self.refused = 0
        return name

    def get(self, hash: str) -> bytes:
        """The bytes of that name. Raises NotFound, also for what is no name of a blob; StoreUnavailable on a disk error."""
        try:
            with self.open(hash) as file:
                return file.read()
        except OSError as error:
            raise StoreUnavailable("our disk does not answer, please try again later") from error

    def open(self, hash: str) -> BinaryIO:
        """The same, to be read piece by piece; who asks closes it."""
        try:
            return self.path(hash).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"there is no attachment {hash}") from error
        except OSError as error:
            raise StoreUnavailable("our disk does not answer, please try again later") from error

    def path(self, hash: str) -> Path:
        """Where the blob of that name lies, if there is one. Raises NotFound for what is no name of a blob."""
        if not _HASH.match(hash):
            raise NotFound("that is no name of an attachment")
        return self._root / hash[:2] / hash[2:]

    def _folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        missing = [folder]
        while not missing[-1].parent.is_dir():
            missing.append(missing[-1].parent)
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            _sync(each.parent)


def _write(target: Path, data: bytes) -> None:
    """Write beside, then rename: a reader sees the whole file or none."""
    draft = target.with_name(f".{target.name[:8]}.{secrets.token_hex(8)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _sync(folder: Path) -> None:
    """Make the names in a directory durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def filename(name: str) -> str:
    """A name to offer for saving: no path, no control or direction characters, at most 120 characters with its ending kept."""
    name = re.split(r"[/\\]", name[:4_000])[-1]
    name = "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
    name = " ".join(re.sub(r'[<>:"|?*]', "_", name).split()).strip(". ")
    if len(name) > FILENAME_CHARS:
        stem, dot, ending = name.rpartition(".")
        ending = dot + ending if stem and len(ending) <= 10 else ""
        name = name[: FILENAME_CHARS - len(ending)].rstrip(". ") + ending
    return name or _("attachment")


def media_type(name: str, declared: str, data: bytes) -> str:
    """The media type in lower case without parameters (RFC 6838 section 4.2).

    An empty or malformed one is guessed from the name. What says that it is a PNG, JPEG, GIF or WebP picture and is not is
    application/octet-stream; what says nothing and is one by its bytes and its name is that picture.
    """
    kind = declared.partition(";")[0].strip().lower()
    kind = _ALIASES.get(kind, kind)
    if not _MEDIA_TYPE.match(kind) or kind == UNKNOWN:
        kind = mimetypes.guess_type(filename(name), strict=True)[0] or UNKNOWN
    return UNKNOWN if kind in _PICTURES and picture(data) != kind else kind


def picture(data: bytes) -> str | None:
    """The media type of a PNG, JPEG, GIF or WebP picture by its first bytes, else None."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None
