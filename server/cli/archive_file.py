"""The file that a backup is: a tar of a manifest, the configuration, the database's copy and the data directory. Knows no database."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from server.cli import private_file
from server.errors import CommandError
from server.i18n import _

FORMAT = 1
MANIFEST, CONFIG, DATABASE, DATA = "manifest.json", "junto.toml", "database", "data"
SMALL = 10 * 1024 * 1024  # the manifest and the configuration are read into memory


class Writer:
    """An archive that is being written."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.count = 0

    def text(self, name: str, text: str) -> None:
        """Add a small text as a file."""
        info = tarfile.TarInfo(name)
        raw = text.encode()
        info.size, info.mode = len(raw), 0o600
        self._tar.addfile(info, io.BytesIO(raw))

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
            self._tar.addfile(info, source)
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
                yield Writer(tar)
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

    def unpack(self, data_dir: Path, database: Path) -> None:
        """Write the data directory's files, and the database's copy to `database`. Raises CommandError for a name that leads out."""
        for member in self.tar:
            parts = PurePosixPath(member.name).parts
            if member.name == DATABASE:
                self._write(member, database)
            elif parts[:1] == (DATA,):
                if not member.isreg() or len(parts) < 2 or ".." in parts or PurePosixPath(member.name).is_absolute():
                    raise CommandError(_("This is no backup of ours: it holds {name}.").format(name=member.name))
                self._write(member, data_dir.joinpath(*parts[1:]))

    def _write(self, member: tarfile.TarInfo, path: Path) -> None:
        source = self.tar.extractfile(member)
        assert source is not None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with source, private_file.create(path, member.mode) as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())


@contextmanager
def read(path: Path) -> Iterator[Reader]:
    """A backup's archive. Raises CommandError if the file is none, or of a format that this version does not know."""
    try:
        with tarfile.open(path) as tar:
            manifest = json.loads(_text(tar, MANIFEST))
            if manifest.get("format") != FORMAT:
                raise CommandError(_("This backup was made by a newer Junto: install that version first."))
            yield Reader(tar, manifest)
    except (tarfile.TarError, ValueError, EOFError) as problem:
        raise CommandError(_("{path} is no whole backup: {problem}").format(path=path, problem=problem)) from None


def _text(tar: tarfile.TarFile, name: str) -> str:
    try:
        member = tar.getmember(name)
    except KeyError:
        raise CommandError(_("This is no backup of ours: it holds no {name}.").format(name=name)) from None
    source = tar.extractfile(member)
    if source is None or member.size > SMALL:
        raise CommandError(_("This is no backup of ours: its {name} cannot be read.").format(name=name))
    return source.read().decode()
