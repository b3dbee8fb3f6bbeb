"""The homeserver of `homeserver.py` on a port and a bridge that has never heard of any other; and both with a real Synapse."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web

from bridges.matrix import BotBridge, MatrixBridge, Settings, account
from bridges.matrix.rooms import Rooms
from bridges.matrix.tests.botworld import BotWorld
from bridges.matrix.tests.homeserver import Homeserver
from bridges.matrix.tests.samples import Outcomes, lot
from bridges.matrix.tests.told import ROOM, US, USER, Told
from bridges.matrix.tests.world import World
from server.bridge import Sent, StateItem
from tests.fakes import RecordingHouse, forum
from tests.peers.net import free_port
from tests.peers.synapse import Synapse


@pytest_asyncio.fixture
async def homeserver() -> AsyncIterator[Homeserver]:
    found = Homeserver()
    app = web.Application(client_max_size=10_000_000)
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    found.url = f"http://127.0.0.1:{port}"
    yield found
    found.mute = False
    await runner.cleanup()
    assert found.wrong == []


@pytest_asyncio.fixture
async def house() -> RecordingHouse:
    return RecordingHouse()


@pytest_asyncio.fixture
async def bridge(homeserver: Homeserver, house: RecordingHouse, tmp_path: Path) -> AsyncIterator[MatrixBridge]:
    values = {"homeserver": homeserver.url, "server_name": "hs.test", "listen": f"127.0.0.1:{free_port()}"}
    settings = Settings.model_validate(values | {"registration": str(tmp_path / "registration.yaml")})
    found = MatrixBridge(house, settings)
    await found.prepare()
    yield found
    await found._ghosts.close()


@pytest_asyncio.fixture
async def bot(homeserver: Homeserver, house: RecordingHouse, tmp_path: Path) -> AsyncIterator[BotBridge]:
    path = tmp_path / "token.json"
    account.write(path, US)
    house.data_dir = str(tmp_path)
    values = {"homeserver": homeserver.url, "mode": "bot", "user": USER, "token_file": str(path)}
    found = BotBridge(house, Settings.model_validate(values))
    house.rooms[ROOM] = "tides"
    yield found
    await found._ghosts.close()


@pytest.fixture
def told(homeserver: Homeserver) -> Told:
    return Told(homeserver)


@pytest_asyncio.fixture
async def world(synapse: Synapse, tmp_path: Path) -> AsyncIterator[World]:
    place = forum(f"tides{secrets.token_hex(4)}")
    house = RecordingHouse(place, data_dir=str(tmp_path))
    found = World(synapse, house, place)
    synapse.route_to(found.port)
    await found.start()
    try:
        outcomes = Outcomes()
        await found.bridge.deliver(lot(StateItem(place), ""), outcomes)
        assert isinstance(outcomes.only, Sent)
        (found.room,) = house.rooms
        yield found
        await found.audit()
    finally:
        await found.stop()


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rooms are made of this version, as on a homeserver that prefers it."""

    async def usual(self: Rooms, bot: object) -> str:
        return str(request.param)

    monkeypatch.setattr(Rooms, "_usual_version", usual)
    return str(request.param)


@pytest_asyncio.fixture
async def botworld(synapse: Synapse, tmp_path: Path) -> AsyncIterator[BotWorld]:
    house = RecordingHouse(data_dir=str(tmp_path))
    found = BotWorld(synapse, house, f"tides{secrets.token_hex(4)}", tmp_path)
    house.forums = {found.forum.slug: found.forum}
    await found.start()
    try:
        outcomes = Outcomes()
        await found.bridge.deliver(lot(StateItem(found.forum), ""), outcomes)
        assert isinstance(outcomes.only, Sent), outcomes.only
        (found.room,) = house.rooms
        yield found
    finally:
        await found.stop()
