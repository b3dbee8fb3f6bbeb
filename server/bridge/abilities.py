"""What a bridge must be able to do, and what it may be able to do beside that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

from server.bridge.inbound import NewPost
from server.bridge.lots import Lot, Settle, Traits
from server.bridge.outbound import Forum, Post

NO_FILES: Mapping[str, bytes] = MappingProxyType({})


class Bridge(Protocol):
    """The two verbs and the start. `prepare` makes keys and registrations (at init and every start; works offline)."""

    traits: Traits

    async def prepare(self) -> None: ...

    async def run(self) -> None:
        """Hear until cancelled. Called once, after `prepare`. An outage of the far side is waited out inside, never raised."""

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """Say one item to many targets."""


# Optional abilities: a bridge has them or not ---------------------------------------------------------------------------
@runtime_checkable
class Claims(Protocol):
    def claims(self, address: str) -> str | None:
        """The address normalised if it is one of this bridge's people ("ana@x.org", "@ana:x.org"), else None."""


@runtime_checkable
class Refuses(Protocol):
    def refuses(self, address: str, forum: Forum) -> str | None:
        """Why whoever has this address can take no part in the forum by this channel, in a sentence; None: they can."""


@runtime_checkable
class ForumDefaults(Protocol):
    def forum_defaults(self) -> Mapping[str, str]:
        """Column values of a new forum that this bridge knows, for example its mail domain."""


@runtime_checkable
class Reader(Protocol):
    def read(self, original: bytes, forum: Forum) -> NewPost:
        """An old message as the post that it would have been; proves nobody. Raises Rejected."""


@runtime_checkable
class Source(Protocol):
    def source(self, post: Post, files: Mapping[str, bytes] = NO_FILES) -> bytes:
        """The post as an RFC 5322 message that names it: as received (`original`) where it was born here, else made of it.

        Of what is made, a file whose hash is in `files` travels in it, each other one is a link.
        """


@dataclass(frozen=True, slots=True)
class Way:
    """A way to take part by a channel: `label` is for people ("Reply by mail"), `url` what it links to, `shown` a short name of it."""

    label: str
    url: str
    shown: str = ""


@runtime_checkable
class Ways(Protocol):
    def ways(self, forum: Forum, post: Post | None) -> Sequence[Way]:
        """How to answer `post`, or to write to the forum, by this channel. No network."""


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`, or one sentence on what is wrong."""

    ok: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """What one look at the world around us found. `ok` None: it could not be looked at. `fix`: what to do, "" where all is well."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


@runtime_checkable
class Checks(Protocol):
    async def checks(self, forums: Sequence[Forum], reach: Mapping[str, int]) -> Sequence[Check]:
        """Look at everything outside that these forums depend on. Raises nothing that has to do with what it finds.

        `reach`: to how many targets of this channel a new thread of a forum goes at once, by slug; forums without any are missing.
        """


@runtime_checkable
class Commands(Protocol):
    def commands(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Subcommands of `junto NAME-OF-THE-BRIDGE …`: each answers a text to print. Called without a running server."""
