"""`junto member`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from server import bridge
from server.cli import roster, show
from server.cli.context import ACTOR, ConfigOption, ForumOption, JsonOption, claimed, member_at, opened, pairs
from server.desk import entry, forums, sending
from server.errors import CommandError
from server.i18n import _
from server.moderation import audit, words
from server.people import membership, options, subscriptions

app = typer.Typer(help="Members of forums.", no_args_is_help=True, rich_markup_mode=None)
Address = Annotated[str, typer.Argument(help="A mail address, or a Matrix id such as @ana:example.org.")]
MODES = "|".join(bridge.MODES)


@app.command()
def add(
    address: Address,
    forum: ForumOption,
    name: Annotated[str, typer.Option("--name", help="How others see them.")] = "",
    delivery: Annotated[
        str | None, typer.Option("--delivery", metavar=MODES, help="What is sent to the mailbox; by default each post.")
    ] = None,
    role: Annotated[str, typer.Option("--role", metavar="member|moderator|owner", help="What they may do.")] = "member",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make somebody a member at once: they agreed, you vouch for it."""
    wanted = options.read({"role": role} | ({"delivery": delivery} if delivery is not None else {}))
    with opened(config) as home:
        at = claimed(home, address)
        if delivery not in (None, "none") and not at.mailbox:
            raise CommandError(
                _("Posts reach {address} in the room: --delivery is for mailboxes.").format(address=address)
            )

        def work(tx: Connection) -> None:
            row = forums.get(tx, forum)
            line = roster.Line(0, at, name, str(wanted.subscription.get("mode", "each")), role)
            person_id = roster.join(tx, row.id, line, home.now(), wanted.subscription)
            audit.record(tx, ACTOR, "member add", f"person:{person_id}", home.now(), forum_id=row.id, detail=role)

        home.store.write_now(work)
    data = {"address": at.address, "channel": at.channel, "forum": forum, "role": role, "state": "active"}
    show.answer(as_json, data, _("{address} is a member of {forum} now.").format(**data))


@app.command("list")
def list_(forum: ForumOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """List everybody who is or was a member, with their addresses: this is private."""
    with opened(config) as home:
        rows = home.store.read_now(lambda tx: roster.listing(tx, forums.get(tx, forum).id))
    shown = rows
    if not as_json:
        shown = [
            row
            | {
                "addresses": " ".join(each["address"] for each in row["addresses"]),
                "delivery": " ".join(dict.fromkeys(_delivery(each) for each in row["addresses"])),
            }
            for row in rows
        ]
    columns = ["name", "addresses", "delivery", "role", "state", "may_post"]
    show.table(as_json, shown, columns, _("{forum} has no members yet.").format(forum=forum))


def _delivery(address: dict[str, Any]) -> str:
    """The mode, and where nothing is sent because of what came back: why, and since when."""
    if address["stopped"]:
        return _("stopped ({reason}, {day})").format(reason=address["stopped"], day=address["stopped_at"][:10])
    return str(address["delivery"] or "-")


@app.command("set")
def set_(
    address: Address,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Keys: " + " ".join(options.KEYS) + ".")],
    forum: ForumOption,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set options of a member, for example delivery=topics role=moderator; delivery or state=active resumes mail that was stopped."""
    given = pairs(values)
    wanted = options.read(given)
    with opened(config) as home:
        at = claimed(home, address)

        def work(tx: Connection) -> None:
            row, known = member_at(tx, forum, at)
            mailbox = subscriptions.at(tx, row.id, known.address_id)
            if wanted.subscription and mailbox is None:
                raise CommandError(_("Nothing of {forum} is sent to {address}.").format(forum=forum, address=address))
            sending.apply(tx, home.desk, row.id, known.person_id, mailbox, wanted, ACTOR)
            _note(tx, "member set", row.id, known.person_id, home.now(), " ".join(given))

        home.store.write_now(work)
    text = _("Set {options} of {address}.").format(options=", ".join(values), address=at.address)
    show.answer(as_json, {"address": at.address, "forum": forum, "set": given}, text)


@app.command()
def remove(address: Address, forum: ForumOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """End a membership; what they wrote stays."""
    with opened(config) as home:
        at = claimed(home, address)

        def work(tx: Connection) -> None:
            row, known = member_at(tx, forum, at)
            member = membership.of(tx, known.person_id, row.id)
            if member is None or member.state == "left":
                raise CommandError(_("{address} is no member of {forum}.").format(address=at.address, forum=forum))
            membership.leave(tx, row.id, known.person_id)
            _note(tx, "member remove", row.id, known.person_id, home.now())

        home.store.write_now(work)
    text = _("{address} is no member of {forum} any more.").format(address=at.address, forum=forum)
    show.answer(as_json, {"address": at.address, "forum": forum, "state": "left"}, text)


@app.command()
def approve(address: Address, forum: ForumOption, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Let in somebody who asked to join; they are told."""
    at = _decide(config, address, forum, words.APPROVE)
    text = _("{address} is a member of {forum} now.").format(address=at, forum=forum)
    show.answer(as_json, {"address": at, "forum": forum, "state": "active"}, text)


@app.command()
def reject(
    address: Address,
    forum: ForumOption,
    reason: Annotated[str, typer.Option("--reason", help="Told to them with the no.")] = "",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Do not let in somebody who asked to join; they are told."""
    at = _decide(config, address, forum, words.REJECT, reason)
    text = _("{address} was not let into {forum}.").format(address=at, forum=forum)
    show.answer(as_json, {"address": at, "forum": forum, "state": "left"}, text)


def _decide(config: str | None, address: str, forum: str, verb: str, reason: str = "") -> str:
    with opened(config) as home:
        at = claimed(home, address)

        def work(tx: Connection) -> None:
            row, known = member_at(tx, forum, at)
            entry.decide(tx, home.desk, row, known.person_id, verb, ACTOR, reason)

        home.store.write_now(work)
    return at.address


def _note(tx: Connection, verb: str, forum_id: int, person_id: int, now: int, detail: str = "") -> None:
    forums.changed(tx, forum_id, "member", person_id, now)
    audit.record(tx, ACTOR, verb, f"person:{person_id}", now, forum_id=forum_id, detail=detail)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.csv",
            help="Columns address,name,delivery,role; or what Mailman's list_members or roster says.",
        ),
    ],
    forum: ForumOption,
    delivery: Annotated[
        str | None,
        typer.Option("--delivery", metavar=MODES, help="What is sent to those of whom the file says nothing."),
    ] = None,
    confirmed: Annotated[
        bool, typer.Option("--confirmed", help="They agreed already: members at once, without an invitation.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take many people in from a CSV file or an export of Mailman's: all of them, or none and every bad line is named."""
    text = roster.text_of(file)
    with opened(config) as home:
        lines = roster.read(text, home, invite=not confirmed, delivery=delivery)
        counts: dict[str, Any] = home.store.write_now(roster.take_in, forum, lines, confirmed, home.now())
    said = _("{joined} joined, {invited} invited, {unchanged} unchanged.").format(**counts)
    show.answer(as_json, counts, said)
