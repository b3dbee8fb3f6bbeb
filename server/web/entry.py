"""Who asks to be let into a forum, by the link in a moderator's notice: looking does nothing, a button decides, as `desk.entry` says.

No sign-in: the token proves the mailbox that it was sent to, as an answer by mail does.
"""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from server.desk import Desk, entry
from server.errors import NotFound, Rejected
from server.i18n import gettext as _
from server.moderation import words
from server.web.context import form, house, page

VERBS = {words.APPROVE, words.REJECT}


async def show(request: web.Request) -> web.Response:
    """`GET /entry/TOKEN`: who asks, what they wrote, and two buttons."""
    found, done = await house(request).store.read(_read, house(request).desk, request.match_info["token"])
    return _page(request, found, done)


async def act(request: web.Request) -> web.Response:
    """`POST /entry/TOKEN`: let them in or not, and say what is now."""
    fields = await form(request)
    verb, reason = fields.get("verb", ""), fields.get("reason", "")[: words.REASON_CHARS].strip()
    if verb not in VERBS:
        raise Rejected("5.5.0", _("There is no such decision."))
    ours = house(request)
    found, done = await ours.store.write(_act, ours.desk, request.match_info["token"], verb, reason)
    return _page(request, found, done)


def _asked(tx: Connection, desk: Desk, token: str) -> entry.Asked:
    found = entry.asked(tx, desk, token)
    if found is None:
        raise NotFound("no such token")
    return found


def _read(tx: Connection, desk: Desk, token: str) -> tuple[entry.Asked, str]:
    found = _asked(tx, desk, token)
    return found, "" if found.waiting is not None else entry.already(tx, found)


def _act(tx: Connection, desk: Desk, token: str, verb: str, reason: str) -> tuple[entry.Asked, str]:
    found = _asked(tx, desk, token)
    return found, entry.decided_on(tx, desk, found, verb, reason)


def _page(request: web.Request, found: entry.Asked, done: str) -> web.Response:
    return page(request, "entry.html", forum=found.by.forum, waiting=found.waiting, done=done, noindex=True)
