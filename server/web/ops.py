"""For machines: readiness, metrics, the style sheet, robots."""

from __future__ import annotations

import hashlib

import prometheus_client
from aiohttp import web

from server.render import TEMPLATES
from server.web.context import house

STATIC = {name: TEMPLATES / "static" / name for name in ("style.css", "icon.svg")}
_VITAL = ("database", "disk")


def style_url() -> str:
    """The style sheet's address, a new one for new content, so that browsers may keep it; the icon lies beside it."""
    content = b"".join(path.read_bytes() for path in STATIC.values())
    return f"/static/{hashlib.sha256(content).hexdigest()[:12]}/style.css"


async def static(request: web.Request) -> web.StreamResponse:
    """`/static/…/style.css` and its neighbours."""
    return web.FileResponse(
        STATIC[request.match_info["name"]], headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )


async def healthz(request: web.Request) -> web.Response:
    """`/healthz`: 503 only where database or disk fail; a far side that is away is `degraded`."""
    parts = await house(request).health()
    wrong = {name: health for name, health in parts.items() if not health.ok}
    down = any(name in _VITAL for name in wrong)
    answer = {
        "status": "down" if down else "degraded" if wrong else "ok",
        "degraded": sorted(wrong),
        "parts": {name: {"ok": health.ok, "detail": health.detail} for name, health in sorted(parts.items())},
    }
    return web.json_response(answer, status=503 if down else 200, headers={"Cache-Control": "no-store"})


async def metrics(request: web.Request) -> web.Response:
    """`/metrics`: Prometheus text format."""
    return web.Response(
        body=prometheus_client.generate_latest(), headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST}
    )


async def robots(request: web.Request) -> web.Response:
    """`/robots.txt`: pages that hold no posts of their own are left alone."""
    lines = [
        "User-agent: *",
        *(f"Disallow: {path}" for path in ("/sign-in", "/confirm", "/leave", "/mute", "/blob/", "/m/")),
    ]
    return web.Response(text="\n".join(lines) + "\n")
