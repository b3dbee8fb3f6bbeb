"""How often a stranger may make us write to somebody: a memory of this process that slows, while the server's rows decide.

Counted are mails that are answered and that nothing proves: by the host they come from, and by the address they claim. What an address
asks too often is taken and dropped, for it was answered today; to refuse it would make the MTA in front of us write to the same address.
"""

from __future__ import annotations

from bridges.email import peers
from server import limits
from server.bridge import Inbound, Join, Leave, Proof, Request
from server.errors import Deferred
from server.i18n import _

HOUR_S = 3_600
A_SOURCE = 300  # mails in an hour from one host (IPv6: network of 64 bits), whatever they claim
AN_ADDRESS = 10  # mails in an hour that claim one address


class Slowing:
    """Asked before the server is; one for all connections."""

    def __init__(self) -> None:
        self._sources = limits.Limiter(A_SOURCE, HOUR_S)
        self._addresses = limits.Limiter(AN_ADDRESS, HOUR_S)

    def lets_through(self, thing: Inbound, peer: str) -> bool:
        """Count what would be answered; False: drop it. Raises Deferred for a host that is too busy: who means it comes again."""
        if not isinstance(thing, Request | Join | Leave) or thing.author is None or thing.author.proof > Proof.NONE:
            return True
        source = peers.source(peer)
        if source is not None and not self._sources.allow(source):
            raise Deferred(_("very many requests come from your host; please try again later"), "4.7.1")
        return self._addresses.allow(f"{thing.forum} {thing.author.address}")
