"""Posts as messages: raw, the thread as mbox, and the way from a Message-ID to its page."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from sqlalchemy import Connection

from server import bridge
from server.archive import access, places, portable, posts
from server.archive.access import Viewer
from server.archive.masking import Mask
from server.errors import NotFound
from server.moving import mbox
from server.web.context import base_url, house, visit

_CHUNK = 4  # each may be as large as a message may be


@dataclass(frozen=True, slots=True)
class Source:
    """A post and, where it came as a message, its bytes. `exact`: this viewer may see addresses in it."""

    post: bridge.Post
    mask: Mask
    exact: bool


def _sources(
    tx: Connection, viewer: Viewer, slug: str, numbers: list[int], writers: list[str], base: str
) -> list[Source]:
    forum = places.forum(tx, viewer, slug)
    mask = Mask(forum.slug, forum.mail_domain)
    found = []
    for number in numbers:
        row = posts.number_of(tx, forum, number)
        if row.state == "published":
            channel = row.channel if row.channel in writers else writers[0]
            post = portable.port_post(tx, row.id, channel, base)
            found.append(Source(post, mask, access.may_see_bytes(viewer, forum, row.person_id)))
    return found


def _writers(bridges: Mapping[str, bridge.Bridge]) -> list[str]:
    """Channels whose bridge speaks messages. Raises NotFound where none does: then nothing here has a source."""
    names = [name for name, b in bridges.items() if isinstance(b, bridge.Source)]
    if not names:
        raise NotFound("no bridge writes messages")
    return names


def _message(bridges: Mapping[str, bridge.Bridge], writers: list[str], source: Source) -> bytes:
    """As received where it came as a message, else as its bridge writes it; masked for all but its author and moderators."""
    if source.post.original is not None:
        return source.post.original if source.exact else source.mask.message(source.post.original)
    writer = bridges[writers[0]]
    assert isinstance(writer, bridge.Source)
    return source.mask.message(writer.source(source.post))


async def raw(request: web.Request) -> web.Response:
    """`/f/FORUM/N/raw`: the post as RFC 5322 source."""
    bridges = house(request).bridges
    writers = _writers(bridges)
    slug, number = request.match_info["forum"], int(request.match_info["number"])
    found = await house(request).store.read(_sources, visit(request).viewer, slug, [number], writers, base_url(request))
    if not found:
        raise NotFound("taken back")
    body = await asyncio.to_thread(_message, bridges, writers, found[0])
    return web.Response(body=body, headers=_headers("text/plain", "utf-8"))


async def thread_mbox(request: web.Request) -> web.StreamResponse:
    """`/f/FORUM/N/thread.mbox`: the whole thread as mbox (RFC 4155), "From " quoted as in mboxrd."""
    bridges, viewer, store = house(request).bridges, visit(request).viewer, house(request).store
    writers = _writers(bridges)
    slug, number = request.match_info["forum"], int(request.match_info["number"])
    numbers = await store.read(posts.thread_numbers, viewer, slug, number)
    if not numbers:
        raise NotFound("taken back")
    response = web.StreamResponse(headers=_headers("application/mbox"))
    response.headers["Content-Disposition"] = f'attachment; filename="{slug}-{numbers[0]}.mbox"'
    await response.prepare(request)
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        for source in await store.read(_sources, viewer, slug, chunk, writers, base_url(request)):
            await response.write(await asyncio.to_thread(_entry, bridges, writers, source))
    await response.write_eof()
    return response


def _entry(bridges: Mapping[str, bridge.Bridge], writers: list[str], source: Source) -> bytes:
    return mbox.entry(_message(bridges, writers, source), source.post.written_at, "MAILER-DAEMON")


async def by_message_id(request: web.Request) -> web.Response:
    """`/m/MESSAGE-ID`: to the post of that name."""
    found = await house(request).store.read(posts.by_message_id, visit(request).viewer, request.match_info["id"])
    raise web.HTTPFound(f"/f/{found[0]}/{found[1]}#{found[1]}")


def _headers(kind: str, charset: str = "") -> dict[str, str]:
    return {
        "Content-Type": f"{kind}; charset={charset}" if charset else kind,
        "Cache-Control": "private, no-cache",
        "X-Robots-Tag": "noindex",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
