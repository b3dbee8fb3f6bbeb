"""What every page needs: the house, who visits, forms that only we can have made, and the way to answer with a page."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp_jinja2
from aiohttp import web
from sqlalchemy import Row

from server import limits
from server.archive.access import STRANGER, Viewer
from server.house import Household
from server.i18n import gettext as _

FORM_BYTES = 4 * limits.TEXT_CHARS


@dataclass(frozen=True, slots=True)
class Visit:
    """Who asks for this page. `session` is the cookie's token, "" for a stranger. `stopped`: the subscriptions that they are told of."""

    viewer: Viewer = STRANGER
    session: str = ""
    stopped: tuple[Row[Any], ...] = ()

    @property
    def signed_in(self) -> bool:
        return self.viewer.person_id is not None


HOUSE: web.AppKey[Household] = web.AppKey("house")
STYLE_URL: web.AppKey[str] = web.AppKey("style_url")
VISIT: web.RequestKey[Visit] = web.RequestKey("visit")


def house(request: web.Request) -> Household:
    return request.app[HOUSE]


def visit(request: web.Request) -> Visit:
    """Who asks; set by the guard before any handler runs."""
    return request.get(VISIT) or Visit()


def base_url(request: web.Request) -> str:
    return house(request).config.server.base_url


def cookie_name(request: web.Request) -> str:
    """`__Host-` binds the cookie to this host and to https; plain http (a test, a demo) cannot have it."""
    return "__Host-junto" if is_https(request) else "junto"


def is_https(request: web.Request) -> bool:
    return base_url(request).startswith("https://")


def csrf_token(request: web.Request) -> str:
    """Proves that a form was made for this session."""
    session = visit(request).session
    return hmac.new(house(request).secret, f"form:{session}".encode(), hashlib.sha256).hexdigest() if session else ""


async def form(request: web.Request) -> Mapping[str, str]:
    """The fields of a posted form. Raises 403 if a session's form does not carry that session's token."""
    fields = {key: value for key, value in (await request.post()).items() if isinstance(value, str)}
    if not hmac.compare_digest(fields.get("csrf", "").encode(), csrf_token(request).encode()):
        raise web.HTTPForbidden(
            reason="Stale form", text=_("This page was open for too long. Go back, reload it, and try again.")
        )
    return fields


def local_path(path: str) -> str:
    """The path if it leads to a page of ours, else "/": a link of somebody else's must not send a reader away."""
    try:
        parts = urlsplit(path)
    except ValueError:  # "//[" begins an address that never ends
        return "/"
    fine = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if fine and path.isprintable() and len(path) < 2_000 else "/"


def page(
    request: web.Request,
    template: str,
    *,
    status: int = 200,
    modseq: int | None = None,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> web.Response:
    """A page of ours. With `modseq` a stranger's browser may ask whether anything changed (RFC 9110 section 13.1.2)."""
    now = house(request).now()
    etag = None
    if modseq is not None and not visit(request).signed_in:
        minute = now // 60_000  # pages say "5 minutes ago"
        etag = hashlib.sha256(f"{request.app[STYLE_URL]} {request.rel_url} {modseq} {minute}".encode()).hexdigest()[:32]
        known = request.if_none_match or ()
        if any(tag.value == etag for tag in known):
            return web.Response(status=304, headers={"ETag": f'W/"{etag}"'})
    shared = {
        "visit": visit(request),
        "csrf": csrf_token(request),
        "now": now,
        "style_url": request.app[STYLE_URL],
        "base_url": base_url(request),
        "here": request.rel_url.path_qs,
        "canonical": None,
        "feed": None,
        "noindex": False,
        "has_rooms": any(traits.takes_back for traits in house(request).desk.traits.values()),
    }
    text = aiohttp_jinja2.render_string(template, request, shared | context)
    response = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    response.headers["Cache-Control"] = "no-cache" if etag else "private, no-store"
    if etag:
        response.headers["ETag"] = f'W/"{etag}"'
    response.headers["Vary"] = "Cookie, Accept-Language"
    return response
