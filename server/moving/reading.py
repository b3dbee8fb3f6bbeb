"""Old messages read and prepared, some at a time: in this process, or in several others beside it. Writes blobs, never the database.

What takes time of a message (its parts, its text, its quotes) needs no transaction and no order, so all processors share it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import wait

from sqlalchemy import Connection

from server import bridge, log
from server.bridge import NewPost
from server.content.attachments import Blobs
from server.desk import names, tidy
from server.desk.prepare import Prepared, prepare
from server.errors import Deferred, Rejected
from server.i18n import _
from server.store.db import Store

_log = log.get("moving")


@dataclass(frozen=True, slots=True)
class Read:
    """What one message is: ready, or here already (`known`), or refused with a reason."""

    ready: Prepared[NewPost] | None = None
    known: bool = False
    refused: str = ""


@dataclass(frozen=True)
class Desk:
    """What reading needs: who reads, where files go, what is here already."""

    reader: bridge.Reader
    blobs: Blobs
    store: Store
    forum: bridge.Forum

    def read(self, messages: Sequence[bytes]) -> list[Read]:
        """Each message, in order. Raises StoreUnavailable."""
        first = [self._parsed(message) for message in messages]
        here = self.store.read_now(_here, self.forum.id, [each for each in first if isinstance(each, NewPost)])
        return [each if isinstance(each, Read) else self._prepared(each, here) for each in first]

    def _parsed(self, message: bytes) -> NewPost | Read:
        """Lines end in CRLF on the wire (RFC 5322 section 2.3); files have LF alone."""
        try:
            return tidy.inbound(self.reader.read(message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), self.forum))
        except Rejected as problem:
            return Read(refused=problem.reason)
        except Exception as problem:  # noqa: BLE001  one message of very many must not stop the others
            _log.exception("message not read")
            return Read(refused=_("it cannot be read: {problem}").format(problem=repr(problem)))

    def _prepared(self, new: NewPost, here: set[tuple[str, str]]) -> Read:
        if any((ref.space, ref.name) in here for ref in new.refs):
            return Read(known=True)
        try:
            made = prepare(new, self.blobs, empty=True)
        except Rejected as problem:
            return Read(refused=problem.reason)
        except Deferred:
            raise
        except Exception as problem:  # noqa: BLE001  as above
            _log.exception("message not prepared")
            return Read(refused=_("it cannot be shown: {problem}").format(problem=repr(problem)))
        bare = replace(
            new, text=None, html=None, attachments=(), original=None
        )  # all that is needed of it stands in `made`
        return Read(replace(made, inbound=bare))


def _here(tx: Connection, forum_id: int, new: Sequence[NewPost]) -> set[tuple[str, str]]:
    known = names.known(tx, forum_id, [ref for each in new for ref in each.refs])
    return {key for key, row in known.items() if row.post_id is not None}


class Readers:
    """Those who read: `jobs` processes, or this one where that is one."""

    def __init__(self, jobs: int, desk: Desk | None, pool: ProcessPoolExecutor | None) -> None:
        self.jobs, self._desk, self._pool = jobs, desk, pool

    def read(self, messages: Sequence[bytes]) -> Future[list[Read]]:
        """Begin to read these."""
        if self._pool is not None:
            return self._pool.submit(_read, messages)
        done: Future[list[Read]] = Future()
        assert self._desk is not None
        done.set_result(self._desk.read(messages))
        return done


@contextmanager
def readers(jobs: int, desk: Desk, make: Callable[[], Desk]) -> Iterator[Readers]:
    """`desk` reads in this process; `make`, which other processes can be handed, builds one like it there."""
    if jobs <= 1:
        yield Readers(1, desk, None)
        return
    # Not forked: this process has threads and open connections.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(make,))
    try:
        yield Readers(jobs, None, pool)
    finally:
        pool.shutdown(cancel_futures=True)


_own: list[Desk] = []  # of a process that only reads


def _begin(make: Callable[[], Desk]) -> None:
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _own.append(make())


def _die_with_parent() -> None:
    """Who is killed at once cannot tell those who read for it."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _read(messages: Sequence[bytes]) -> list[Read]:
    return _own[0].read(messages)
