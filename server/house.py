"""The server as its doors see it: one object for the web and the commands, and for each bridge the House of the port.

Turns what came in into one unit of work at the desk; derives content off the event loop before it. No rules here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import BinaryIO, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection

from server import bridge, metrics
from server.bridge import Forum, Health, HistoryItem, Inbound, Ref, Result, Rows
from server.config import Config
from server.content.attachments import Blobs
from server.delivery import outbox
from server.desk import (
    Desk,
    accept,
    announce,
    change,
    commands,
    correct,
    discipline,
    flagging,
    forums,
    history,
    judge,
    letters,
    members,
    place,
    rooms,
    tidy,
)
from server.desk.prepare import Prepared, Written, prepare
from server.errors import JuntoError, Rejected, StoreUnavailable
from server.people import identity, membership, subscriptions
from server.store.db import Store
from server.store.rows import BridgeRows

T = TypeVar("T")
_PROBE_BYTES, _PROBE_MOST = 4_096, 1 << 20  # what a healthy disk must take; of a file that it refused, up to so much


class Household:
    """Everything of one running server that its doors share."""

    def __init__(self, config: Config, store: Store, desk: Desk, blobs: Blobs) -> None:
        self.config, self.store, self.desk, self.blobs = config, store, desk, blobs
        self.secret = desk.secret
        self.bridges: dict[str, bridge.Bridge] = {}
        self.on_nudge: dict[str, Callable[[], None]] = {}
        self._reported: dict[str, Health] = {}

    def now(self) -> int:
        return self.desk.now()

    async def accept(self, inbound: Inbound) -> Result:
        """The one door in: returns after the commit. Raises Rejected (permanent) or Deferred (come again)."""
        channel, result = _channel(inbound), "deferred"
        try:
            answer = await self._accept(inbound)
            result = type(answer).__name__.lower()
        except Rejected:
            result = "rejected"
            raise
        finally:
            metrics.ACCEPTED.labels(channel, result).inc()
        return answer

    async def _accept(self, inbound: Inbound) -> Result:
        write, desk = self.store.write, self.desk
        inbound = tidy.inbound(inbound)
        match inbound:
            case bridge.NewPost():
                return await write(accept.new_post, desk, await self._prepared(inbound))
            case bridge.Edit():
                return await write(change.edit, desk, await self._prepared(inbound))
            case bridge.Correct():
                return await write(correct.correct, desk, inbound)
            case bridge.Retract():
                return await write(change.retract, desk, inbound)
            case bridge.Reaction():
                return await write(change.react, desk, inbound)
            case bridge.Join():
                return await write(members.join, desk, inbound)
            case bridge.Leave():
                return await write(members.leave, desk, inbound)
            case bridge.Bounce():
                return await write(members.bounce, desk, inbound)
            case bridge.Report():
                return await write(members.report, desk, inbound)
            case bridge.Letter():
                return await write(letters.accept, desk, inbound)
            case bridge.Act():
                return await write(members.act, desk, inbound)
            case bridge.Request():
                return await write(commands.run, desk, inbound)
            case bridge.Decide():
                return await write(judge.decide, desk, inbound)
            case bridge.Discipline():
                return await write(discipline.discipline, desk, inbound)
            case bridge.Flag():
                return await write(flagging.flag, desk, inbound)

    async def _prepared(self, inbound: Written) -> Prepared[Written]:
        try:
            return await asyncio.to_thread(prepare, inbound, self.blobs)
        except OSError as error:
            raise StoreUnavailable("our disk does not take files now, please try again later") from error

    def report(self, part: str, ok: bool, detail: str = "") -> None:
        """A part tells how its far side is."""
        self._reported[part] = Health(ok, detail)
        metrics.PART_UP.labels(part).set(1 if ok else 0)

    async def health(self) -> dict[str, Health]:
        """Each part's state: "database", "disk", and whatever the bridges reported."""
        parts = dict(self._reported)
        try:
            await self.store.read(lambda tx: tx.execute(sa.text("SELECT 1")).scalar())
            takes = self.store.takes_writes()
            parts["database"] = Health(takes, "" if takes else "it took no writes within the last minute")
        except JuntoError as error:
            parts["database"] = Health(False, str(error))
        parts["disk"] = await asyncio.to_thread(self._disk)
        return parts

    def _disk(self) -> Health:
        try:
            probe = self.config.data_dir / ".writable"
            probe.write_bytes(bytes(min(max(_PROBE_BYTES, self.blobs.refused), _PROBE_MOST)))
            self.blobs.refused = 0
        except OSError as error:
            return Health(False, f"{self.config.data_dir} cannot be written: {error.strerror}")
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        return Health(True)

    def for_bridge(self, name: str) -> BridgeHouse:
        return BridgeHouse(self, name)


