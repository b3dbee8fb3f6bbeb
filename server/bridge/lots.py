"""How an item is handed to a bridge for its receivers, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from server.bridge.outbound import Outbound
from server.bridge.shared import Ref, Refusal


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of a lot. `attempt` counts from 1. `tokens`: printed tokens of its subscription ("leave", "bounces", "mute")."""

    delivery: int
    attempt: int
    address: str
    tokens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lot:
    """One item for many targets, so that a bridge may pipeline. `key` is the same at every attempt of the same item."""

    item: Outbound
    targets: Sequence[Target]
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The far side took responsibility; `refs` are the names it gave the item."""

    refs: tuple[Ref, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Temporary; `after_ms` overrides the backoff when the far side said when. `down`: the whole channel is away, not this target.

    `refusal`: what it says of the address should it be the last word, when trying is given up.
    """

    detail: str
    code: str = ""
    after_ms: int | None = None
    down: bool = False
    refusal: Refusal = Refusal.OURS


@dataclass(frozen=True, slots=True)
class Failed:
    """Permanent: never tried again. `refusal`: what that says of the address."""

    detail: str
    code: str = ""
    refusal: Refusal = Refusal.OURS


Outcome = Sent | Later | Failed
Settle = Callable[[Target, Outcome], None]
"""Called once for each target, as answers come; never blocks. A target without an answer when `deliver` returns is tried again."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a bridge is like. `backoff_ms[i]` is the pause after attempt i+1 (the last one repeats until `give_up_ms`)."""

    channel: str
    takes_back: (
        bool  # can edit and retract what it sent: settle time does not bind it, edits and retractions are booked for it
    )
    ordered: bool  # per thread and target, one after another
    tends: bool  # gets StateItems
    backoff_ms: tuple[int, ...]
    give_up_ms: int
    queue: bool = False  # keeps a place for those who look after a forum: gets QueueItems
    batch: int = 100  # targets in one claim
    lease_ms: int = 300_000  # longer than the transport's whole timeout for one lot
