"""What every command needs: the options that all take, the server's parts from the configuration, and whose an address is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer
from sqlalchemy import Connection, Row

from server import config as config_file
from server.bridge import Claims, Forum, Refuses
from server.desk import forums
from server.errors import CommandError, Rejected
from server.i18n import _
from server.people import identity

if TYPE_CHECKING:
    from server.house import Household

ACTOR = "command"
"""Who acted, in the audit, when it was an operator at the command line."""

ConfigOption = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="The configuration; else $JUNTO_CONFIG, else ./junto.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of text for a person.")]
ForumOption = Annotated[str, typer.Option("--forum", metavar="SLUG", help="The forum it is about.")]


@contextmanager
def opened(config: str | None) -> Iterator[Household]:
    """The server's parts with the database open and up to date; works beside a running server."""
    with built(config) as home:
        home.store.open()
        yield home


@contextmanager
def built(config: str | None) -> Iterator[Household]:
    """As `opened`, with the database left alone."""
    from server import app

    modules = app.discover()
    home = app.household(config_file.load(config_file.find(config), app.sections(modules)), modules)
    try:
        yield home
    finally:
        home.store.close()


@dataclass(frozen=True, slots=True)
class Whose:
    """An address and the channel that it belongs to. `mailbox`: posts are sent to it, not shown in a room."""

    channel: str
    address: str
    mailbox: bool
    refuses: Callable[[str, Forum], str | None] | None = field(default=None, compare=False)

    def admit(self, forum: Row[Any]) -> None:
        """Raise Rejected for somebody who can take no part in the forum by their channel."""
        why_not = self.refuses(self.address, forums.view(forum, "")) if self.refuses is not None else None
        if why_not is not None:
            raise Rejected("5.7.1", why_not)


def whose(home: Household, address: str) -> Whose | None:
    """Which channel the address belongs to: each bridge is asked."""
    for made in home.bridges.values():
        normal = made.claims(address) if isinstance(made, Claims) else None
        if normal is not None:
            refuses = made.refuses if isinstance(made, Refuses) else None
            return Whose(made.traits.channel, normal, not made.traits.takes_back, refuses)
    return None


def claimed(home: Household, address: str) -> Whose:
    """As `whose`. Raises CommandError for what is nobody's address."""
    found = whose(home, address)
    if found is None:
        raise CommandError(
            _(
                "“{address}” is no address of a channel that is turned on here: "
                "give a mail address, or a Matrix id such as @ana:example.org."
            ).format(address=address)
        )
    return found


def member_at(tx: Connection, slug: str, at: Whose) -> tuple[Row[Any], identity.Known]:
    """The forum, and the person at the address. Raises NotFound or CommandError."""
    forum = forums.get(tx, slug)
    known = identity.find(tx, at.channel, at.address)
    if known is None:
        raise CommandError(_("We know nobody at {address}.").format(address=at.address))
    return forum, known


def pairs(words: list[str]) -> dict[str, str]:
    """KEY=VALUE words as a dictionary. Raises CommandError for a word without an equals sign."""
    for word in words:
        if "=" not in word:
            raise CommandError(_("“{word}” is not KEY=VALUE.").format(word=word))
    return {key.strip(): text for key, _sign, text in (word.partition("=") for word in words)}
