"""Files of the homeserver that are on their way to us: one that takes long makes its own room wait, and no other.

What has come is kept until the message that it belongs to is complete, so that each file comes once however often that is tried.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from bridges.matrix.ghosts import Ghosts
from bridges.matrix.names import escaped
from bridges.matrix.wire import TooLarge
from server.errors import Deferred

WAIT_SECONDS = 2.0  # that one message may keep the others waiting
MOST = 50  # at once; the oldest is given up for one more
Key = tuple[str, tuple[str, str]]


class Downloads:
    """Fetches as the bot, in the background."""

    def __init__(self, ghosts: Ghosts) -> None:
        self._ghosts = ghosts
        self._under_way: OrderedDict[Key, asyncio.Task[bytes]] = OrderedDict()

    async def get(self, room: str, parts: tuple[str, str], limit: int, to_the_end: bool) -> bytes:
        """The bytes, for a message of that room. Raises Deferred while they are on their way, Trouble and TooLarge."""
        key = (room, parts)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._bytes(parts, limit))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            while len(self._under_way) > MOST:
                self._under_way.popitem(last=False)[1].cancel()
        done, _pending = await asyncio.wait([task], timeout=None if to_the_end else WAIT_SECONDS)
        if not done:
            raise Deferred("a file is on its way")
        if task.cancelled():
            self._under_way.pop(key, None)
            raise Deferred("a file was given up for others")
        if task.exception() is not None:
            self._under_way.pop(key, None)
        data = task.result()
        if len(data) > limit:  # it came for an attempt that had more room
            raise TooLarge(f"more than {limit} bytes")
        return data

    def finished(self, room: str) -> None:
        """The room's message is complete: its files belong to the house now."""
        for key in [key for key in self._under_way if key[0] == room]:
            self._under_way.pop(key).cancel()

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        self._under_way.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _bytes(self, parts: tuple[str, str], limit: int) -> bytes:
        server, name = escaped(*parts)
        bot = await self._ghosts.bot()
        # authenticated since v1.11 (MSC3916)
        return await bot.fetch(f"/_matrix/client/v1/media/download/{server}/{name}", limit)
