"""Atom feeds (RFC 4287) of forums and communities."""

from __future__ import annotations

import asyncio

from aiohttp import web

from server.archive import feeds
from server.archive.masking import Mask
from server.web import body
from server.web.context import base_url, house, page, visit


async def forum(request: web.Request) -> web.Response:
    """`/f/FORUM/feed.atom`."""
    found = await house(request).store.read(feeds.forum, visit(request).viewer, request.match_info["forum"])
    return await asyncio.to_thread(_answer, request, found)


async def community(request: web.Request) -> web.Response:
    """`/c/COMMUNITY/feed.atom`."""
    found = await house(request).store.read(feeds.community, visit(request).viewer, request.match_info["community"])
    return await asyncio.to_thread(_answer, request, found)


def _answer(request: web.Request, feed: feeds.Feed) -> web.Response:
    """Run on a thread: posts may be long and many."""
    base = base_url(request)
    masks = {entry.post.id: Mask(entry.forum.slug, entry.forum.mail_domain) for entry in feed.entries}
    response = page(
        request,
        "feed.xml",
        modseq=feed.modseq,
        feed=feed,
        subjects={e.post.id: masks[e.post.id].text(e.subject) for e in feed.entries},
        bodies={
            e.post.id: body.shown(e.post.html, e.post.files, masks[e.post.id], base_url=base, fold=False)
            for e in feed.entries
        },
        updated=max((e.post.edited_at or e.post.at for e in feed.entries), default=house(request).now()),
    )
    if response.status == 200:
        response.content_type = "application/atom+xml"
    return response