def _channel(inbound: Inbound) -> str:
    by = getattr(inbound, "author", None)
    return by.channel if by is not None else "token"


class BridgeHouse:
    """bridge.House for the bridge of one name."""

    def __init__(self, household: Household, name: str) -> None:
        self._home, self._name = household, name
        self.root = str(household.config.root)
        self.data_dir = str(household.config.data_dir)
        self.base_url = household.desk.base_url

    async def accept(self, inbound: Inbound) -> Result:
        return await self._home.accept(inbound)

    async def knows(self, slug: str) -> Forum | None:
        def work(tx: Connection) -> Forum | None:
            row = forums.find(tx, slug)
            return forums.view(row, self.base_url) if row is not None else None

        return await self._home.store.read(work)

    async def forum_of(self, address: str) -> Forum | None:
        def work(tx: Connection) -> Forum | None:
            forum_id = subscriptions.room_forum(tx, self._name, address)
            return forums.view(forums.by_id(tx, forum_id), self.base_url) if forum_id is not None else None

        return await self._home.store.read(work)

    async def forums_with(self, address: str) -> Sequence[Forum]:
        def work(tx: Connection) -> list[Forum]:
            known = identity.find(tx, self._name, address)
            rows = membership.of_person(tx, known.person_id) if known is not None else []
            active = [row.forum_id for row in rows if membership.is_active(row)]
            return [forums.view(forums.by_id(tx, forum_id), self.base_url) for forum_id in active]

        return await self._home.store.read(work)

    async def attach(self, forum: str, address: str, members_only: bool = False, empty: bool = False) -> bool:
        write, desk = self._home.store.write, self._home.desk
        return await write(rooms.attach, desk, self._name, forum, address, members_only, empty)

    async def told_before(
        self, item: HistoryItem, post: int, revision: int, refs: Sequence[Ref] = (), failure: str = ""
    ) -> None:
        write, desk = self._home.store.write, self._home.desk
        await write(history.told, desk, self._name, item, post, revision, refs, failure)

    async def detach(self, address: str) -> None:
        await self._home.store.write(rooms.detach, self._name, address)

    async def move(self, forum: str, old: str, new: str, members_only: bool = False) -> None:
        await self._home.store.write(rooms.move, self._home.desk, self._name, forum, old, new, members_only)

    async def note(self, forum: str, address: str, post: int, message_id: str, refs: Sequence[Ref]) -> bool:
        write, now = self._home.store.write, self._home.now()
        return await write(rooms.note, self._name, forum, address, post, message_id, refs, now)

    async def queue(self, forum: str) -> None:
        await self._home.store.write(announce.all_waiting, self._home.desk, self._name, forum)

    async def alarm(self, forum: str, reason: str) -> None:
        await self._home.store.write(rooms.alarm, self._home.desk, forum, reason)

    async def looks_after(self, address: str) -> Sequence[Forum]:
        def work(tx: Connection) -> list[Forum]:
            found = rooms.looked_after(tx, self._name, address)
            return [forums.view(row, self.base_url) for row in found]

        return await self._home.store.read(work)

    async def known(self, forum: str, ref: Ref) -> bool:
        def work(tx: Connection) -> bool:
            row = forums.find(tx, forum)
            return row is not None and place.find(tx, row.id, [ref]) is not None

        return await self._home.store.read(work)

    async def write(self, work: Callable[[Rows], T]) -> T:
        return await self._home.store.write(lambda tx: work(BridgeRows(tx, self._name, self._home.now())))

    async def blob(self, hash: str) -> bytes:
        return await asyncio.to_thread(self._home.blobs.get, hash)

    async def open_blob(self, hash: str) -> BinaryIO:
        return await asyncio.to_thread(self._home.blobs.open, hash)

    def url(self, path: str) -> str:
        return self.base_url + path

    def nudge(self) -> None:
        task = asyncio.ensure_future(self._home.store.write(outbox.hurry, self._name, self._home.now()))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        wake = self._home.on_nudge.get(self._name)
        if wake is not None:
            wake()

    def report(self, ok: bool, detail: str = "") -> None:
        self._home.report(self._name, ok, detail)
