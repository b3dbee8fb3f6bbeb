"""A house that remembers, for the tests of a bridge alone: rows in a dict, what was accepted in a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import BinaryIO, TypeVar

from server.bridge import Accepted, Community, Forum, HistoryItem, Inbound, Kept, Ref, Result
from server.errors import NotFound

T = TypeVar("T")
NOWHERE = "/dev/null/nowhere"  # no file can be made there: a test that makes one says where


def forum(slug: str = "tides", **changes: object) -> Forum:
    """A forum with plain values."""
    values: dict[str, object] = {
        "id": 1,
        "slug": slug,
        "title": "Tide pools",
        "mail_domain": "lists.test",
        "community": Community("shore", "Shore watchers", "https://talk.test/c/shore"),
        "visibility": "public",
        "join_policy": "open",
        "post_policy": "members",
        "reply_to": "list",
        "room_messages": "conversation",
        "federate": True,
        "settle_ms": 0,
        "max_size": 25 * 1024 * 1024,
        "state": "open",
        "subject_prefix": "",
        "url": f"https://talk.test/f/{slug}",
    }
    return Forum(**(values | changes))  # type: ignore[arg-type]


class RecordingRows:
    """Rows in memory; a transaction is undone when the work raises."""

    def __init__(self) -> None:
        self.inbox: dict[str, tuple[int, bytes, str, int]] = {}
        self.facts: dict[tuple[str, str], str] = {}
        self._by_id: dict[int, str] = {}

    def keep(self, name: str, data: bytes) -> bool:
        if name in self.inbox:
            return False
        row = len(self.inbox) + 1
        self.inbox[name] = (row, data, "new", 0)
        self._by_id[row] = name
        return True

    def keep_all(self, rows: Sequence[tuple[str, bytes]]) -> None:
        for name, data in rows:
            self.keep(name, data)

    def take(self, limit: int, after: int = 0) -> list[Kept]:
        new = [Kept(i, n, d, a) for n, (i, d, s, a) in self.inbox.items() if s == "new" and i > after]
        return sorted(new, key=lambda kept: kept.id)[:limit]

    def _set(self, row: int, state: str, more: int = 0) -> None:
        name = self._by_id[row]
        number, data, _, attempts = self.inbox[name]
        self.inbox[name] = (number, data, state, attempts + more)

    def done(self, row: int) -> None:
        self._set(row, "done")

    def again(self, row: int, error: str) -> None:
        self._set(row, "new", 1)

    def quarantine(self, row: int, error: str) -> None:
        self._set(row, "quarantined", 1)

    def get(self, kind: str, key: str) -> str | None:
        return self.facts.get((kind, key))

    def put(self, kind: str, key: str, value: str) -> None:
        self.facts[kind, key] = value

    def drop(self, kind: str, key: str) -> None:
        self.facts.pop((kind, key), None)


class RecordingHouse:
    """Accepts everything unless `answer` (a result or an error) says otherwise, and remembers it in `accepted`."""

    def __init__(self, *forums: Forum, data_dir: str = NOWHERE, base_url: str = "https://talk.test") -> None:
        self.forums = {f.slug: f for f in forums or (forum(),)}
        self.accepted: list[Inbound] = []
        self.answer: Callable[[Inbound], Result] = lambda inbound: Accepted()
        self.rows = RecordingRows()
        self.blobs: dict[str, bytes] = {}
        self.rooms: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}
        self.told: list[tuple[object, ...]] = []  # what a bridge said of its rooms
        self.in_charge: dict[str, tuple[str, ...]] = {}  # by address, the forums that somebody looks after
        self.archive = False  # whether forums have posts that a new room is told first
        self.filling: set[str] = set()  # rooms that are told them
        self.before: list[
            tuple[int, int, tuple[Ref, ...], str]
        ] = []  # posts that were told: id, revision, names, failure
        self.refs: set[Ref] = set()
        self.health: tuple[bool, str] | None = None
        self.nudges = 0
        self.queues: list[str] = []
        self.root = self.data_dir = data_dir
        self.base_url = base_url

    async def accept(self, inbound: Inbound) -> Result:
        result = self.answer(inbound)
        self.accepted.append(inbound)
        return result

    async def knows(self, slug: str) -> Forum | None:
        return self.forums.get(slug)

    async def forum_of(self, address: str) -> Forum | None:
        slug = self.rooms.get(address)
        return self.forums[slug] if slug else None

    async def forums_with(self, address: str) -> Sequence[Forum]:
        return [self.forums[slug] for slug in self.members.get(address, ())]

    async def attach(self, forum: str, address: str, members_only: bool = False, empty: bool = False) -> bool:
        self.rooms[address] = forum
        self.told.append(("attach", forum, address, members_only))
        if empty and self.archive:
            self.filling.add(address)
        return address in self.filling

    async def told_before(
        self, item: HistoryItem, post: int, revision: int, refs: Sequence[Ref] = (), failure: str = ""
    ) -> None:
        self.before.append((post, revision, tuple(refs), failure))
        self.refs |= set(refs)

    async def detach(self, address: str) -> None:
        self.rooms.pop(address, None)
        self.told.append(("detach", address))

    async def move(self, forum: str, old: str, new: str, members_only: bool = False) -> None:
        self.rooms.pop(old, None)
        self.rooms[new] = forum
        self.told.append(("move", forum, old, new, members_only))

    async def note(self, forum: str, address: str, post: int, message_id: str, refs: Sequence[Ref]) -> bool:
        self.told.append(("note", forum, address, post, message_id, tuple(refs)))
        self.refs |= set(refs)
        return True

    async def alarm(self, forum: str, reason: str) -> None:
        self.told.append(("alarm", forum, reason))

    async def looks_after(self, address: str) -> Sequence[Forum]:
        return [self.forums[slug] for slug in self.in_charge.get(address, ())]

    async def queue(self, forum: str) -> None:
        self.queues.append(forum)

    async def known(self, forum: str, ref: Ref) -> bool:
        return ref in self.refs

    async def write(self, work: Callable[[RecordingRows], T]) -> T:
        inbox, facts, by_id = dict(self.rows.inbox), dict(self.rows.facts), dict(self.rows._by_id)
        try:
            return work(self.rows)
        except BaseException:
            self.rows.inbox, self.rows.facts, self.rows._by_id = inbox, facts, by_id
            raise

    async def blob(self, hash: str) -> bytes:
        try:
            return self.blobs[hash]
        except KeyError:
            raise NotFound("no such file") from None

    async def open_blob(self, hash: str) -> BinaryIO:
        return BytesIO(await self.blob(hash))

    def url(self, path: str) -> str:
        return self.base_url + path

    def nudge(self) -> None:
        self.nudges += 1

    def report(self, ok: bool, detail: str = "") -> None:
        self.health = (ok, detail)
