"""A bridge in bot mode that runs against a real homeserver."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bridges.matrix import BotBridge, Settings, account
from bridges.matrix.account import Account
from bridges.matrix.tests.world import World
from server.bridge import NewPost
from tests.fakes import RecordingHouse, forum
from tests.peers.synapse import Synapse


class BotWorld(World):
    """The world of a bridge that is an ordinary account."""

    def __init__(self, synapse: Synapse, house: RecordingHouse, slug: str, place: Path) -> None:
        super().__init__(synapse, house, forum(slug))
        self.us = synapse.register()
        path = place / "token.json"
        account.write(path, Account(self.us.user_id, self.us.device_id, self.us.token))
        values = {"homeserver": synapse.url, "mode": "bot", "user": self.us.user_id, "token_file": str(path)}
        self.settings = Settings.model_validate(values)

    async def start(self) -> None:
        self.house.health = None
        self.bridge = BotBridge(self.house, self.settings)
        await self.bridge.prepare()
        self._running = asyncio.create_task(self.bridge.run())
        async with asyncio.timeout(20):
            while self.house.health is None:
                await asyncio.sleep(0.02)

    def texts(self) -> list[str | None]:
        return [heard.text for heard in self.house.accepted if isinstance(heard, NewPost)]
