"""The front page, a community, a forum's threads."""

from __future__ import annotations

from aiohttp import web

from server import limits
from server.archive import places, threads
from server.archive.access import may
from server.archive.masking import Mask
from server.content.excerpts import first_words
from server.desk.forums import view
from server.web import ways
from server.web.context import base_url, house, page, visit

EXCERPT_CHARS = 150


async def home(request: web.Request) -> web.Response:
    """`/`: the communities and their forums."""
    found = await house(request).store.read(places.directory, visit(request).viewer)
    return page(request, "home.html", places=found, canonical=f"{base_url(request)}/")


async def community(request: web.Request) -> web.Response:
    """`/c/COMMUNITY`."""
    place = await house(request).store.read(places.community, visit(request).viewer, request.match_info["community"])
    path = f"/c/{place.slug}"
    hidden = all(row.visibility != "public" for row in place.forums) and bool(place.forums)
    return page(
        request,
        "community.html",
        place=place,
        canonical=base_url(request) + path,
        feed=(f"{path}/feed.atom", place.name),
        noindex=hidden,
    )


async def forum(request: web.Request) -> web.Response:
    """`/f/FORUM`: threads by newest activity; `before` is the cursor of older ones."""
    asked = request.query.get("before", "")
    before = limits.whole_number(asked)
    if asked and before is None:
        raise web.HTTPNotFound
    viewer = visit(request).viewer
    found = await house(request).store.read(threads.listing, viewer, request.match_info["forum"], before)
    row = found.forum
    mask = Mask(row.slug, row.mail_domain)
    path = f"/f/{row.slug}"
    return page(
        request,
        "forum.html",
        modseq=row.modseq,
        forum=row,
        listing=found,
        words={thread.id: mask.text(first_words(thread.words, EXCERPT_CHARS)) for thread in found.threads},
        subject=mask.text,
        first_page=before is None,
        why_not=may(viewer, "post", row),
        may_join=may(viewer, "join", row) is None,
        is_member=viewer.role(row.id) is not None,
        ways=ways.to_forum(house(request).bridges, view(row, base_url(request))),
        canonical=base_url(request) + path + (f"?before={before}" if before else ""),
        feed=(f"{path}/feed.atom", row.title),
        noindex=row.visibility != "public",
        page_size=limits.PAGE_THREADS,
    )
