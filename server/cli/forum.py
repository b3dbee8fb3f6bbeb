"""`junto forum`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer
from sqlalchemy import Connection, Row

from server.bridge import ForumDefaults
from server.cli import roster, show
from server.cli.context import ACTOR, ConfigOption, JsonOption, opened, pairs
from server.desk import book, forums
from server.desk.options import OPTIONS
from server.i18n import _
from server.moderation import audit
from server.moving import mailman
from server.values import yes_or_no

if TYPE_CHECKING:
    from server.house import Household

app = typer.Typer(
    help="Forums: each is one mailing list, one Matrix room, one board.", no_args_is_help=True, rich_markup_mode=None
)
Slug = Annotated[str, typer.Argument(help="Its name in addresses: small letters, digits, hyphens.")]


def _option(flag: str, metavar: str, key: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=OPTIONS[key].help[:1].upper() + OPTIONS[key].help[1:] + ".")


@app.command()
def create(
    slug: Slug,
    community: Annotated[str, typer.Option("--community", metavar="SLUG", help="The community that it belongs to.")],
    title: Annotated[str | None, _option("--title", "TITLE", "title")] = None,
    visibility: Annotated[str, _option("--visibility", "public|members", "visibility")] = "public",
    join: Annotated[str, _option("--join", "open|approval|invite", "join")] = "open",
    post: Annotated[str, _option("--post", "members|anyone|moderators", "post")] = "members",
    federate: Annotated[
        str, typer.Option("--federate", metavar="yes|no", help="May people of other homeservers join the room?")
    ] = "yes",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a forum: one list address, one Matrix room, one web board."""
    with opened(config) as home:
        domain = _mail_domain(home)
        shared = yes_or_no("federate", federate)

        def work(tx: Connection) -> Row[Any]:
            now = home.now()
            forum_id = forums.create_forum(
                tx,
                slug,
                community,
                title=title or slug,
                mail_domain=domain,
                visibility=visibility,
                join_policy=join,
                post_policy=post,
                federate=shared,
                now=now,
            )
            book.tend(tx, home.desk, forum_id, now)
            audit.record(tx, ACTOR, "forum create", slug, now, forum_id=forum_id)
            return forums.by_id(tx, forum_id)

        row = home.store.write_now(work)
        data = _facts(row, home.desk.base_url)
        text = _("Made the forum {title}: {url}, {address}").format(**data)
        show.answer(as_json, data, text)


def _mail_domain(home: Household) -> str:
    """What a bridge says, else the host of our own pages: the column is there for ever."""
    for made in home.bridges.values():
        if isinstance(made, ForumDefaults) and "mail_domain" in made.forum_defaults():
            return made.forum_defaults()["mail_domain"]
    return urlsplit(home.desk.base_url).hostname or "localhost"


def _facts(row: Row[Any], base_url: str) -> dict[str, Any]:
    facts = {
        "slug": row.slug,
        "community": row.community_slug,
        "state": row.state,
        "url": f"{base_url}/f/{row.slug}",
        "address": f"{row.slug}@{row.mail_domain}",
        "posts": row.last_seq,
        "federate": row.federate,
        "held_because": row.fuse_reason,
    }
    options = {key: getattr(row, option.column) for key, option in OPTIONS.items()}
    options["settle"] = row.settle_ms // 1000
    return facts | options


@app.command("list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List all forums."""
    with opened(config) as home:
        rows = [_facts(row, home.desk.base_url) for row in home.store.read_now(forums.all_forums)]
    columns = ["slug", "community", "title", "visibility", "join", "post", "state", "posts", "address"]
    show.table(as_json, rows, columns, _("There is no forum yet: make one with `junto forum create`."))


@app.command("set")
def set_(
    slug: Slug,
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Without any, prints every option and its value."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Settings that Mailman's config_list or REST interface wrote, as far as we have them.",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set options of a forum, for example settle=60 join=invite."""
    with opened(config) as home:
        if from_ is not None:
            told = mailman.settings(roster.text_of(from_), OPTIONS)
            told.taken |= pairs(options or [])
            home.store.write_now(_set, home, slug, told.taken)
            show.answer(as_json, {"taken": told.taken, "left": told.left}, _of_mailman(told))
            return
        if options:
            home.store.write_now(_set, home, slug, pairs(options))
        row = home.store.read_now(forums.get, slug)
        facts = _facts(row, home.desk.base_url)
    if options or as_json:
        show.answer(as_json, facts, _("Set {options} of {slug}.").format(options=", ".join(options or []), slug=slug))
        return
    rows = [{"option": key, "value": facts[key], "means": OPTIONS[key].help} for key in OPTIONS]
    show.table(False, rows, ["option", "value", "means"], "")


def _of_mailman(told: mailman.Settings) -> str:
    taken = "\n".join(f"  {key}={value}" for key, value in sorted(told.taken.items()))
    return _("Set:\n{taken}\nNot taken: {left}").format(taken=taken, left=", ".join(sorted(told.left)) or _("nothing"))


def _set(tx: Connection, home: Household, slug: str, options: dict[str, str]) -> None:
    now = home.now()
    forums.set_options(tx, slug, options, now)
    _changed(tx, home, slug, "forum set", " ".join(sorted(options)))


def _changed(tx: Connection, home: Household, slug: str, verb: str, detail: str = "") -> None:
    forum_id = forums.get(tx, slug).id
    book.tend(tx, home.desk, forum_id, home.now())
    audit.record(tx, ACTOR, verb, slug, home.now(), forum_id=forum_id, detail=detail)


@app.command()
def close(slug: Slug, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Close a forum: it stays readable, nothing new is posted."""
    with opened(config) as home:

        def work(tx: Connection) -> None:
            forums.close(tx, slug, home.now())
            _changed(tx, home, slug, "forum close")

        home.store.write_now(work)
    text = _("{slug} is closed: it can be read, and nothing new is posted.").format(slug=slug)
    show.answer(as_json, {"slug": slug, "state": "closed"}, text)
