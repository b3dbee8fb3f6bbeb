"""A bridge that runs against a real homeserver, as the tests of both ways need it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from bridges.matrix import MatrixBridge, Settings
from bridges.matrix.tests import schemas
from bridges.matrix.tests.samples import Outcomes, lot
from server.bridge import Forum, Inbound, Outbound, Sent
from tests.fakes import RecordingHouse
from tests.peers.net import free_port
from tests.peers.synapse import Account, Synapse

T = TypeVar("T", bound=Inbound)


class World:
    """A bridge that runs, its house, and the homeserver."""

    def __init__(self, synapse: Synapse, house: RecordingHouse, forum: Forum) -> None:
        self.synapse, self.house, self.forum = synapse, house, forum
        self.port = free_port()
        values = {"homeserver": synapse.url, "server_name": synapse.server_name, "listen": f"127.0.0.1:{self.port}"}
        self.settings = Settings.model_validate(values | {"registration": str(synapse.registration)})
        self.room = ""

    async def start(self) -> None:
        """A new process, as far as the bridge can tell: it knows what the house knows."""
        self.house.health = None
        self.bridge = MatrixBridge(self.house, self.settings)
        await self.bridge.prepare()
        self._running = asyncio.create_task(self.bridge.run())
        async with asyncio.timeout(20):
            while self.house.health is None:
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)

    async def audit(self) -> None:
        """What the homeserver keeps of us in the room and its space is as the specification says, to the last event."""
        token = json.loads(self.synapse.registration.read_text())["as_token"]
        bot = Account("", "", token, "")
        events = await asyncio.to_thread(self.synapse.messages, bot, self.room)
        spaces = {event["state_key"] for event in events if event["type"] == "m.space.parent"}
        for space in spaces:
            events += await asyncio.to_thread(self.synapse.messages, bot, space)
        for event in events:
            if event["sender"].startswith("@_junto_") and "redacted_because" not in event.get("unsigned", {}):
                schemas.check(event["type"], event["content"])

    async def say(self, item: Outbound, key: str = "") -> Sent:
        outcomes = Outcomes()
        await self.bridge.deliver(lot(item, self.room, key), outcomes)
        assert isinstance(outcomes.only, Sent), outcomes.only
        return outcomes.only

    async def visitor(self) -> Account:
        account = await asyncio.to_thread(self.synapse.register)
        await asyncio.to_thread(self.synapse.join, account, self.room)
        return account

    async def send(self, account: Account, **content: object) -> str:
        return await asyncio.to_thread(self.synapse.send, account, self.room, {"msgtype": "m.text", **content})

    async def event(self, account: Account, event: str) -> dict[str, Any]:
        path = f"/_matrix/client/v3/rooms/{quote(self.room)}/event/{quote(event)}"
        return await asyncio.to_thread(self.synapse.call, "GET", path, None, account.token)

    async def shown(self, account: Account) -> list[dict[str, Any]]:
        events = await asyncio.to_thread(self.synapse.messages, account, self.room)
        return [event for event in events if event["type"] == "m.room.message" and event["content"]]

    async def heard(self, kind: type[T], ready: Callable[[T], bool] = lambda _: True) -> T:
        async with asyncio.timeout(20):
            while True:
                for inbound in self.house.accepted:
                    if isinstance(inbound, kind) and ready(inbound):
                        return inbound
                await asyncio.sleep(0.02)
