"""`junto person`."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from server.cli import show
from server.cli.context import ACTOR, ConfigOption, JsonOption, Whose, claimed, opened
from server.desk import linking
from server.errors import CommandError
from server.i18n import _
from server.people import identity

app = typer.Typer(help="People, whatever addresses they have.", no_args_is_help=True, rich_markup_mode=None)
Address = Annotated[str, typer.Argument(help="A mail address, or a Matrix id such as @ana:example.org.")]


@app.callback()
def person() -> None:
    """People, whatever addresses they have."""


@app.command()
def merge(address: Address, into: Address, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Make two people one: all that is the first one's is the second one's. You vouch for it, and it cannot be taken back."""
    with opened(config) as home:
        gone, stays = claimed(home, address), claimed(home, into)

        def work(tx: Connection) -> None:
            found = [_known(tx, at) for at in (gone, stays)]
            if found[0] == found[1]:
                raise CommandError(_("{address} and {into} are one person already.").format(address=address, into=into))
            if any(linking.is_shut_out(tx, each) for each in found):
                raise CommandError(
                    _("One of the two is banned from a forum: lift the ban first (junto ban remove), or leave it so.")
                )
            linking.merge(tx, home.desk, found[0], found[1], ACTOR)

        home.store.write_now(work)
    text = _("{address} is the same person as {into} now.").format(address=gone.address, into=stays.address)
    show.answer(as_json, {"address": gone.address, "into": stays.address}, text)


def _known(tx: Connection, at: Whose) -> int:
    known = identity.find(tx, at.channel, at.address)
    if known is None:
        raise CommandError(_("We know nobody at {address}.").format(address=at.address))
    return known.person_id
