"""`junto import` and `junto export`: old messages from files into a forum, a forum into a file; a bar shows how far it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection

from server import bridge
from server import config as config_file
from server.cli import private_file, show
from server.cli.context import ACTOR, ConfigOption, ForumOption, JsonOption, opened
from server.desk import forums
from server.errors import CommandError
from server.i18n import _
from server.moderation import audit
from server.moving import export as export_
from server.moving import intake, reading, sources
from server.moving.rejected import Rejections, file_for

if TYPE_CHECKING:
    from server.house import Household

SMALL = 4 * 1024 * 1024  # bytes that are read sooner than other processes have begun


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="mbox (also .gz, .xz, .bz2), Maildir, a message, or a folder of these."),
    ],
    forum: ForumOption,
    rejected: Annotated[
        Path | None,
        typer.Option(
            "--rejected", metavar="FILE", help="What cannot be taken is added to it; else to SLUG-rejected.mbox here."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, help="Processes that read at once; else one for each processor."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take old messages into a forum: they are there and threaded, and nobody is told. Run it again to go on after a stop."""
    found, passed = sources.find(paths)
    size = sum(source.size for source in found)
    with opened(config) as home:
        desk = _desk(home, forum)
        rejections = Rejections(file_for(desk.forum.slug, rejected, [source.path for source in found]))
        wanted = jobs or (1 if size < SMALL else os.cpu_count() or 1)
        try:
            with reading.readers(wanted, desk, partial(_desk_elsewhere, config, forum)) as readers, _bar(size) as shown:
                run = intake.Intake(home.store, home.desk, desk.forum, readers, rejections, shown)
                totals = run.run(found)
        except KeyboardInterrupt:
            raise CommandError(_("Stopped. What was taken is kept: run the same command again to go on.")) from None
        finally:
            rejections.close()
        home.store.write_now(_note, desk.forum.id, totals, home.now())
    data: dict[str, Any] = {name: getattr(totals, name) for name in ("imported", "duplicate", "rejected", "unreadable")}
    data |= {
        "rejected_file": str(rejections.path) if totals.rejected else None,
        "passed_over": [str(path) for path in passed],
    }
    show.answer(as_json, data, _told(totals, rejections, passed))
    if totals.unreadable:
        raise CommandError(_("Not read to the end: {files}").format(files="; ".join(totals.unreadable)))


def export(
    forum: ForumOption,
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="Written anew, readable by you only.")],
    kind: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="mbox|jsonl",
            help="Messages that `junto import` takes in, or a post a line for programs.",
        ),
    ] = "mbox",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everything of a forum into a file: posts as they came, with their numbers; our own tokens are blanked."""
    if kind not in ("mbox", "jsonl"):
        raise CommandError(_("“{kind}” is no format: say mbox or jsonl.").format(kind=kind))
    with opened(config) as home:
        speaking = {name: made for name, made in home.bridges.items() if isinstance(made, bridge.Source)}
        leaving = export_.Export(home.store, home.blobs, speaking, home.desk.base_url, forum)
        written = 0
        with _new(output) as file, _bar(leaving.count()) as shown:
            for entry in leaving.mbox() if kind == "mbox" else leaving.jsonl():
                file.write(entry)
                written += 1
                shown(1, written)
    data = {"forum": forum, "file": str(output.resolve()), "posts": written}
    show.answer(as_json, data, _("Wrote {posts} posts of {forum} to {file}.").format(**data))


@contextmanager
def _new(path: Path) -> Iterator[BinaryIO]:
    """A new file, there under its name only when it is whole. Raises CommandError where there is one."""
    if path.exists():
        raise CommandError(_("There is a {path} already: give the export another name.").format(path=path))
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)  # of an export that broke off
    try:
        with private_file.create(part) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _told(totals: intake.Totals, rejected: Rejections, passed: list[Path]) -> str:
    lines = [f"imported {totals.imported}, duplicate {totals.duplicate}, rejected {totals.rejected}"]
    if totals.rejected:
        said = _("What was rejected is in {path}, each with its reason on top.").format(path=rejected.path)
        lines.append(said + (" " + _("It was there before, and was added to.") if rejected.added_to else ""))
    if passed:
        lines.append(_("Passed over, for they are no messages: {files}").format(files=", ".join(map(str, passed))))
    return "\n".join(lines)


def _note(tx: Connection, forum_id: int, totals: intake.Totals, now: int) -> None:
    thing = f"{totals.imported} posts"
    audit.record(tx, ACTOR, "import", thing, now, forum_id=forum_id, detail=f"{totals.rejected} rejected")


def _desk(home: Household, slug: str) -> reading.Desk:
    """Who reads old messages, for that forum. Raises NotFound, or CommandError where no bridge reads any."""
    reader = next((made for made in home.bridges.values() if isinstance(made, bridge.Reader)), None)
    if reader is None:
        raise CommandError(_("No channel that is turned on here reads old messages."))
    row = home.store.read_now(forums.get, slug)
    return reading.Desk(reader, home.blobs, home.store, forums.view(row, home.desk.base_url))


def _desk_elsewhere(config: str | None, slug: str) -> reading.Desk:
    """As `_desk`, in a process that lives as long as it reads, with the database as it was found."""
    from server import app

    modules = app.discover()
    return _desk(app.household(config_file.load(config_file.find(config), app.sections(modules)), modules), slug)


@contextmanager
def _bar(size: int) -> Iterator[intake.Shown]:
    """Bytes say how far it is, messages how fast; on stderr, where somebody looks."""
    columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=size, rate="")

        def shown(more: int, messages: int) -> None:
            elapsed = progress.tasks[0].elapsed or 0
            rate = _("{count} messages, {rate} a second").format(
                count=messages, rate=int(messages / elapsed) if elapsed else 0
            )
            progress.update(task, advance=more, rate=rate)

        yield shown
