"""The stage's own door: loopback names only, same-origin forms only, and headers that let a page do nothing but show."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

FORM_LIMIT = 256 * 1024
"""Bytes of a posted form."""


class Guard:
    """Checks every request before it is handled (DNS rebinding, cross-site requests) and dresses every answer."""

    def __init__(self, port: int, site: str) -> None:
        self.hosts = frozenset({f"localhost:{port}", f"127.0.0.1:{port}"})
        self.origins = frozenset(f"http://{host}" for host in self.hosts)
        self.token = secrets.token_urlsafe(32)
        # `site`: the sign-in form here ends on the real site, and form-action binds redirects too.
        sources = " ".join(sorted(self.origins))
        self.page_policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            f"frame-src 'self'; form-action 'self' {site}; base-uri 'none'; frame-ancestors 'none'"
        )
        # A sandboxed frame has no origin of its own, so that its sources are named in full.
        self.frame_policy = (
            f"default-src 'none'; style-src {sources} 'unsafe-inline'; img-src {sources} data:; font-src {sources}; "
            "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; "
            "sandbox allow-top-navigation-by-user-activation"
        )

    def middleware(self) -> Middleware:
        """For `web.Application(middlewares=…)`."""

        @web.middleware
        async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.headers.get("Host", "").lower() not in self.hosts:
                raise web.HTTPMisdirectedRequest(text="The stage answers to localhost only.\n")
            if request.method not in ("GET", "HEAD"):
                await self._same_origin(request)
            return await handler(request)

        return check

    async def _same_origin(self, request: web.Request) -> None:
        if request.headers.get("Origin") not in self.origins:
            raise web.HTTPForbidden(text="This form belongs to the stage's own page.\n")
        form = await request.post()
        if not hmac.compare_digest(str(form.get("csrf", "")).encode(), self.token.encode()):
            raise web.HTTPForbidden(text="The page is from an earlier start of the demo: load it again.\n")

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """For `on_response_prepare`: the headers that every answer has."""
        headers = response.headers
        headers.setdefault("Content-Security-Policy", self.page_policy)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"  # no-referrer would make a form's Origin null
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
