"""A post inside its thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from server import bridge, tokens
from server.archive import threads
from server.archive.access import Viewer, may
from server.archive.masking import Mask
from server.web import body, ways
from server.web.context import base_url, house, page, visit


async def thread(request: web.Request) -> web.Response:
    """`/f/FORUM/N`: the stretch of the thread around post N, and how to answer it."""
    bridges = house(request).bridges
    names = [] if visit(request).signed_in else ways.channels(bridges)
    slug, number = request.match_info["forum"], int(request.match_info["number"])
    found, answering = await house(request).store.read(
        _work, visit(request).viewer, slug, number, names, base_url(request)
    )
    return await asyncio.to_thread(_answer, request, found, answering)


def _answer(request: web.Request, found: threads.ThreadPage, answering: Mapping[str, bridge.Post]) -> web.Response:
    """Run on a thread: posts may be long and many."""
    viewer, bridges = visit(request).viewer, house(request).bridges
    row = found.forum
    mask = Mask(row.slug, row.mail_domain)
    path = f"/f/{row.slug}"
    return page(
        request,
        "thread.html",
        modseq=row.modseq,
        forum=row,
        thread=found,
        title=mask.text(found.subject),
        bodies={post.id: body.shown(post.html, post.files, mask) for post in found.posts},
        beside={post.id: body.beside(post.html, post.files, mask) for post in found.posts},
        why_not=may(viewer, "post", row),
        is_member=viewer.role(row.id) is not None,
        ways=ways.to_post(bridges, answering),
        form_token=tokens.random_token(),
        canonical=f"{base_url(request)}{path}/{found.pages[found.page]}",
        feed=(f"{path}/feed.atom", row.title),
        # Small talk is for who looks, not for who searches: a thread that begins with it stays out of search engines.
        noindex=row.visibility != "public" or any(post.chat for post in found.posts if post.number == found.root),
    )


def _work(
    tx: Connection, viewer: Viewer, slug: str, number: int, channels: list[str], base: str
) -> tuple[threads.ThreadPage, Mapping[str, bridge.Post]]:
    found = threads.page(tx, viewer, slug, number)
    gone: dict[str, Any] = {}
    return found, gone if found.chosen.gone else ways.posts(tx, channels, found.chosen.id, base)
