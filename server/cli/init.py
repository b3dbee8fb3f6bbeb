"""`junto init`: a configuration with comments, a database and keys, where there was nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server import config as config_file
from server.cli import private_file, show
from server.cli.context import JsonOption, opened
from server.errors import CommandError
from server.i18n import _

if TYPE_CHECKING:
    from server.house import Household

FILE = "junto.toml"


def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; made if it is not there.")] = Path("."),
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Write this file instead of DIR/junto.toml.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write junto.toml with a comment on every key, and create the database and the keys. Overwrites nothing."""
    from server import app

    path = Path(config) if config else directory / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(path, config_file.example(app.sections(app.discover())))
    with opened(str(path)) as home:
        asyncio.run(_prepare(home))
    shown = path if path.is_absolute() else Path(os.path.normpath(path))
    show.answer(
        as_json,
        {"config": str(path.resolve()), "data_dir": str(home.config.data_dir)},
        _("Wrote {path}. Look it through, then start with `junto serve --config {path}`.").format(path=shown),
    )


def _write_new(path: Path, text: str) -> None:
    try:
        file = private_file.create(path)
    except FileExistsError:
        raise CommandError(
            _("There is a {path} already: nothing was changed. Name another place, or remove it first.").format(
                path=path
            )
        ) from None
    with file:
        file.write(text.encode())


async def _prepare(home: Household) -> None:
    for made in home.bridges.values():
        await made.prepare()
