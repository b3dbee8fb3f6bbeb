"""Who may do what only one process may: by a row that says who, and until when. Takes it, keeps it, gives it back.

Of a process on this machine that has ended, nobody waits for the end of its time.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from server import log
from server.bridge import House, Rows
from server.clock import SECOND, now_ms
from server.errors import Deferred

LASTS_SECONDS, RENEWED_SECONDS = 60.0, 15.0
_log = log.get("matrix.lease")


class Lease:
    """One holder's hold on the row `lease` of a name."""

    def __init__(self, house: House, name: str, machine: str = "", process: int = 0) -> None:
        self._house, self._name = house, name
        self._machine, self._process = machine or _this_machine(), process or os.getpid()
        self._holder = secrets.token_hex(8)
        self.lasts, self.renewed = LASTS_SECONDS, RENEWED_SECONDS

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` while the lease is ours; when it is lost, end the work, wait, and begin it again."""
        while True:
            if not await self._wait_for_it():
                await asyncio.sleep(self.renewed)
                continue
            task = asyncio.ensure_future(work())
            try:
                await self._keep_while(task)
            finally:
                ended = task.done()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                with suppress(Deferred):
                    await self._house.write(self._give_back)
            if ended:
                task.result()
            _log.warning("lease lost", name=self._name)

    async def _wait_for_it(self) -> bool:
        try:
            return await self._house.write(self.take)
        except Deferred as later:
            _log.warning("waiting", problem=later.reason)
            return False

    async def _keep_while(self, task: asyncio.Future[None]) -> None:
        """Until the task ends or the lease is not ours; where the database is away, to the end of its time."""
        ends = time.monotonic() + self.lasts
        while not task.done():
            await asyncio.wait([task], timeout=self.renewed)
            try:
                if not await self._house.write(self.take):
                    return
                ends = time.monotonic() + self.lasts
            except Deferred:
                if time.monotonic() + self.renewed > ends:
                    return

    def take(self, rows: Rows) -> bool:
        """Whether it is ours from now on."""
        rows.put(
            "lease-turn", self._name, self._holder
        )  # two that ask at once: the row is the first one's until it is done
        stored = rows.get("lease", self._name)
        if stored is not None:
            holder, machine, process, until = json.loads(stored)
            gone = machine == self._machine and process != self._process and not _runs(process)
            if holder != self._holder and until > now_ms() and not gone:
                return False
        until = now_ms() + int(self.lasts * SECOND)
        rows.put("lease", self._name, json.dumps([self._holder, self._machine, self._process, until]))
        return True

    def _give_back(self, rows: Rows) -> None:
        stored = rows.get("lease", self._name)
        if stored is not None and json.loads(stored)[0] == self._holder:
            rows.drop("lease", self._name)


def _this_machine() -> str:
    """Where process numbers mean what they mean to us: containers may share a name and see nothing of each other's processes."""
    name = socket.gethostname()
    try:
        return f"{name}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return name


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
