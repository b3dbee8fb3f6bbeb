"""The commands put together. The bridges' own commands are found when somebody asks for them, by the bridge's name."""

from __future__ import annotations

import asyncio
import importlib.metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from server.bridge import Commands
from server.cli import (
    backup,
    ban,
    community,
    doctor,
    forum,
    held,
    init,
    member,
    moving,
    person,
    queue,
    serve,
    show,
    trace,
)
from server.cli.context import ConfigOption, JsonOption, built
from server.errors import CommandError
from server.i18n import _


class WithBridges(TyperGroup):
    """Knows `junto NAME …` for each bridge, without any name being written here."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *sorted(_bridges())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        return _bridge_command(cmd_name) if cmd_name in _bridges() else None


def _bridges() -> list[str]:
    from server.app import discover

    return list(discover())


def _bridge_command(name: str) -> Any:
    sub = typer.Typer(add_completion=False, rich_markup_mode=None)

    @sub.command(name, help=_("What only {name} needs; without a word, lists what there is.").format(name=name))
    def run(
        word: Annotated[str | None, typer.Argument(metavar="[COMMAND]")] = None,
        config: ConfigOption = None,
        as_json: JsonOption = False,
    ) -> None:
        with built(config) as home:
            made = home.bridges.get(name)
            if made is None:
                raise CommandError(
                    _("[{name}] is turned off in the configuration: fill its section in first.").format(name=name)
                )
            known = dict(made.commands()) if isinstance(made, Commands) else {}
            if word is None:
                show.answer(as_json, sorted(known), "\n".join(sorted(known)) or _("It has no commands."))
                return
            if word not in known:
                raise CommandError(
                    _("{name} has no command “{word}”; there are: {known}.").format(
                        name=name, word=word, known=", ".join(sorted(known)) or _("none")
                    )
                )
            text = asyncio.run(_awaited(known[word]))
            show.answer(as_json, {"text": text}, text)

    return typer.main.get_command(sub)


async def _awaited(command: Any) -> str:
    return str(await command())


app = typer.Typer(
    cls=WithBridges,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Junto: one threaded discussion for a community of practice, joined by mail, by Matrix or on the web.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"junto {importlib.metadata.version('junto')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    pass


app.command("init")(init.init)
app.command("serve")(serve.serve)
app.add_typer(community.app, name="community")
app.add_typer(forum.app, name="forum")
app.add_typer(member.app, name="member")
app.add_typer(person.app, name="person")
app.add_typer(held.app, name="held")
app.add_typer(ban.app, name="ban")
app.add_typer(queue.app, name="queue")
app.command("import")(moving.import_)
app.command("export")(moving.export)
app.command("trace")(trace.trace)
app.command("doctor")(doctor.doctor)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
