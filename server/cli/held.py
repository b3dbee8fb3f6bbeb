"""`junto held`: posts that wait for a decision."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from server.cli import show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened
from server.desk import decide, forums
from server.i18n import _
from server.moderation import queue

app = typer.Typer(help="Posts that wait for a decision.", no_args_is_help=True, rich_markup_mode=None)
Names = Annotated[list[str], typer.Argument(metavar="H-xxxx...", help="Their names, from `junto held list`.")]


@app.command("list")
def list_(
    forum: Annotated[str | None, typer.Option("--forum", metavar="SLUG", help="Of this forum only.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what waits, oldest first."""

    def work(tx: Connection) -> list[dict[str, object]]:
        return [
            {
                "name": row.name,
                "forum": row.slug,
                "author": row.author.partition(":")[2],
                "subject": row.subject,
                "arrived_at": show.when(row.arrived_at),
                "reason": row.reason,
                "waits_for": row.awaits,
            }
            for row in queue.listing(tx, forums.get(tx, forum).id if forum is not None else None)
        ]

    with opened(config) as home:
        rows = home.store.read_now(work)
    columns = ["name", "forum", "author", "subject", "arrived_at", "waits_for", "reason"]
    show.table(as_json, rows, columns, _("Nothing waits for a decision."))


@app.command()
def approve(names: Names, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Publish held posts."""
    with opened(config) as home:

        def work(tx: Connection) -> list[dict[str, str]]:
            return [{"name": name, "post": decide.approve(tx, home.desk, name, ACTOR, home.now())} for name in names]

        done = home.store.write_now(work)
    show.answer(as_json, done, "\n".join(_("{name} is published as {post}.").format(**each) for each in done))


@app.command()
def reject(
    names: Names,
    reason: Annotated[
        str, typer.Option("--reason", help="Told to the author; without one they are told nothing.")
    ] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Refuse held posts; with a reason, their authors are told."""
    with opened(config) as home:

        def work(tx: Connection) -> None:
            for name in names:
                decide.reject(tx, home.desk, name, ACTOR, reason, home.now())

        home.store.write_now(work)
    text = "\n".join(_("{name} is rejected.").format(name=name) for name in names)
    show.answer(as_json, [{"name": name, "state": "rejected"} for name in names], text)
