"""The bridge in bot mode: an ordinary account of any homeserver, which hears by its sync and speaks for everybody. No admin needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bridges.matrix import account
from bridges.matrix.account import Account
from bridges.matrix.bridge import MatrixBridge
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.lease import Lease
from bridges.matrix.sync import Sync
from bridges.matrix.voice import OneVoice
from bridges.matrix.wire import Trouble

ASKED_AGAIN_SECONDS = 10.0


class BotBridge(MatrixBridge):
    """One account of one homeserver."""

    _account: Account | None = None

    @property
    def token_path(self) -> Path:
        """A relative path is relative to the configuration file."""
        return Path(self._house.root) / self._settings.token_file

    def _users(self) -> Ghosts:
        return OneVoice(self._house, self._settings, self._known_account)

    def _known_account(self) -> Account:
        if self._account is None:
            self._account = account.read(self.token_path, self._settings.user)
        return self._account

    async def prepare(self) -> None:
        """Nothing can be made offline: the account logs in by a command, and who it is is asked when the bridge starts."""

    async def run(self) -> None:
        """Hear as the account, in one process of all. Raises ConfigError where the homeserver knows us as somebody else."""
        assert isinstance(self._ghosts, OneVoice)
        sync = Sync(self._house, self._ghosts, self._listener.wake, self._well, self._on_doubt)
        try:
            await self._verify()
            await Lease(self._house, "sync").run(lambda: self._hear(sync))
        finally:
            await self._ghosts.close()

    async def _hear(self, sync: Sync) -> None:
        assert isinstance(self._ghosts, OneVoice)
        await self._ghosts.cipher.open()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listener.run())
                group.create_task(sync.run())
                group.create_task(self._recover())
        finally:
            self._ghosts.cipher.close()

    def _registered(self) -> None:
        """There is no registration."""

    async def _well(self) -> None:
        closed = await self._closed()
        self._house.report(not closed, closed)
        self._up.set()

    async def _verify(self) -> None:
        while True:
            known = self._known_account()
            try:
                await account.verify(self._ghosts.service(), known, self.token_path)
                return
            except Trouble as trouble:
                self._on_doubt(str(trouble))
            await asyncio.sleep(ASKED_AGAIN_SECONDS)

    def _on_doubt(self, problem: str) -> None:
        super()._on_doubt(problem)
        self._account = None  # it may have logged in again

    def commands(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        return {"login": lambda: account.login(self._settings, self.token_path)}
