"""Signing in by a mailed link: no password. The answer never tells whether an address is known."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web
from sqlalchemy import Connection

from server import limits
from server.archive import places
from server.content.sanitize import plain_line
from server.desk import Desk, letters
from server.errors import NotFound, Rejected
from server.i18n import gettext as _
from server.people import handles, identity, sessions
from server.web.context import (
    cookie_name,
    form,
    house,
    is_https,
    local_path,
    page,
    visit,
)

ADDRESS_CHARS = 254  # RFC 5321 section 4.5.3.1.3
PER_ADDRESS: web.AppKey[limits.Limiter] = web.AppKey("sign_in_per_address")
PER_PEER: web.AppKey[limits.Limiter] = web.AppKey("sign_in_per_peer")


def limiters(app: web.Application) -> None:
    """Three links an address in a quarter of an hour; a peer may be a reverse proxy and speak for many."""
    app[PER_ADDRESS] = limits.Limiter(3, 15 * 60)
    app[PER_PEER] = limits.Limiter(300, 15 * 60)


@dataclass(frozen=True, slots=True)
class _Purpose:
    """Why somebody signs in, as far as the page tells that they came from. `place`: the title of a forum that they may see."""

    place: str = ""
    joins: bool = False
    writes: bool = False


async def _purpose(request: web.Request, back: str) -> _Purpose:
    parts = back.partition("?")[0].split("/")
    if len(parts) < 3 or parts[1] != "f":
        return _Purpose()
    try:
        forum = await house(request).store.read(places.forum, visit(request).viewer, parts[2])
    except NotFound:
        return _Purpose()
    return _Purpose(forum.title, joins=parts[3:] == ["join"], writes=parts[-1] in ("reply", "new"))


async def _page(
    request: web.Request, back: str, *, address: str = "", sent: bool = False, problem: str = "", status: int = 200
) -> web.Response:
    return page(
        request,
        "sign_in.html",
        status=status,
        sent=sent,
        back=back,
        problem=problem,
        address=address,
        purpose=await _purpose(request, back),
        noindex=True,
    )


async def ask(request: web.Request) -> web.Response:
    """`GET /sign-in`: the form; `next` is the page that the reader came from, and says what for they sign in."""
    back = local_path(request.query.get("next", "/"))
    if visit(request).signed_in:
        raise web.HTTPFound(back)
    return await _page(request, back)


async def send(request: web.Request) -> web.Response:
    """`POST /sign-in`: book the link, and say the same for every address."""
    fields = await form(request)
    back, address = local_path(fields.get("next", "/")), fields.get("address", "").strip()[:ADDRESS_CHARS]
    if "@" not in address:
        return await _page(request, back, address=address, problem="address", status=400)
    if not request.app[PER_PEER].allow(request.remote or ""):
        raise web.HTTPTooManyRequests
    ours = house(request)
    mailbox = _mailbox(ours.desk, address)
    if mailbox is not None and request.app[PER_ADDRESS].allow(mailbox):
        place = (await _purpose(request, back)).place
        await ours.store.write(letters.sign_in_link, ours.desk, address, back, place, ours.now())
    return await _page(request, back, address=address, sent=True)


def _mailbox(desk: Desk, address: str) -> str | None:
    """The mailbox that a link would go to, however its address is spelled; None if no channel knows such addresses."""
    ways = [desk.claims[channel] for channel in desk.channels(takes_back=False) if channel in desk.claims]
    return next((normal for normalise in ways if (normal := normalise(address)) is not None), None)


async def show(request: web.Request) -> web.Response:
    """`GET /sign-in/TOKEN`: a button, for programs that follow links in mails must not use them up."""
    return await _link(request)


async def _link(request: web.Request, status: int = 200, problem: str = "") -> web.Response:
    """The page of a link; somebody new is asked for the name that others will see."""
    ours = house(request)
    name = await ours.store.read(_name_of, request.match_info["token"], ours.now())
    return page(
        request,
        "sign_in_link.html",
        status=status if name is not None else 410,
        valid=name is not None,
        named=bool(name),
        problem=problem,
        noindex=True,
    )


def _name_of(tx: Connection, token: str, now: int) -> str | None:
    """The name of the person whom the link signs in; None if it is no link (any more)."""
    grant = handles.redeem(tx, "sign-in", token, now)
    return str(identity.person(tx, grant.thing_id).name) if grant is not None else None


async def enter(request: web.Request) -> web.Response:
    """`POST /sign-in/TOKEN`: use the link up, open a session, go back to where the reader was."""
    name = plain_line((await form(request)).get("name", ""), limits.NAME_CHARS)
    ours = house(request)
    if "@" in name:
        return await _link(request, 400, _("A name, please: addresses are never shown."))
    try:
        session, back = await ours.store.write(_enter, request.match_info["token"], name, ours.now())
    except NotFound:
        return await _link(request)
    except Rejected as problem:
        return await _link(request, 400, problem.reason)
    response = web.HTTPSeeOther(local_path(back))
    response.set_cookie(
        cookie_name(request),
        session,
        max_age=sessions.LIFE_MS // 1000,
        path="/",
        secure=is_https(request),
        httponly=True,
        samesite="Lax",
    )
    raise response


def _enter(tx: Connection, token: str, name: str, now: int) -> tuple[str, str]:
    """A new session, and where its reader wanted to go."""
    grant = handles.redeem(tx, "sign-in", token, now)
    if grant is None:
        raise NotFound("no such link")
    if not identity.person(tx, grant.thing_id).name:
        if not name:
            raise Rejected("5.6.0", _("Please write the name that others will see."))
        identity.rename(tx, grant.thing_id, name)
    if not handles.use(tx, grant.id, now):
        raise NotFound("no such link")
    if grant.data.get("address_id"):
        identity.verify(tx, int(grant.data["address_id"]), now)
    return sessions.open(tx, grant.thing_id, now), str(grant.data.get("next", "/"))


async def leave(request: web.Request) -> web.Response:
    """`POST /sign-out`."""
    await form(request)
    if visit(request).session:
        await house(request).store.write(sessions.close, visit(request).session)
    response = web.HTTPSeeOther("/")
    response.del_cookie(cookie_name(request), path="/", secure=is_https(request), httponly=True, samesite="Lax")
    raise response
