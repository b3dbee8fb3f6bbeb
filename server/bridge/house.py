"""What the server gives a bridge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeVar

from server.bridge.inbound import Inbound, Result
from server.bridge.outbound import Forum, HistoryItem
from server.bridge.shared import Ref

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the inbox: something a bridge stored before it answered."""

    id: int
    name: str
    data: bytes
    attempts: int


class Rows(Protocol):
    """A bridge's own rows inside one transaction: the inbox (stored before the answer) and small facts by kind and key."""

    def keep(self, name: str, data: bytes) -> bool:
        """Store `data` under `name`; False if that name is known already, and nothing changes."""

    def keep_all(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """`keep` each (name, data), in this order."""

    def take(self, limit: int, after: int = 0) -> list[Kept]:
        """The oldest new rows (those after that id), in order of arrival; they stay new until `done` or `quarantine`."""

    def done(self, row: int) -> None: ...

    def again(self, row: int, error: str) -> None:
        """Count one more failed try; the row stays new."""

    def quarantine(self, row: int, error: str) -> None:
        """Keep the bytes aside for a person; never tried again by itself."""

    def get(self, kind: str, key: str) -> str | None: ...

    def put(self, kind: str, key: str, value: str) -> None: ...

    def drop(self, kind: str, key: str) -> None: ...


class House(Protocol):
    """What the server gives a bridge. Every coroutine may raise `Deferred` when the database is away."""

    root: str  # the directory that relative paths of the configuration are relative to
    data_dir: str
    base_url: str

    async def accept(self, inbound: Inbound) -> Result:
        """The one door in: returns after the commit. Raises `Rejected` (permanent) or `Deferred` (come again)."""

    async def knows(self, slug: str) -> Forum | None:
        """The forum of that name, if there is one (for RCPT: says nothing of who may post)."""

    async def forum_of(self, address: str) -> Forum | None:
        """The forum whose posts go to this room address of the calling bridge."""

    async def forums_with(self, address: str) -> Sequence[Forum]:
        """The forums that whoever has this address of the calling bridge is a member of, the one joined first first."""

    async def attach(self, forum: str, address: str, members_only: bool = False, empty: bool = False) -> bool:
        """This address (a room) of the calling bridge gets the forum's posts from now on.

        `members_only`: nobody else is in it. Any other room gets nothing of a forum that is not public. `empty`: it is new and nobody
        is in it, so it is told first what was posted before (HistoryItem). True while that is so: let nobody in.
        """

    async def told_before(
        self, item: HistoryItem, post: int, revision: int, refs: Sequence[Ref] = (), failure: str = ""
    ) -> None:
        """A post of the item is in its room, as of that revision, under these names; or, with `failure`, can never be."""

    async def detach(self, address: str) -> None:
        """This room gets nothing any more but what is taken back."""

    async def move(self, forum: str, old: str, new: str, members_only: bool = False) -> None:
        """The forum's room is another one now: what waits for the old one goes to the new one, and nothing is told again."""

    async def note(self, forum: str, address: str, post: int, message_id: str, refs: Sequence[Ref]) -> bool:
        """The post has these names in that room: it was said there by us, and we have forgotten it. False: there is no such post."""

    async def queue(self, forum: str) -> None:
        """There is a place now for those who look after the forum: what waits for them is booked as QueueItems."""

    async def alarm(self, forum: str, reason: str) -> None:
        """Tell the operator, once a day, that nothing can be said any more where the forum stands on your side."""

    async def looks_after(self, address: str) -> Sequence[Forum]:
        """The forums that the person at this address of the calling bridge is an owner or moderator of."""

    async def known(self, forum: str, ref: Ref) -> bool:
        """Whether a post of the forum has this name."""

    async def write(self, work: Callable[[Rows], T]) -> T:
        """Run `work` in one transaction over the bridge's own rows; returns after the commit."""

    async def blob(self, hash: str) -> bytes:
        """The bytes of a stored attachment. Raises NotFound."""

    async def open_blob(self, hash: str) -> BinaryIO:
        """The same, to be read piece by piece; who asks closes it. Raises NotFound."""

    def url(self, path: str) -> str:
        """The public address of a path of ours ("/f/x/1")."""

    def nudge(self) -> None:
        """The far side is back: try what waits for this bridge now instead of at its backoff."""

    def report(self, ok: bool, detail: str = "") -> None:
        """Tell /healthz how the far side is."""
