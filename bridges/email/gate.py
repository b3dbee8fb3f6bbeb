"""How much of a door's room is taken, and by whom: its connections, and the content that they hold until it is answered.

A host from outside has a share and no more, so that the door stays open to all others. Our own networks have none of their own to
keep to: an MTA in front of us brings everybody's mail. Each door has a gate of its own: nobody outside can shut the MTA's.
"""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from bridges.email import peers
from server import limits

IN_FLIGHT_BYTES = 4 * (limits.MESSAGE_BYTES + 64 * 1024)  # content of all connections that is not yet answered
A_HOST = 4  # no host has more than one of so many parts of the bytes: one message of the largest size
CONNECTIONS_A_HOST = 20


class Guest(Protocol):
    """A connection that asks to be let in. `host`: whose share it takes of; None for our own networks."""

    host: str | None
    answering: bool

    def hang_up(self) -> None:
        """Say goodbye and close."""

    async def answered(self) -> None:
        """Return once the connection is over."""


class Gate:
    """What all connections of a door share."""

    def __init__(
        self, trusted: peers.Networks = (), connections: int = limits.CONNECTIONS, in_flight: int = IN_FLIGHT_BYTES
    ) -> None:
        self.connections: set[Guest] = set()
        self.closing = False
        self._trusted, self._most = trusted, connections
        self._bytes_left, self._share = in_flight, in_flight // A_HOST
        self._guests: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def host(self, peer: str) -> str | None:
        """Whose share a connection from that address takes of."""
        return None if peers.within(peer, self._trusted) else peers.source(peer)

    def admit(self, guest: Guest) -> bool:
        """Whether there is room for one more."""
        if self.closing or len(self.connections) >= self._most:
            return False
        if guest.host is not None:
            if self._guests[guest.host] >= CONNECTIONS_A_HOST:
                return False
            self._guests[guest.host] += 1
        self.connections.add(guest)
        return True

    def leave(self, guest: Guest) -> None:
        """One that was admitted is over."""
        if guest in self.connections:
            self.connections.remove(guest)
            _less(self._guests, guest.host, 1)

    def take(self, guest: Guest, count: int) -> bool:
        """Whether there is room for so many more bytes of it; they are its until `give_back`."""
        host = guest.host
        if count > self._bytes_left or (host is not None and self._bytes[host] + count > self._share):
            return False
        self._bytes_left -= count
        if host is not None:
            self._bytes[host] += count
        return True

    def give_back(self, guest: Guest, count: int) -> None:
        """So many bytes that were taken are answered."""
        self._bytes_left += count
        _less(self._bytes, guest.host, count)


def _less(counts: Counter[str], host: str | None, by: int) -> None:
    """Hosts that have nothing here are not remembered."""
    if host is None:
        return
    counts[host] -= by
    if counts[host] <= 0:
        del counts[host]
