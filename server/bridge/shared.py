"""The port's words that both directions use: names, proofs, authors, files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

MESSAGE_ID = "message-id"
"""The name space of Refs that are RFC 5322 Message-IDs, with their angle brackets. Others are named after the bridge."""

WEB = "web"
"""The channel of what is written on our own pages; every other channel is a bridge's name."""


MODES = ("each", "topics", "mentions", "daily", "weekly", "none")
"""What a member may have sent: every post; first posts and threads that they take part in; answers to
them and what names them; digests; nothing."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A foreign name of a post. One post may be several events: `part` counts them from 0."""

    space: str
    name: str
    part: int = 0


def message_id(*names: Ref | None) -> str | None:
    """The first Message-ID among the names of something."""
    return next((ref.name for ref in names if ref is not None and ref.space == MESSAGE_ID), None)


class Proof(IntEnum):
    """How sure we are that the author is who they say; a claimed sender is a claim and nothing more."""

    NONE = 0
    AUTHENTICATED = 1
    SESSION = 2
    HOMESERVER = 3


class Refusal(Enum):
    """What it says of an address that something did not arrive there."""

    GONE = "gone"
    """Nobody is reached there any more."""
    MISSED = "missed"
    """It was not reached this time, or who knows why: full, locked, away."""
    OURS = "ours"
    """Nothing: it was this item, or our own server, that was not wanted (spam, size, policy)."""


class Doubt(IntEnum):
    """What speaks against the author's being who they say (RFC 9989): their domain says how to know its mail, and this is not it.

    FORBIDDEN: and it asks that such mail be kept out.
    """

    NONE = 0
    FAILS = 1
    FORBIDDEN = 2


class Spam(IntEnum):
    """What a filter in front of us, or asked by the bridge, thinks of a message."""

    NO = 0
    SUSPECT = 1
    CERTAIN = 2


@dataclass(frozen=True, slots=True)
class Author:
    """Who says something, as the channel tells it. `address` is normalised by the bridge; `name` is plain text, may be ''."""

    channel: str
    address: str
    name: str = ""
    proof: Proof = Proof.NONE
    doubt: Doubt = Doubt.NONE


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a post. `content_id` (no brackets) is how its HTML names it, if it does."""

    filename: str
    media_type: str
    data: bytes
    content_id: str | None = None
    inline: bool = False
