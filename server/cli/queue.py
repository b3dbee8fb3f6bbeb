"""`junto queue`: the outbox."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from sqlalchemy import Connection, Row

from server.cli import show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened
from server.delivery import fuse, outbox, overview
from server.desk import forums
from server.errors import CommandError
from server.i18n import _, ngettext
from server.moderation import audit

app = typer.Typer(help="The outbox: what is to be sent.", no_args_is_help=True, rich_markup_mode=None)
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Deliveries, from `junto queue list`.")]
ForumOrAll = Annotated[str | None, typer.Option("--forum", metavar="SLUG", help="Only this forum's; else everything.")]
MANY = 10_000


def _facts(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "item": f"{row.item_kind}:{row.item_id}",
        "forum": row.forum,
        "channel": row.channel,
        "address": row.address,
        "state": row.state,
        "not_before": show.when(row.not_before),
        "attempts": row.attempts,
        "detail": row.detail,
    }


def _held(tx: Connection) -> dict[str, str]:
    """Why what is held: "*" is the whole server."""
    held = {row.slug: row.fuse_reason for row in forums.all_forums(tx) if row.fuse_reason is not None}
    reason = fuse.held_reason(tx)
    return held if reason is None else {"*": reason} | held


@app.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option("--state", help="Only these: due, claimed, failed, held, dropped.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MANY, help="At most so many.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what is not sent, oldest first, and what is held and why."""
    with opened(config) as home:
        held, rows = home.store.read_now(lambda tx: (_held(tx), overview.listing(tx, limit, state)))
    facts = [_facts(row) for row in rows]
    if as_json:
        show.answer(True, {"held": held, "deliveries": facts}, "")
        return
    for what, reason in held.items():
        name = _("The whole queue") if what == "*" else what
        show.answer(False, None, _("{name} is held: {reason}").format(name=name, reason=reason))
    columns = ["id", "item", "forum", "channel", "address", "state", "not_before", "attempts", "detail"]
    show.table(False, facts, columns, _("Nothing waits to be sent."))


@app.command()
def retry(
    ids: Ids = None,
    every: Annotated[bool, typer.Option("--failed", help="Every delivery that failed.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Try failed, dropped or waiting deliveries now."""
    with opened(config) as home:

        def work(tx: Connection) -> int:
            chosen = [row.id for row in overview.listing(tx, MANY, "failed")] if every else _chosen(ids)
            count = outbox.retry(tx, chosen, home.now())
            audit.record(tx, ACTOR, "queue retry", _thing(chosen), home.now())
            return count

        count = home.store.write_now(work)
    show.answer(as_json, {"retried": count}, _("{count} deliveries are tried now.").format(count=count))


@app.command()
def drop(ids: Ids = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Give deliveries up: they are never sent."""
    with opened(config) as home:

        def work(tx: Connection) -> int:
            count = outbox.drop(tx, _chosen(ids), home.now())
            audit.record(tx, ACTOR, "queue drop", _thing(_chosen(ids)), home.now())
            return count

        count = home.store.write_now(work)
    show.answer(
        as_json,
        {"dropped": count},
        ngettext("{count} delivery is dropped.", "{count} deliveries are dropped.", count).format(count=count),
    )


@app.command()
def hold(
    forum: ForumOrAll = None,
    reason: Annotated[
        str, typer.Option("--reason", help="Shown to whoever looks at the queue.")
    ] = "held by the operator",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let nothing leave for now; posts are still taken and kept."""
    with opened(config) as home:

        def work(tx: Connection) -> None:
            if forum is None:
                fuse.hold_server(tx, reason)
            else:
                fuse.hold_forum(tx, forum, reason)
            audit.record(tx, ACTOR, "queue hold", forum or "*", home.now(), detail=reason)

        home.store.write_now(work)
    show.answer(as_json, {"held": forum or "*"}, _("Held. Let it go on with `junto queue release`."))


@app.command()
def release(forum: ForumOrAll = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let what was held leave again."""
    with opened(config) as home:

        def work(tx: Connection) -> None:
            if forum is None:
                fuse.release_server(tx)
            else:
                fuse.release_forum(tx, forum)
            audit.record(tx, ACTOR, "queue release", forum or "*", home.now())

        home.store.write_now(work)
    show.answer(as_json, {"released": forum or "*"}, _("Released."))


def _chosen(ids: list[int] | None) -> list[int]:
    if not ids:
        raise CommandError(_("Say which deliveries: their ids are the first column of `junto queue list`."))
    return ids


def _thing(ids: list[int]) -> str:
    return "deliveries " + " ".join(map(str, ids[:20])) + (" …" if len(ids) > 20 else "")
