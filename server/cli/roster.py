"""Members as a list: read from CSV with every bad line named, taken in all or nothing, and shown with their addresses."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from server.cli import show
from server.cli.context import ACTOR, Whose, whose
from server.desk import forums, invitations, sending, shutting
from server.errors import CommandError, Rejected
from server.i18n import _
from server.moderation import audit
from server.moving import mailman
from server.people import identity, membership, options, subscriptions

if TYPE_CHECKING:
    from server.house import Household

COLUMNS = ("address", "name", "delivery", "role")
LONGEST_FILE = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One person to take in; `number` is the line of the file."""

    number: int
    at: Whose
    name: str
    mode: str
    role: str


def text_of(file: Path) -> str:
    """The file's text. Raises CommandError for one that is no UTF-8 or too large."""
    try:
        if file.stat().st_size > LONGEST_FILE:
            raise CommandError(_("{file} is too large: give it in parts of at most 20 MB.").format(file=file))
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise CommandError(_("{file} is not UTF-8: save it as “CSV UTF-8”.").format(file=file)) from None


def read(text: str, home: Household, invite: bool, delivery: str | None = None) -> list[Line]:
    """The people of a CSV text with a first line that names its columns, or of an export of Mailman's.

    `delivery`: for those of whom the text says nothing. Raises CommandError that names every bad line.
    """
    wrong: list[str] = []
    lines: list[Line] = []
    first: dict[tuple[str, str], int] = {}
    rows = mailman.members(text)
    for number, row in _csv(text, wrong) if rows is None else rows:
        try:
            line = _line(number, row, home, invite, delivery)
            twice = first.setdefault((line.at.channel, line.at.address), line.number)
            if twice != line.number:
                raise CommandError(
                    _("{address} stands in line {number} already.").format(address=line.at.address, number=twice)
                )
            lines.append(line)
        except CommandError as problem:
            wrong.append(_("Line {number}: {problem}").format(number=number, problem=problem))
    if wrong:
        raise CommandError("\n".join([*wrong, _("Nothing was imported.")]))
    return lines


def _csv(text: str, wrong: list[str]) -> Iterator[tuple[int, Mapping[str | None, Any]]]:
    """Number and cells of each line. Raises CommandError if the first one names no columns of ours."""
    table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        named = [name.strip().lower() for name in table.fieldnames or []]
        if "address" not in named or not set(named) <= set(COLUMNS) or len(set(named)) < len(named):
            raise CommandError(
                _("The first line must name the columns: address,name,delivery,role (all but address may miss).")
            )
        table.fieldnames = named
        for row in table:
            if None in row or None in row.values():
                wrong.append(
                    _("Line {number}: {problem}").format(
                        number=table.line_num, problem=_("it has not as many fields as the first line.")
                    )
                )
            else:
                yield table.line_num, row
    except csv.Error as problem:
        wrong.append(_("Line {number}: {problem}").format(number=table.line_num, problem=problem))


def _line(number: int, row: Mapping[Any, Any], home: Household, invite: bool, delivery: str | None) -> Line:
    cells = {key: str(row.get(key) or "").strip() for key in COLUMNS}
    at = whose(home, cells["address"])
    if at is None:
        raise CommandError(
            _("“{address}” is no address of a channel that is turned on here.").format(address=cells["address"])
        )
    if invite and not at.mailbox:
        raise CommandError(
            _("{address} cannot be invited by mail: say --confirmed if they agreed.").format(address=at.address)
        )
    mode = options.read_mode("delivery", cells["delivery"] or delivery or "each")
    return Line(number, at, cells["name"], mode, options.read_role("role", cells["role"] or "member"))


def take_in(tx: Connection, slug: str, lines: Sequence[Line], confirmed: bool, now: int) -> dict[str, int]:
    """Make all of them members, or invite all of them; how many. Raises NotFound, or CommandError that names every bad line."""
    forum = forums.get(tx, slug)
    counts = {"joined": 0, "invited": 0, "unchanged": 0}
    wrong: list[str] = []
    for line in lines:
        try:
            counts[_take(tx, forum, line, confirmed, now)] += 1
        except Rejected as problem:
            wrong.append(_("Line {number}: {problem}").format(number=line.number, problem=problem))
    if wrong:
        raise CommandError("\n".join([*wrong, _("Nothing was imported.")]))
    audit.record(tx, ACTOR, "member import", f"{len(lines)} people", now, forum_id=forum.id)
    return counts


def _take(tx: Connection, forum: Any, line: Line, confirmed: bool, now: int) -> str:
    known = identity.ensure(tx, line.at.channel, line.at.address, line.name, now)
    member = membership.of(tx, known.person_id, forum.id)
    shutting.refuse_banned(tx, forum.id, known, line.at.address)
    if not confirmed:
        asked = invitations.invite(tx, forum, known, now, line.mode, line.role)
        return "invited" if asked else "unchanged"
    if membership.is_active(member):
        return "unchanged"
    join(tx, forum.id, line, now, {})
    return "joined"


def join(tx: Connection, forum_id: int, line: Line, now: int, chosen: Mapping[str, Any]) -> int:
    """Make the person a member, their mailbox a subscription (`chosen` of it is set even if it was there); the person's id."""
    known = identity.ensure(tx, line.at.channel, line.at.address, line.name, now, verified=True)
    shutting.refuse_banned(tx, forum_id, known, line.at.address)
    line.at.admit(forums.by_id(tx, forum_id))
    mailbox = known.address_id if line.at.mailbox else None
    subscription = membership.join(tx, forum_id, known.person_id, mailbox, now, mode=line.mode, role=line.role)
    if subscription is not None and chosen:
        sending.set_subscription(tx, subscription, chosen, now)
    forums.changed(tx, forum_id, "member", known.person_id, now)
    return known.person_id


def listing(tx: Connection, forum_id: int) -> list[dict[str, Any]]:
    """Everybody who is or was a member, each with all addresses and what is sent there. For operators only."""
    sent = {row.address_id: row for row in subscriptions.of_forum(tx, forum_id)}
    people = membership.members(tx, forum_id)
    addresses: dict[int, list[dict[str, Any]]] = {}
    for row in identity.addresses_of(tx, [person.person_id for person in people]):
        mailbox = sent.get(row.id)
        delivery = mailbox.mode if mailbox is not None and mailbox.state == "active" else None
        stopped = mailbox.stop_reason if mailbox is not None and mailbox.state == "stopped" else None
        since = show.when(mailbox.stopped_at) if mailbox is not None and stopped else None
        facts = {"channel": row.channel, "address": row.address, "verified": row.verified_at is not None}
        addresses.setdefault(row.person_id, []).append(
            facts | {"delivery": delivery, "stopped": stopped, "stopped_at": since}
        )
    return [
        {
            "key": row.key,
            "name": row.name,
            "role": row.role,
            "state": row.state,
            "may_post": row.may_post,
            "joined_at": show.when(row.joined_at),
            "addresses": addresses.get(row.person_id, []),
        }
        for row in people
    ]
