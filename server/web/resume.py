"""Mail that was stopped for a signed-in member is sent again: the button of the banner that tells so."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from server.delivery import health
from server.people import subscriptions
from server.web.context import form, house, local_path, visit


async def act(request: web.Request) -> web.Response:
    """`POST /f/FORUM/resume`: every mailbox of theirs that was stopped in the forum; doing it twice is the same as once."""
    fields = await form(request)
    person_id, slug = visit(request).viewer.person_id, request.match_info["forum"].lower()
    if person_id is None:
        raise web.HTTPSeeOther("/sign-in")

    def work(tx: Connection) -> None:
        for stopped in subscriptions.stopped_of(tx, person_id):
            if stopped.slug == slug:
                health.resume(tx, stopped, f"person:{person_id}", house(request).now())

    await house(request).store.write(work)
    raise web.HTTPSeeOther(local_path(fields.get("next", "/")))
