"""`junto ban`: who may neither join nor post."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import Connection

from server.cli import show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened, whose
from server.desk import forums, shutting
from server.errors import CommandError
from server.house import Household
from server.i18n import _
from server.moderation import bans

app = typer.Typer(help="Who may neither join nor post.", no_args_is_help=True, rich_markup_mode=None)
Whom = Annotated[
    str, typer.Argument(metavar="WHOM", help="An address, a domain (with all below it), or a pattern with * and ?.")
]
Forum = Annotated[str | None, typer.Option("--forum", metavar="SLUG", help="In this forum only; else in all.")]


@app.command()
def add(
    whom: Whom,
    forum: Forum = None,
    reason: Annotated[str, typer.Option("--reason", help="For you and other operators; told to nobody.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ban an address, a domain or a pattern; members whom it covers are members no more."""
    with opened(config) as home:
        kind, value = _read(home, whom)

        def work(tx: Connection) -> bool:
            return shutting.ban(tx, _forum_id(tx, forum), kind, value, reason, ACTOR, home.now())

        if not home.store.write_now(work):
            raise CommandError(_("{whom} is banned already.").format(whom=value))
    where = forum or _("all forums")
    show.answer(
        as_json,
        {"whom": value, "kind": kind, "forum": forum, "reason": reason},
        _("{whom} may neither join nor post in {where}.").format(whom=value, where=where),
    )


@app.command("list")
def list_(forum: Forum = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List bans, oldest first; with a forum, those that hold there."""

    def work(tx: Connection) -> list[dict[str, object]]:
        return [
            {
                "whom": row.value,
                "kind": row.kind,
                "forum": row.slug,
                "reason": row.reason,
                "since": show.when(row.created_at),
            }
            for row in bans.listing(tx, _forum_id(tx, forum))
        ]

    with opened(config) as home:
        rows = home.store.read_now(work)
    shown = rows if as_json else [row | {"forum": row["forum"] or _("all")} for row in rows]
    show.table(as_json, shown, ["whom", "kind", "forum", "reason", "since"], _("Nobody is banned."))


@app.command()
def remove(whom: Whom, forum: Forum = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End a ban; of an address, those of all its person's addresses. Whom no other ban covers may join again."""
    with opened(config) as home:
        kind, value = _read(home, whom)

        def work(tx: Connection) -> list[str]:
            forum_id = _forum_id(tx, forum)
            if not shutting.lift(tx, forum_id, value, ACTOR, home.now()):
                raise CommandError(
                    _("There is no such ban of {whom}: see `junto ban list`, and name its forum if it has one.").format(
                        whom=value
                    )
                )
            return [row.value for row in bans.covering(tx, forum_id, [value])] if kind == bans.ADDRESS else []

        still = home.store.write_now(work)
    text = _("{whom} is not banned any more.").format(whom=value)
    if still:
        text = _("That ban of {whom} is lifted; others cover it still: {bans}.").format(
            whom=value, bans=", ".join(still)
        )
    show.answer(as_json, {"whom": value, "forum": forum, "still": still}, text)


def _forum_id(tx: Connection, slug: str | None) -> int | None:
    return forums.get(tx, slug).id if slug is not None else None


def _read(home: Household, whom: str) -> tuple[str, str]:
    """What kind it is, and how it is written. Raises CommandError for what bans nobody, or everybody."""
    text = whom.strip().lower()
    if not text or len(text) > bans.VALUE_CHARS or not text.isprintable() or not text.strip("*?.@:"):
        raise CommandError(_("“{whom}” is no address, no domain and no pattern.").format(whom=whom))
    if "*" in text or "?" in text:
        return bans.PATTERN, text
    at = whose(home, whom)
    if at is not None:
        return bans.ADDRESS, at.address
    if "@" in text or "." not in text or " " in text:
        raise CommandError(_("“{whom}” is no address, no domain and no pattern.").format(whom=whom))
    return bans.DOMAIN, text.strip(".")
