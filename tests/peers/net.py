"""Ports and waiting: the two things that every peer needs."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Below Linux's ephemeral range (32768 and up): an outgoing connection cannot take the port between choice and use.
_PORTS = range(20000, 32000)


class PeerError(RuntimeError):
    """A peer did not do what it was started for; the text says which and shows the end of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PeerError("no free port found on 127.0.0.1 between 20000 and 32000")


def wait_for(look: Callable[[], T | None], what: str, timeout: float = 30.0, every: float = 0.03) -> T:
    """Calls `look` until it answers something true and returns that; PeerError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end:
            raise PeerError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(every)


def listens(port: int) -> bool:
    """Whether somebody accepts connections on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
