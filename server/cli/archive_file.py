"""The file that a backup is: a tar of a manifest, the configuration, the database's copy and the data directory. Knows no database.

Its last member says what all the others must be, so that a backup that lost or changed a byte is not taken for whole.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from server.cli import private_file
from server.errors import CommandError
from server.i18n import _

FORMAT = 1
MANIFEST, CONFIG, DATABASE, DATA, SEAL = "manifest.json", "junto.toml", "database", "data", "seal"
FACTS = ("engine", "schema", "made_at")  # of the manifest, that a restore needs
SMALL = 10 * 1024 * 1024  # the manifest and the configuration are read into memory
_PIECE = 1 << 20


class _Hashed:
    """A stream that notes what is read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._hash.update(piece)
        return piece

    def of(self, name: str) -> bytes:
        """What the seal is made of, for a member of that name."""
        return f"{self._hash.hexdigest()} {name}\n".encode("utf-8", "surrogateescape")


class Writer:
    """An archive that is being written."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self._all = hashlib.sha256()
        self.count = 0

    def text(self, name: str, text: str) -> None:
        """Add a small text as a file."""
        info = tarfile.TarInfo(name)
        raw = text.encode()
        info.size, info.mode = len(raw), 0o600
        self._add(info, io.BytesIO(raw))

    def _add(self, info: tarfile.TarInfo, source: IO[bytes]) -> None:
        noted = _Hashed(source)
        self._tar.addfile(info, noted)
        self._all.update(noted.of(info.name))

    def seal(self) -> None:
        """The last member."""
        self.text(SEAL, self._all.hexdigest())

    def file(self, name: str, path: Path) -> None:
        """Add a file; one that went away meanwhile is left out (a temporary one)."""
        try:
            source = path.open("rb")
        except FileNotFoundError:
            return
        with source:
            info = self._tar.gettarinfo(arcname=name, fileobj=source)
            info.uname = info.gname = ""
            info.uid = info.gid = 0
            self._add(info, source)
        self.count += 1

    def tree(self, top: Path, but_not: set[Path]) -> None:
        """Add every regular file under `top`; links are left out, they may lead anywhere."""
        for folder, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink() and path.resolve() not in but_not:
                    self.file(f"{DATA}/{path.relative_to(top).as_posix()}", path)


@contextmanager
def written(path: Path) -> Iterator[Writer]:
    """A new archive at `path`, there only when it is whole and on the disk. Raises CommandError where there is a file already."""
    if path.exists():
        raise CommandError(_("There is a {path} already: give the backup another name.").format(path=path))
    part = path.with_name(path.name + ".part")
    try:
        with private_file.create(part) as file:
            with tarfile.open(fileobj=file, mode="w:gz" if path.suffix in (".gz", ".tgz") else "w") as tar:
                writer = Writer(tar)
                yield writer
                writer.seal()
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except FileExistsError:
        raise CommandError(
            _("There is a {path} already, of a backup that broke off: remove it.").format(path=part)
        ) from None
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Reader:
    """An archive that is being read."""

    tar: tarfile.TarFile
    manifest: dict[str, Any]

    def text(self, name: str) -> str:
        """A small text of the archive. Raises CommandError if it is not there."""
        return _text(self.tar, name)

    def unpack(self, data_dir: Path, database: Path, but_not: set[Path]) -> None:
        """Write the data directory's files, and the database's copy to `database`; no file may be one of `but_not`.

        Raises CommandError for a name that leads out, and where anything is not as it was written.
        """
        seal, all_ = "", hashlib.sha256()
        for member in self.tar:
            if seal or not member.isreg() or member.issparse():
                raise _stranger(member.name)
            if member.name == SEAL:
                seal = _text(self.tar, SEAL)
                continue
            source = self.tar.extractfile(member)
            assert source is not None  # of a regular file
            with source:
                noted = _Hashed(source)
                if member.name in (MANIFEST, CONFIG):
                    while noted.read(_PIECE):
                        pass
                else:
                    self._write(noted, member, _place(member.name, data_dir, database, but_not))
            all_.update(noted.of(member.name))
        if not database.exists():
            raise CommandError(_("This is no whole backup: it holds no database."))
        if not hmac.compare_digest(seal, all_.hexdigest()):
            raise CommandError(_("The backup is damaged or not whole: what it holds is not what was written."))

    def _write(self, source: _Hashed, member: tarfile.TarInfo, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if member.size > shutil.disk_usage(path.parent).free:
            raise CommandError(_("There is no room for {name} in {place}.").format(name=member.name, place=path.parent))
        with private_file.create(path, member.mode) as target:
            shutil.copyfileobj(source, target, _PIECE)
            target.flush()
            os.fsync(target.fileno())


def _place(name: str, data_dir: Path, database: Path, but_not: set[Path]) -> Path:
    """Where the member goes. Raises CommandError for one that is none of ours."""
    if name == DATABASE:
        return database
    parts = PurePosixPath(name).parts
    path = data_dir.joinpath(*parts[1:])
    if parts[:1] != (DATA,) or len(parts) < 2 or ".." in parts or path == database or path.resolve() in but_not:
        raise _stranger(name)
    return path


def _stranger(name: str) -> CommandError:
    return CommandError(_("This is no backup of ours: it holds {name}.").format(name=ascii(name)[1:-1]))


@contextmanager
def read(path: Path) -> Iterator[Reader]:
    """A backup's archive. Raises CommandError if the file is none, or of a format that this version does not know."""
    try:
        with tarfile.open(path) as tar:
            manifest = json.loads(_text(tar, MANIFEST))
            if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), str) for key in FACTS):
                raise CommandError(_("This is no backup of ours: its {name} cannot be read.").format(name=MANIFEST))
            if manifest.get("format") != FORMAT:
                raise CommandError(_("This backup was made by a newer Junto: install that version first."))
            yield Reader(tar, manifest)
    except tarfile.ReadError:  # of several lines, one for each way in which it was tried
        raise CommandError(_("{path} is no whole backup of ours.").format(path=path)) from None
    except (tarfile.TarError, ValueError, EOFError, zlib.error, gzip.BadGzipFile, RecursionError) as problem:
        raise CommandError(_("{path} is no whole backup: {problem}").format(path=path, problem=problem)) from None


def _text(tar: tarfile.TarFile, name: str) -> str:
    try:
        member = tar.getmember(name)
    except KeyError:
        raise CommandError(_("This is no backup of ours: it holds no {name}.").format(name=name)) from None
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or member.issparse() or member.size > SMALL:
        raise CommandError(_("This is no backup of ours: its {name} cannot be read.").format(name=name))
    return source.read().decode()
