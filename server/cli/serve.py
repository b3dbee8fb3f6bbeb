"""`junto serve`: the server in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer

from server import config as config_file
from server.cli.context import ConfigOption, JsonOption


def serve(
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="ROLE,…", help="Run these roles; by default all of them, in one process."),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run in the foreground until Ctrl-C. Prints logs on stderr, as JSON where stderr is no terminal."""
    from server import app

    roles = [role.strip() for role in only.split(",") if role.strip()] if only is not None else None
    app.serve(config_file.find(config), roles)
