"""`junto doctor`: looks at everything that the server depends on, and says how to mend what is wrong. Changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

import typer

from server.bridge import Check, Checks, Forum
from server.cli import show
from server.cli.context import ConfigOption, JsonOption, built
from server.desk import forums
from server.errors import JuntoError
from server.house import Household
from server.i18n import _, ngettext
from server.people import subscriptions

Reach = Mapping[str, Mapping[str, int]]
FREE_BYTES = 1024 * 1024 * 1024  # below this a busy week of attachments may fill the disk
MARKS = {True: "ok", False: "WRONG", None: "?"}


def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Look at database, disk, DNS, relay and whatever else this server needs; say how to mend each problem."""
    with built(config) as home:
        database, known, reach = _database(home)
        found = [database, _disk(home), _secrets(home), _operator(home), _address(home)]
        found += asyncio.run(_of_bridges(home, known, reach))
    show.answer(as_json, [asdict(check) for check in found], _text(found))
    if any(check.ok is False for check in found):
        raise typer.Exit(1)


def _text(found: Sequence[Check]) -> str:
    lines = []
    for check in found:
        lines.append(f"{MARKS[check.ok]:<6} {check.name}: {check.detail}")
        lines += [f"       {line}" for line in check.fix.splitlines()]
    wrong = sum(check.ok is False for check in found)
    unknown = sum(check.ok is None for check in found)
    lines += ["", _("{wrong} wrong, {unknown} not looked at.").format(wrong=wrong, unknown=unknown)]
    return "\n".join(lines)


async def _of_bridges(home: Household, known: Sequence[Forum], reach: Reach) -> list[Check]:
    found: list[Check] = []
    for made in home.bridges.values():
        if isinstance(made, Checks):
            found += await made.checks(known, reach.get(made.traits.channel, {}))
    return found


def _database(home: Household) -> tuple[Check, list[Forum], Reach]:
    name = _("database")
    try:
        home.store.open()
        rows = home.store.read_now(forums.all_forums)
        reach = home.store.read_now(subscriptions.reach)
    except (JuntoError, OSError) as problem:
        return Check(name, False, str(problem), _("Look at [database] url, and whether the database runs.")), [], {}
    known = [forums.view(row, home.desk.base_url) for row in rows]
    detail = ngettext("answers, and knows {count} forum", "answers, and knows {count} forums", len(known)).format(
        count=len(known)
    )
    return Check(name, True, detail), known, reach


def _disk(home: Household) -> Check:
    free = shutil.disk_usage(home.config.data_dir).free
    detail = _("{gib:.1f} GiB are free in {place}").format(gib=free / 2**30, place=home.config.data_dir)
    fix = _("Make room: mail that cannot be stored is not taken.") if free < FREE_BYTES else ""
    return Check(_("disk"), free >= FREE_BYTES, detail, fix)


def _secrets(home: Household) -> Check:
    place = home.config.data_dir / "keys"
    open_to = [path for path in sorted(place.iterdir()) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if not open_to:
        return Check(_("keys"), True, _("nobody else on this machine can read them"))
    names = " ".join(str(path) for path in open_to)
    return Check(
        _("keys"), False, _("others on this machine can read {names}").format(names=names), f"chmod go= {names}"
    )


def _operator(home: Household) -> Check:
    address = home.config.server.operator
    if address:
        return Check(_("operator"), True, _("postmaster and abuse reach {address}").format(address=address))
    return Check(
        _("operator"),
        False,
        _("what is written to postmaster and abuse is kept here, and nobody reads it"),
        _("Set [server] operator to an address that somebody reads (RFC 2142)."),
    )


def _address(home: Household) -> Check:
    url = urlsplit(home.desk.base_url)
    if url.hostname in ("localhost", "127.0.0.1", "::1"):
        return Check(
            _("address"), None, _("{url} can be reached from this machine only").format(url=home.desk.base_url)
        )
    if url.scheme == "https":
        return Check(_("address"), True, home.desk.base_url)
    return Check(
        _("address"),
        False,
        _("{url} is not encrypted: sign-in links and sessions can be read on the way").format(url=home.desk.base_url),
        _("Put a web server with a certificate in front, and write https:// in [server] base_url."),
    )
