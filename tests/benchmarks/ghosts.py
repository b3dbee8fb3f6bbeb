"""What 2,000 ghosts cost the bridge in memory: made, named and joined at a homeserver that says yes to everything and keeps nothing."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
from pathlib import Path

from aiohttp import web

from bridges.matrix.ghosts import Ghosts
from bridges.matrix.registration import ensure
from bridges.matrix.settings import Settings
from server.bridge import Writer
from tests.fakes import RecordingHouse
from tests.peers.net import free_port

GHOSTS = 2_000


def row() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        more = asyncio.run(_grown(Path(name)))
    return {"what": f"memory of {GHOSTS} ghosts", "value": round(more, 1), "unit": "MB more"}


async def _grown(root: Path) -> float:
    port = free_port()
    values = {"homeserver": f"http://127.0.0.1:{port}", "server_name": "hs.test", "listen": f"127.0.0.1:{free_port()}"}
    settings = Settings.model_validate(values | {"registration": str(root / "registration.yaml")})
    registration = ensure(root / "registration.yaml", settings)
    runner = web.AppRunner(_yes(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    ghosts = Ghosts(RecordingHouse(), settings, lambda: registration)
    try:
        await _make(ghosts, range(20))
        before = _megabytes()
        await _make(ghosts, range(20, 20 + GHOSTS))
        return _megabytes() - before
    finally:
        await ghosts.close()
        await runner.cleanup()


async def _make(ghosts: Ghosts, numbers: range) -> None:
    for n in numbers:
        await ghosts.into(await ghosts.of(Writer(f"key{n}", f"Member {n}")), "!room")


def _yes() -> web.Application:
    async def yes(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"room_id": "!room"} if "/join/" in request.path else {})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", yes)
    return app


def _megabytes() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
