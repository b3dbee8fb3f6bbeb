"""`junto backup` and `junto restore`: one file with everything, taken while the server runs, put back into an empty place."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from server import clock
from server import config as config_file
from server.cli import archive_file, private_file, show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened
from server.delivery import fuse
from server.errors import CommandError
from server.i18n import _
from server.moderation import audit
from server.store import migrate, snapshot

PROBE = ".writable"  # the server's own test whether the disk takes files


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Written anew, readable by you only; .gz packs it.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything into one file: database, attachments, keys, configuration. The server may run meanwhile."""
    with opened(config) as home:
        conf = home.config
        url, path = conf.database_url, config_file.find(config)
        made_at = show.when(clock.now_ms())
        facts: dict[str, Any] = {"format": archive_file.FORMAT, "engine": snapshot.engine(url), "made_at": made_at}
        facts |= {"version": importlib.metadata.version("junto"), "schema": migrate.scripts().get_current_head()}
        ours = {file.resolve(), file.with_name(file.name + ".part").resolve(), conf.data_dir.resolve() / PROBE}
        leave_out = ours | {each.resolve() for each in snapshot.files(url)}
        with archive_file.written(file) as archive, tempfile.TemporaryDirectory(dir=file.resolve().parent) as folder:
            archive.text(archive_file.MANIFEST, json.dumps(facts))
            archive.text(archive_file.CONFIG, path.read_text("utf-8"))
            copy = Path(folder) / "copy"
            snapshot.take(url, copy)  # before the files: what a row names was written before the row
            archive.file(archive_file.DATABASE, copy)
            leave_out |= {copy.resolve()}
            archive.tree(conf.data_dir, leave_out)
    data = facts | {"file": str(file.resolve()), "files": archive.count, "bytes": file.stat().st_size}
    show.answer(as_json, data, _("Wrote {file}: {files} files, {bytes} bytes.").format(**data))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `junto backup` wrote.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back into an empty place. A junto.toml that is there is used as it is; nothing is sent until you release it."""
    path = config_file.find(config)
    with archive_file.read(file) as archive:
        given = path.exists()
        text = path.read_text("utf-8") if given else archive.text(archive_file.CONFIG)
        conf = _parsed(text, path)
        _check_empty(conf, archive.manifest)
        try:
            _fill(conf, archive)
            if not given:
                path.parent.mkdir(parents=True, exist_ok=True)
                with private_file.create(path) as target:
                    target.write(text.encode())
        except BaseException:
            shutil.rmtree(conf.data_dir, ignore_errors=True)  # it was empty: this is only what we put there
            raise
    made_at = archive.manifest.get("made_at")
    with opened(str(path)) as home:
        home.store.write_now(_hold, str(made_at), home.now())
    data = {"config": str(path.resolve()), "data_dir": str(conf.data_dir), "made_at": made_at, "held": True}
    text = _(
        "Restored the backup of {made_at}. Nothing is sent yet: look at `junto queue list`, then say `junto queue release`."
    )
    show.answer(as_json, data, text.format(**data))


def _parsed(text: str, path: Path) -> config_file.Config:
    from server import app

    try:
        return config_file.parse(tomllib.loads(text), path.resolve().parent, app.sections(app.discover()))
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise CommandError(_("{path} is not valid TOML: {problem}").format(path=path, problem=problem)) from None


def _check_empty(conf: config_file.Config, manifest: dict[str, Any]) -> None:
    url = conf.database_url
    if manifest.get("engine") != snapshot.engine(url):
        raise CommandError(
            _(
                "The backup is of {there}, the configuration says {here}: set [database] url to a database of that kind."
            ).format(there=manifest.get("engine"), here=snapshot.engine(url))
        )
    if manifest.get("schema") not in {step.revision for step in migrate.scripts().walk_revisions()}:
        raise CommandError(_("This backup was made by a newer Junto: install that version first."))
    if conf.data_dir.is_dir() and any(conf.data_dir.iterdir()):
        raise CommandError(_("{path} is not empty: restore into an empty place.").format(path=conf.data_dir))
    if not snapshot.is_empty(url):
        raise CommandError(_("The database is not empty: restore into an empty place."))


def _fill(conf: config_file.Config, archive: archive_file.Reader) -> None:
    conf.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    copy = conf.data_dir / ".restored"
    archive.unpack(conf.data_dir, copy, {path.resolve() for path in snapshot.files(conf.database_url)})
    try:
        snapshot.put(conf.database_url, copy)
    finally:
        copy.unlink(missing_ok=True)


def _hold(tx: Connection, made_at: str, now: int) -> None:
    fuse.hold_server(tx, _("restored from the backup of {made_at}").format(made_at=made_at))
    audit.record(tx, ACTOR, "restore", made_at, now)
