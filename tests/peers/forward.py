"""A switch in a TCP line: listens on one port for ever and passes each connection on to a port that may change.

It makes outages without touching a peer that other tests share, and gives a peer that must know its partner's port
beforehand (Synapse) a fixed one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from tests.peers.net import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Forwarder:
    """Listens on `port`. `to(port)` sets the partner, `cut()` refuses and drops connections, `mend()` ends that.

    With `to(None)` each connection is given to `idle`, or closed at once where there is none.
    """

    def __init__(self, target: int | None = None, idle: Handler | None = None) -> None:
        self.port = free_port()
        self._target = target
        self._idle = idle
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"forward-{self.port}", daemon=True)
        self._thread.start()
        self._do(self._listen())

    def to(self, target: int | None) -> None:
        """Connections from now on go there; those that are open are dropped."""
        self._target = target
        self._do(self._drop())

    def cut(self) -> None:
        """New connections are refused, open ones dropped: the line is dead."""
        self._do(self._close())

    def mend(self) -> None:
        """The line works again, on the same port."""
        self._do(self._listen())

    def close(self) -> None:
        """Ends the forwarder for good."""
        if self._thread.is_alive():
            self._do(self._close())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._drop()

    async def _drop(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self._target is not None:
                await self._pass(reader, writer, self._target)
            elif self._idle is not None:
                await self._idle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # either end may go at any time: that is what this is for
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        self._open.add(far_writer)
        try:
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        finally:
            self._open.discard(far_writer)
            far_writer.transport.abort()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
        await target.drain()
    if target.can_write_eof():
        target.write_eof()
