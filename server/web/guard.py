"""Around every request: who asks, in which language; headers that forbid what no page of ours needs; a friendly page for each failure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from babel import negotiate_locale
from sqlalchemy import Connection

from server import log, metrics
from server.archive import places
from server.archive.access import STRANGER
from server.errors import Deferred, NotFound, Rejected
from server.i18n import LOCALES, speaking
from server.i18n import gettext as _
from server.people import sessions, subscriptions
from server.web.context import VISIT, Visit, base_url, cookie_name, house, page

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), interest-cohort=()",
}
_READY = ("en", *sorted(each.name for each in LOCALES.glob("*") if each.is_dir()))
_FOREIGN_FORMS = "/leave/"  # mail programs post there (RFC 8058 section 3.2); nothing but its token counts
_log = log.get("web")


async def headers(request: web.Request, response: web.StreamResponse) -> None:
    """Every answer carries the headers, a stricter one's own go before; every answer is counted."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    metrics.REQUESTS.labels(f"{response.status // 100}xx").inc()


@web.middleware
async def language(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Pages speak the first language of the reader's that we have."""
    wanted = [part.split(";")[0].strip() for part in request.headers.get("Accept-Language", "")[:200].split(",")]
    with speaking(negotiate_locale([w for w in wanted if w], _READY, sep="-") or "en"):
        return await handler(request)


@web.middleware
async def failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What a handler raises becomes a page that says what happened and what to do."""
    try:
        return await handler(request)
    except NotFound:
        mailed = "token" in request.match_info  # a link of a mail, which people keep and press twice
        over = _("This link was used before, or it is too old. If nothing came of it, please ask again.")
        return _failure(request, 404, over if mailed else "")
    except Rejected as problem:
        return _failure(request, 403, problem.reason)
    except Deferred as problem:
        return _failure(request, 503, problem.reason, {"Retry-After": "30"})
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        kept = {name: answer.headers[name] for name in ("Allow", "Retry-After") if name in answer.headers}
        return _failure(request, answer.status, answer.text if answer.status == 403 else "", kept)
    except Exception:  # noqa: BLE001  the edge of the web: one bad request must not take the others with it
        metrics.LOOP_ERRORS.labels("web").inc()
        _log.exception("request failed", path=request.path)
        return _failure(request, 500)


def _failure(
    request: web.Request, status: int, reason: str | None = "", kept: dict[str, str] | None = None
) -> web.Response:
    titles = {
        403: _("That is not possible"),
        404: _("There is no such page"),
        405: _("That is not possible"),
        413: _("That is too much at once"),
        429: _("A little slower, please"),
        503: _("Please come back in a moment"),
    }
    words = {
        403: _("The page could not do what you asked for."),
        404: _("It may have been moved or taken back, or it is for members who are signed in."),
        405: _("This address does not work that way."),
        413: _("What you sent is larger than we take. Please make it shorter."),
        429: _("There were many requests in a short time. Please try again in some minutes."),
        503: _("The server cannot answer right now. Nothing was lost; please try again."),
    }
    title = titles.get(status, _("Something went wrong here"))
    text = reason or words.get(status, _("It is our fault, not yours, and it has been written down. Please try again."))
    return page(
        request, "failure.html", status=status, headers=kept, title=title, words=text, code=status, noindex=True
    )


@web.middleware
async def visitor(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, and refuse forms that come from another site (beside the token in each form)."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and not request.path.startswith(_FOREIGN_FORMS):
        _same_origin(request)
    token = request.cookies.get(cookie_name(request), "")
    if token:
        request[VISIT] = await house(request).store.read(_who, token, house(request).now())
    return await handler(request)


def _who(tx: Connection, token: str, now: int) -> Visit:
    person = sessions.person_of(tx, token, now)
    viewer = STRANGER if person is None else places.viewer(tx, person)
    if viewer.person_id is None:
        return Visit()
    return Visit(viewer, token, tuple(subscriptions.stopped_of(tx, viewer.person_id)))


def _same_origin(request: web.Request) -> None:
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        fine = site in ("same-origin", "none")
    else:
        fine = origin is None or urlsplit(origin).netloc in (request.host, urlsplit(base_url(request)).netloc)
    if not fine:
        raise web.HTTPForbidden(text=_("This form came from another site, so nothing was done."))
