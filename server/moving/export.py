"""Moving out: everything published of a forum as mbox or as JSON lines, in the order of its numbers. Reads; writes one file.

Our own tokens are blanked, for copies leave this server. What came as a message is there as it came; of what was born elsewhere a
message is made, with its files in it. In an mbox the separator tells the number that the post has here, and what was taken back keeps its
place without its words, so that those who answered it stay together. A message that does not say itself what it answers (an answer to a
digest's item) is told so by a field of ours before its own (`mbox.PARENT`), which an import takes off again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, func, select

from server import bridge, subjects
from server.archive import portable
from server.archive.masking import Blank
from server.content.attachments import Blobs
from server.desk import forums
from server.errors import NotFound
from server.moving import mbox
from server.store.db import Store
from server.store.schema import posts, threads

PAGE = 25  # posts read at once; each may be as large as a message may be

_parent, _root = posts.alias("parent"), posts.alias("root")
_GONE = bridge.Writer("", "")
_PAGE = (
    select(
        posts.c.id,
        posts.c.seq,
        posts.c.channel,
        posts.c.state,
        _parent.c.seq.label("parent"),
        _parent.c.message_id.label("parent_name"),
        threads.c.subject.label("topic"),
        _root.c.seq.label("root"),
    )
    .outerjoin(_parent, _parent.c.id == posts.c.parent_id)
    .outerjoin(threads, threads.c.id == posts.c.thread_id)
    .outerjoin(_root, _root.c.id == threads.c.root_post_id)
    .order_by(posts.c.seq)
    .limit(PAGE)
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """A post on its way out. `parent` and `thread` are numbers of posts, `answers` is the name of its parent, `topic` its thread's subject.

    `gone`: it was taken back, and has no words.
    """

    post: bridge.Post
    gone: bool
    parent: int | None
    thread: int
    answers: str | None
    topic: str


class Export:
    """One forum, written out. `sources` are bridges that speak messages, by channel."""

    def __init__(
        self, store: Store, blobs: Blobs, sources: Mapping[str, bridge.Source], base_url: str, slug: str
    ) -> None:
        self._store, self._blobs, self._sources, self._base = store, blobs, sources, base_url
        forum = store.read_now(forums.get, slug)
        self._forum_id, self._last = forum.id, forum.last_seq
        self._blank = Blank(forum.slug, forum.mail_domain)

    def count(self) -> int:
        """How many posts there are, at most."""
        mine = (posts.c.forum_id == self._forum_id, posts.c.seq <= self._last)
        return self._store.read_now(lambda tx: tx.scalar(select(func.count()).select_from(posts).where(*mine)) or 0)

    def mbox(self) -> Iterator[bytes]:
        """Each post as an entry of an mbox (mboxrd). Raises NotFound where no bridge speaks messages."""
        if not self._sources:
            raise NotFound("no channel that is turned on here speaks messages")
        first = next(iter(self._sources))
        for one in self._posts(lambda channel: channel if channel in self._sources else first):
            made = self._sources.get(one.post.channel) or self._sources[first]
            message = made.source(one.post, self._files(one.post))
            entry = _with_parent(self._blank.message(message), one)
            yield mbox.entry(entry, one.post.written_at, self._sender(one))

    def jsonl(self) -> Iterator[bytes]:
        """Each post as one line of JSON."""
        for one in self._posts(lambda channel: channel):
            if not one.gone:
                yield json.dumps(self._facts(one), ensure_ascii=False).encode("utf-8", "replace") + b"\n"

    def _sender(self, one: Leaving) -> str:
        ours, gone = mbox.OURS.decode().removeprefix("From "), "gone-" if one.gone else ""
        return f"{ours}{gone}{one.post.number}@{one.post.forum.slug}.invalid"

    def _facts(self, one: Leaving) -> dict[str, Any]:
        post = one.post
        written = datetime.fromtimestamp(post.written_at / 1000, UTC)
        return {
            "n": post.number,
            "message_id": post.message_id,
            "thread": one.thread,
            "parent": one.parent,
            "date": written.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "author": post.writer.name,
            "channel": post.channel,
            "subject": self._blank.text(post.subject or subjects.answering(one.topic)),
            "text": self._blank.text(post.text),
            "attachments": [
                {
                    "filename": file.filename,
                    "media_type": file.media_type,
                    "size": file.size,
                    "sha256": file.hash,
                    "url": file.url,
                }
                for file in post.files
            ],
        }

    def _files(self, post: bridge.Post) -> dict[str, bytes]:
        if post.original is not None:
            return {}
        found = {}
        for file in post.files:
            try:
                found[file.hash] = self._blobs.get(file.hash)
            except NotFound:
                continue  # a link stands in its place
        return found

    def _posts(self, speaks: Callable[[str], str]) -> Iterator[Leaving]:
        """The posts that were there when this began, read some at a time. `speaks`: in whose words a post of a channel is told."""
        after = 0
        while page := self._store.read_now(self._page, after, speaks):
            yield from page
            after = page[-1].post.number

    def _page(self, tx: Connection, after: int, speaks: Callable[[str], str]) -> list[Leaving]:
        mine = (posts.c.forum_id == self._forum_id, posts.c.state.in_(("published", "retracted")))
        rows = tx.execute(_PAGE.where(*mine, posts.c.seq > after, posts.c.seq <= self._last)).all()
        return [self._leaving(tx, row, speaks(row.channel)) for row in rows]

    def _leaving(self, tx: Connection, row: Any, channel: str) -> Leaving:
        post = portable.port_post(tx, row.id, channel, self._base)
        gone = row.state != "published"
        if gone:
            post = replace(post, writer=_GONE, subject="", original=None)
        root = row.root if row.root is not None else row.seq
        return Leaving(post, gone, row.parent, root, row.parent_name, row.topic or "")


def _with_parent(message: bytes, one: Leaving) -> bytes:
    """The message, which says what it answers: in its own words, else in ours."""
    if one.answers is None or one.post.original is None:
        return message
    head = message.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    answers = one.answers.encode("utf-8", "replace")
    return message if answers in head else mbox.PARENT + answers + b"\n" + message
