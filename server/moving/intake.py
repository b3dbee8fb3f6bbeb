"""Taking in: messages go from their sources to the readers and from there, in order, to the desk, a batch in each transaction.

Memory holds what is under way and no more. What was committed is noted in the same transaction, so that a run that was killed goes on
where it stopped, and nothing is taken twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from server import desk as write_side
from server.bridge import MESSAGE_ID, Forum, NewPost, Ref
from server.desk.bring import Brought, Old, bring
from server.desk.prepare import Prepared
from server.i18n import _
from server.moving import journal
from server.moving.journal import Progress
from server.moving.mbox import Found
from server.moving.reading import Read, Readers
from server.moving.rejected import Rejections
from server.moving.sources import Source, UnreadableError
from server.store.db import Store

CHUNK, CHUNK_BYTES = 48, 1 << 20  # read by one process at one go
BATCH = 192  # in one transaction, which keeps a running server waiting


@dataclass
class Totals:
    """What became of all messages; `unreadable` says which files broke off."""

    imported: int = 0
    duplicate: int = 0
    rejected: int = 0
    unreadable: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Chunk:
    found: list[Found]
    disk: int
    answer: Future[list[Read]]


Shown = Callable[[int, int], None]
"""Told after each transaction: how many more bytes on the disk were read, how many messages there are altogether."""


class Intake:
    """One run over some sources into one forum."""

    def __init__(
        self, store: Store, desk: write_side.Desk, forum: Forum, readers: Readers, rejections: Rejections, shown: Shown
    ) -> None:
        self._store, self._desk, self._forum, self._readers = store, desk, forum, readers
        self._rejections, self._shown = rejections, shown
        self.totals = Totals()

    def run(self, sources: Sequence[Source]) -> Totals:
        """All of them, in order. Raises StoreUnavailable; then the next run goes on."""
        for source in sources:
            try:
                self._source(source)
            except UnreadableError as problem:
                self.totals.unreadable.append(str(problem))
        return self.totals

    def _source(self, source: Source) -> None:
        done = self._store.read_now(journal.so_far, self._forum.id, source.key) if source.key else Progress()
        self._add(done)
        disk = 0
        try:
            for chunks in _batches(self._chunks(source, done.position)):
                done = self._batch(source, done, chunks)
                self._shown(chunks[-1].disk - disk, self.totals.imported + self.totals.duplicate + self.totals.rejected)
                disk = chunks[-1].disk
        finally:
            self._shown(source.size - disk, self.totals.imported + self.totals.duplicate + self.totals.rejected)
        if source.key:
            self._store.write_now(journal.finished, self._forum.id, source.key)

    def _add(self, more: Progress) -> None:
        self.totals.imported += more.imported
        self.totals.duplicate += more.duplicate
        self.totals.rejected += more.rejected

    def _chunks(self, source: Source, start: int) -> Iterator[_Chunk]:
        """Chunks whose reading has begun, a few ahead of the one that is asked for."""
        ahead: deque[_Chunk] = deque()
        found: list[Found] = []
        size = disk = 0
        broken: UnreadableError | None = None
        messages = source.messages(start)
        while True:
            try:
                one = next(messages, None)
            except UnreadableError as problem:
                one, broken = None, problem
            if one is not None:
                found.append(one[0])
                size, disk = size + len(one[0].data), one[1]
            if found and (one is None or len(found) >= CHUNK or size >= CHUNK_BYTES):
                ahead.append(_Chunk(found, disk, self._readers.read([each.data for each in found if each.whole])))
                found, size = [], 0
            while ahead and (one is None or len(ahead) > 2 * self._readers.jobs):
                yield ahead.popleft()
            if broken is not None:
                raise broken
            if one is None:
                return

    def _batch(self, source: Source, done: Progress, chunks: list[_Chunk]) -> Progress:
        """Take in what was read; how far that is."""
        found = [each for chunk in chunks for each in chunk.found]
        read = [one for chunk in chunks for one in _with_large(chunk)]
        old = [
            Old(_answering(one.ready, each.parent), each.at, each.number, each.gone)
            for each, one in zip(found, read, strict=True)
            if one.ready is not None
        ]
        number = done.imported + done.duplicate + done.rejected
        refused = [
            (n, each, one.refused)
            for n, (each, one) in enumerate(zip(found, read, strict=True), number + 1)
            if one.refused
        ]
        for n, each, reason in refused:
            self._rejections.add(each, source.path, n, reason, self._desk.now())
        self._rejections.flush()

        def work(tx: Connection) -> Progress:
            brought = bring(tx, self._desk, self._forum.slug, old)
            self._late_refusals(source, number, found, read, brought)
            taken, unwanted = (sum(1 for one in brought if test(one)) for test in (_taken, _unwanted))
            rejected = len(refused) + unwanted
            after = done.on(found[-1].position, taken, len(found) - taken - rejected, rejected)
            if source.key:
                journal.note(tx, self._forum.id, source.key, after, self._desk.now())
            return after

        after = self._store.write_now(work)
        self._add(
            Progress(
                0, after.imported - done.imported, after.duplicate - done.duplicate, after.rejected - done.rejected
            )
        )
        return after

    def _late_refusals(
        self, source: Source, number: int, found: list[Found], read: list[Read], brought: list[Brought]
    ) -> None:
        """What only the desk saw to be impossible; on the disk before the transaction that counts it ends."""
        ready = [
            (n, each)
            for n, (each, one) in enumerate(zip(found, read, strict=True), number + 1)
            if one.ready is not None
        ]
        for (n, each), one in zip(ready, brought, strict=True):
            if one.refused:
                self._rejections.add(each, source.path, n, one.refused, self._desk.now())
        self._rejections.flush()


def _answering(ready: Prepared[NewPost], parent: str | None) -> Prepared[NewPost]:
    """The post under what our own export says that it answers, whatever its message says."""
    if parent is None:
        return ready
    inbound = replace(ready.inbound, parents=(Ref(MESSAGE_ID, parent), *ready.inbound.parents))
    return replace(ready, inbound=inbound)


def _taken(one: Brought) -> bool:
    return one.number is not None


def _unwanted(one: Brought) -> bool:
    return bool(one.refused)


def _with_large(chunk: _Chunk) -> Iterator[Read]:
    """What was read, with those in their places that are too large to be."""
    answers = iter(chunk.answer.result())
    for each in chunk.found:
        yield (
            next(answers)
            if each.whole
            else Read(refused=_("it is larger than a message may be; only its beginning is here"))
        )


def _batches(chunks: Iterator[_Chunk]) -> Iterator[list[_Chunk]]:
    held: list[_Chunk] = []
    try:
        for chunk in chunks:
            held.append(chunk)
            if sum(len(each.found) for each in held) >= BATCH:
                yield held
                held = []
    except UnreadableError:
        if held:
            yield held
        raise
    if held:
        yield held
