"""`junto community`."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from server.cli import show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened
from server.desk import forums
from server.i18n import _
from server.moderation import audit

app = typer.Typer(help="Communities: what holds forums together.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def _noun() -> None:
    pass


@app.command()
def create(
    slug: Annotated[str, typer.Argument(help="Its name in addresses: small letters, digits, hyphens.")],
    name: Annotated[str, typer.Option("--name", help="Its name for people.")],
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a community: one page, one Matrix space."""
    with opened(config) as home:

        def work(tx: Connection) -> None:
            forums.create_community(tx, slug, name, home.now())
            audit.record(tx, ACTOR, "community create", slug, home.now())

        home.store.write_now(work)
        url = f"{home.desk.base_url}/c/{slug}"
        data = {"slug": slug, "name": name, "url": url}
        show.answer(as_json, data, _("Made the community {name}: {url}").format(name=name, url=url))
