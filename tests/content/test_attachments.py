"""The blob directory, and what a file that came with a post may be called."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.content import attachments
from server.content.attachments import Blobs, filename, media_type
from server.errors import NotFound, StoreUnavailable

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", 640, 480) + b"\x08\x06\x00\x00\x00"
GIF = b"GIF89a" + struct.pack("<HH", 64, 48) + b"\x00"
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc0\x00\x11\x08" + struct.pack(">HH", 48, 64) + b"\x03"


def test_what_was_put_can_be_got_by_its_hash(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "var" / "blobs")
    name = blobs.put(b"tide table")
    assert name == hashlib.sha256(b"tide table").hexdigest()
    assert blobs.get(name) == b"tide table"
    with blobs.open(name) as file:
        assert (file.read(4), file.read()) == (b"tide", b" table")
    assert blobs.path(name) == tmp_path / "var" / "blobs" / name[:2] / name[2:]


def test_files_and_directories_are_for_the_owner_only(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    path = blobs.path(blobs.put(b"x"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_the_same_content_twice_is_written_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    path = blobs.path(blobs.put(b"x" * 1000))
    before = path.stat()
    blobs.put(b"x" * 1000)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_torn_file_is_mended_by_the_next_put(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.put(b"whole")
    blobs.path(name).write_bytes(b"who")
    blobs.put(b"whole")
    assert blobs.get(name) == b"whole"


def test_file_and_directory_are_synced_before_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        synced.append("directory" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    Blobs(tmp_path).put(b"x")
    assert synced[-2:] == ["file", "directory"]


def test_a_disk_that_takes_nothing_is_a_temporary_failure_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(attachments.os, "fsync", full)
    blobs = Blobs(tmp_path)
    with pytest.raises(StoreUnavailable):
        blobs.put(b"x")
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", "a" * 32 + "/" + "a" * 31, "ä" * 64]
)
def test_what_is_no_hash_is_not_found(tmp_path: Path, name: str) -> None:
    blobs = Blobs(tmp_path)
    with pytest.raises(NotFound):
        blobs.get(name)
    with pytest.raises(NotFound):
        blobs.path(name)


def test_an_unknown_hash_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Blobs(tmp_path).get("a" * 64)


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\pump.pdf", "pump.pdf"),
        ("a\r\nb\x00.txt", "ab.txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("  .hidden. ", "hidden"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("Gezeiten für März.ods", "Gezeiten für März.ods"),
        ("", "attachment"),
        ("..", "attachment"),
        ("x" * 300 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
def test_a_file_name_is_a_name_only(given_name: str, kept: str) -> None:
    assert filename(given_name) == kept


@given(st.text())
def test_every_name_becomes_a_safe_one(name: str) -> None:
    safe = filename(name)
    assert 0 < len(safe) <= 120
    assert not set(safe) & set('/\\\r\n\x00<>"')
    assert filename(safe) == safe


@pytest.mark.parametrize(
    ("name", "declared", "data", "kind"),
    [
        ("a.PNG", "Image/PNG; name=a", PNG, "image/png"),
        ("a.jpg", "image/jpg", JPEG, "image/jpeg"),
        ("a.png", "image/png", b"<script>", "application/octet-stream"),
        ("a.png", "image/png", JPEG, "application/octet-stream"),
        ("a.png", "application/octet-stream", PNG, "image/png"),
        ("a.png", "", b"x", "application/octet-stream"),
        ("a.pdf", "no type", b"x", "application/pdf"),
        ("a", "text/html\r\nX: y", b"x", "application/octet-stream"),
        ("a.txt", "text/plain", b"x", "text/plain"),
        ("a.svg", "image/svg+xml", b"<svg>", "image/svg+xml"),
    ],
)
def test_a_media_type_is_well_formed_and_no_lie_about_pictures(
    name: str, declared: str, data: bytes, kind: str
) -> None:
    assert media_type(name, declared, data) == kind
