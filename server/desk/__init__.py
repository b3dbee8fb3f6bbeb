"""The write side: how a post is born and changed. One transaction for each thing that came in, whatever channel it came by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from server import clock
from server.bridge import Post, Traits


@dataclass(frozen=True)
class Desk:
    """What every unit of work of the write side knows of this server. `traits` by channel; `operator` is (channel, address);
    `claims` by channel normalise an address of theirs, `sources` write a post as a message."""

    secret: bytes
    base_url: str
    traits: Mapping[str, Traits] = field(default_factory=dict)
    operator: tuple[str, str] | None = None
    claims: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)
    now: clock.Clock = clock.now_ms
    sources: Mapping[str, Callable[[Post], bytes]] = field(default_factory=dict)

    def channels(self, takes_back: bool) -> list[str]:
        """The channels that can take back what they sent, or that cannot."""
        return [name for name, traits in self.traits.items() if traits.takes_back == takes_back]

    def ordered(self) -> list[str]:
        return [name for name, traits in self.traits.items() if traits.ordered]

    def queueing(self) -> list[str]:
        return [name for name, traits in self.traits.items() if traits.queue]

    def tending(self) -> list[str]:
        return [name for name, traits in self.traits.items() if traits.tends]
