"""Leaving by the link in a mail. Looking at the page does nothing; its button, or a mail program's own (RFC 8058), acts at once."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy import Connection, Row

from server.bridge import Leave
from server.desk import forums
from server.errors import NotFound, Rejected
from server.people import handles, subscriptions
from server.web.context import house, page


def _forum(tx: Connection, secret: bytes, token: str) -> Row[Any]:
    subscription = handles.printed_on(tx, secret, "leave", token)
    if subscription is None:
        raise NotFound("no such token")
    return forums.by_id(tx, subscriptions.by_id(tx, subscription).forum_id)


async def show(request: web.Request) -> web.Response:
    """`GET /leave/TOKEN`: what leaving means, and a button; link scanners change nothing."""
    forum = await house(request).store.read(_forum, house(request).secret, request.match_info["token"])
    return page(request, "leave.html", forum=forum, done=False, noindex=True)


async def act(request: web.Request) -> web.Response:
    """`POST /leave/TOKEN`: no sign-in, no cookie, no redirect (RFC 8058 section 3.2)."""
    token = request.match_info["token"]
    forum = await house(request).store.read(_forum, house(request).secret, token)
    try:
        await house(request).accept(Leave(forum=forum.slug, token=token))
    except Rejected as problem:
        raise NotFound(problem.reason) from problem
    return page(request, "leave.html", forum=forum, done=True, noindex=True)
