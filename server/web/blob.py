"""Attachments: only those of posts that the reader may see, and never as something that runs."""

from __future__ import annotations

import re
from urllib.parse import quote

from aiohttp import web

from server.archive import posts
from server.archive.masking import Mask
from server.web.body import SAFE_IMAGES
from server.web.context import house, visit

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,60}")


async def blob(request: web.Request) -> web.StreamResponse:
    """`/blob/HASH/FILENAME`: pictures are shown, everything else is saved."""
    digest = request.match_info["hash"]
    found = await house(request).store.read(posts.file, visit(request).viewer, digest)
    kind = found.media_type.lower()
    name = Mask(found.slug, found.mail_domain).filename(found.filename or "file")
    way = "inline" if kind in SAFE_IMAGES else "attachment"
    return web.FileResponse(
        house(request).blobs.path(digest),
        headers={
            "Content-Type": kind if _MEDIA_TYPE.fullmatch(kind) else "application/octet-stream",
            "Content-Disposition": f"{way}; filename*=UTF-8''{quote(name, safe='')}",  # RFC 6266 section 4.3
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "private, max-age=3600",  # short: a post that is taken back takes its files with it
            "X-Robots-Tag": "noindex" if found.visibility != "public" else "all",
        },
    )
