"""One file with everything, put back elsewhere."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.bridge import Attachment
from server.cli import archive_file
from server.cli.context import opened
from server.desk import forums
from server.moderation import audit
from tests.cli.conftest import Operator, letter
from tests.peers.postgres import Postgres

PICTURE = os.urandom(5_000)


@pytest.fixture
def filled(operator: Operator) -> Operator:
    """A server with a member, a post with a picture, and a mail that waits."""
    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    operator.do("member", "add", "bea@shore.example", "--forum", "tides")
    picture = Attachment("anemone.png", "image/png", PICTURE)
    operator.accept(replace(letter(1), attachments=(picture,)))
    return operator


def _elsewhere(operator: Operator, root: Path) -> list[str]:
    root.mkdir()
    return ["--config", str(root / "junto.toml")]


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz"])
def test_a_backup_put_back_is_the_same_server_and_waits(filled: Operator, tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    told = filled.do("backup", str(file), "--json").json
    assert told["bytes"] == file.stat().st_size
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    there = _elsewhere(filled, tmp_path / "there")
    filled.do("restore", str(file), *there)

    before, after = (filled.do("trace", "tides/1", "--json", *more).json for more in ([], there))
    assert before == after
    assert filled.do("member", "list", "--forum", "tides", "--json", *there).json == (
        filled.do("member", "list", "--forum", "tides", "--json").json
    )
    held = filled.do("queue", "list", "--json", *there).json["held"]
    assert "restored from the backup" in held["*"]
    assert filled.do("queue", "list", "--json").json["held"] == {}
    secret = Path("var/keys/secret")
    assert (tmp_path / "there" / secret).read_bytes() == (filled.root / secret).read_bytes()
    assert stat.S_IMODE((tmp_path / "there" / secret).stat().st_mode) == 0o600
    with opened(there[1]) as home:
        blobs = [path.read_bytes() for path in (home.config.data_dir / "blobs").rglob("*") if path.is_file()]
    assert blobs == [PICTURE]


def test_a_backup_is_taken_while_somebody_writes(filled: Operator, tmp_path: Path) -> None:
    enough = threading.Event()
    with filled.home() as home:

        def write() -> int:
            count = 0
            while not enough.is_set():
                count += 1
                home.store.write_now(forums.create_community, f"c{count}", "One more", count)
                home.store.write_now(audit.record, "server", "made", f"c{count}", count)
            return count

        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write)
            filled.do("backup", str(tmp_path / "all.tar"))
            enough.set()
        assert writing.result() > 0
    there = _elsewhere(filled, tmp_path / "there")
    filled.do("restore", str(tmp_path / "all.tar"), *there)
    with opened(there[1]) as home:
        assert home.store.read_now(lambda tx: tx.execute(sa.text("PRAGMA integrity_check")).scalar()) == "ok"
    assert filled.do("trace", "tides/1", "--json", *there).json["post"] == "tides/1"


def test_a_backup_overwrites_nothing(filled: Operator, tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    file.write_text("mine")
    assert "another name" in filled.fails("backup", str(file))
    assert file.read_text() == "mine"
    assert list(tmp_path.glob("*.part")) == []


def test_a_backup_inside_the_data_directory_does_not_hold_itself(filled: Operator) -> None:
    file = filled.root / "var" / "all.tar"
    filled.do("backup", str(file))
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert names[:3] == ["manifest.json", "junto.toml", "database"]
    assert "data/keys/secret" in names
    assert not any("junto.db" in name or "all.tar" in name for name in names)


def test_restore_wants_an_empty_place(filled: Operator, tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    filled.do("backup", str(file))
    before = filled.do("trace", "tides/1", "--json").out
    assert "not empty" in filled.fails("restore", str(file))
    assert filled.do("trace", "tides/1", "--json").out == before


def test_a_configuration_that_is_there_is_kept(filled: Operator, tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    filled.do("backup", str(file))
    there = _elsewhere(filled, tmp_path / "there")
    other = '[server]\ndata_dir = "data"\n[database]\nurl = "sqlite:///data/other.db"\n'
    Path(there[1]).write_text(other)
    filled.do("restore", str(file), *there)
    assert Path(there[1]).read_text() == other
    assert (tmp_path / "there" / "data" / "other.db").exists()
    assert filled.do("trace", "tides/1", "--json", *there).json["post"] == "tides/1"


def _repacked(file: Path, to: Path, change: dict[str, bytes | None]) -> str:
    with tarfile.open(file) as source, tarfile.open(to, "w") as target:
        for member in source:
            data = source.extractfile(member)
            assert data is not None
            raw = change.get(member.name, data.read())
            if raw is not None:
                member.size = len(raw)
                target.addfile(member, io.BytesIO(raw))
        for name, raw in change.items():
            if name not in source.getnames() and raw is not None:
                info = tarfile.TarInfo(name)
                info.size = len(raw)
                target.addfile(info, io.BytesIO(raw))
    return str(to)


def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(filled: Operator, tmp_path: Path) -> None:
    file = tmp_path / "all.tar"
    filled.do("backup", str(file))
    (tmp_path / "text.tar").write_text("hello")
    (tmp_path / "half.tar").write_bytes(file.read_bytes()[:20_000])
    with tarfile.open(file) as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    newer, stranger = (json.dumps(manifest | more).encode() for more in ({"format": 9}, {"schema": "9999"}))
    bad = {
        "whole": str(tmp_path / "text.tar"),
        "no whole backup": str(tmp_path / "half.tar"),
        "newer": _repacked(file, tmp_path / "newer.tar", {"manifest.json": newer}),
        "install that version": _repacked(file, tmp_path / "stranger.tar", {"manifest.json": stranger}),
        "holds no manifest": _repacked(file, tmp_path / "bare.tar", {"manifest.json": None}),
        "holds no database": _repacked(file, tmp_path / "empty.tar", {"database": None}),
        "data/../../out": _repacked(file, tmp_path / "out.tar", {"data/../../out": b"x"}),
    }
    there = _elsewhere(filled, tmp_path / "there")
    for why, path in bad.items():
        assert why in filled.fails("restore", path, *there)
        assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_byte_that_changed_is_found_and_nothing_is_left(filled: Operator, tmp_path: Path) -> None:
    file, there = tmp_path / "all.tar.gz", _elsewhere(filled, tmp_path / "there")
    filled.do("backup", str(file))
    whole = file.read_bytes()
    for at in range(len(whole) // 9, len(whole) - 40, len(whole) // 9):
        (tmp_path / "bad.gz").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        said = filled.fails("restore", str(tmp_path / "bad.gz"), *there)
        assert "damaged" in said or "no whole backup" in said or "of ours" in said
        assert list((tmp_path / "there").iterdir()) == []
    plain = tmp_path / "all.tar"
    filled.do("backup", str(plain))
    with tarfile.open(plain) as tar:
        blob = next(name for name in tar.getnames() if "/blobs/" in name)
    changed = _repacked(plain, tmp_path / "bad.tar", {blob: PICTURE[:-1] + bytes([PICTURE[-1] ^ 1])})
    assert "damaged or not whole" in filled.fails("restore", changed, *there)


def _sealed(file: Path, to: Path, data: bytes | None, *more: tarfile.TarInfo) -> str:
    """A backup that somebody made by hand, with a seal that is right."""
    with tarfile.open(file) as source, tarfile.open(to, "w") as target:
        writer = archive_file.Writer(target)
        for name in (archive_file.MANIFEST, archive_file.CONFIG):
            writer.text(name, source.extractfile(name).read().decode())  # type: ignore[union-attr]
        copy = to.with_name("copy")
        copy.write_bytes(source.extractfile("database").read() if data is None else data)  # type: ignore[union-attr]
        if all(info.name != "database" for info in more):
            writer.file("database", copy)
        for info in more:
            target.addfile(info)
        writer.seal()
    return str(to)


def _member(name: str, kind: bytes, leads: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, leads
    return info


def test_a_hostile_backup_is_refused_in_a_sentence_and_leaves_nothing(filled: Operator, tmp_path: Path) -> None:
    file, there = tmp_path / "all.tar", _elsewhere(filled, tmp_path / "there")
    filled.do("backup", str(file))
    with tarfile.open(file) as tar:
        whole = tar.extractfile("database").read()  # type: ignore[union-attr]
    own = _member("data/junto.db-wal", tarfile.REGTYPE)
    bad = {
        "holds database": [
            _sealed(file, tmp_path / f"{n}.tar", None, _member("database", kind, "/etc/hostname"))
            for n, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE))
        ],
        "holds data/link": [_sealed(file, tmp_path / "5.tar", None, _member("data/link", tarfile.SYMTYPE, "/tmp"))],
        "holds data/junto.db-wal": [_sealed(file, tmp_path / "6.tar", None, own)],
        "holds /data/x": [_sealed(file, tmp_path / "7.tar", None, _member("/data/x", tarfile.REGTYPE))],
        "database in the backup is damaged": [
            _sealed(file, tmp_path / f"db{n}.tar", raw)
            for n, raw in enumerate((b"garbage", b"", whole[: len(whole) // 2]))
        ],
        "manifest.json cannot be read": [
            _repacked(file, tmp_path / f"m{n}.tar", {"manifest.json": raw})
            for n, raw in enumerate((b"[]", b'{"format": 1, "schema": [1], "engine": "sqlite", "made_at": ""}'))
        ],
        "no whole backup": [_repacked(file, tmp_path / "deep.tar", {"manifest.json": b"[" * 100_000})],
    }
    for why, paths in bad.items():
        for path in paths:
            assert why in filled.fails("restore", path, *there)
            assert list((tmp_path / "there").iterdir()) == []


def test_on_postgresql_too(
    operator: Operator, tmp_path: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUNTO_DATABASE__URL", postgres.fresh_database())
    operator.do("community", "create", "shore", "--name", "Shore watchers")
    operator.do("forum", "create", "tides", "--community", "shore")
    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    operator.accept(letter(1))
    before = operator.do("trace", "tides/1", "--json").json
    file = tmp_path / "all.tar"
    operator.do("backup", str(file))
    shutil.rmtree(operator.root)
    operator.root.mkdir()
    assert "database is not empty" in operator.fails("restore", str(file))
    monkeypatch.setenv("JUNTO_DATABASE__URL", "sqlite:///var/junto.db")
    assert "postgresql" in operator.fails("restore", str(file))
    monkeypatch.setenv("JUNTO_DATABASE__URL", postgres.fresh_database())
    operator.do("restore", str(file))
    assert operator.do("trace", "tides/1", "--json").json == before
    assert "*" in operator.do("queue", "list", "--json").json["held"]
