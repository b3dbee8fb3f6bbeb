"""Bursts: several short messages of one author in one thread are one post while it is not yet due.

Forty one-liners are not forty mails. Once the post left, or somebody else spoke in the thread, the next message is a post of its own.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server.bridge import Accepted, NewPost, Ref
from server.content.excerpts import first_words
from server.delivery import outbox
from server.desk import Desk, book, forums, mentions, pieces, place, posts
from server.desk.names import Names
from server.desk.prepare import Prepared
from server.people import identity

SUBJECT_CHARS = 70
PARTS = 100


def append(
    tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], who: identity.Known
) -> Accepted | None:
    """Add the message to the author's post before it if that is the thread's last one and still waits; else None."""
    inbound, now = prepared.inbound, desk.now()
    if forum.settle_ms <= 0:
        return None
    thread_id = place.thread_of(Names(tx, forum.id), inbound.parents) if inbound.parents else None
    last = posts.latest_of_thread(tx, thread_id) if thread_id else posts.latest_lonely(tx, forum.id)
    if last is None or last.person_id != who.person_id or last.channel != inbound.author.channel:
        return None
    due = last.published_at + forum.settle_ms
    if last.state != "published" or now >= due or not outbox.untouched(tx, "post", last.id, now):
        return None
    before = pieces.read(posts.body(tx, last.id).pieces)
    if before is None or len(before) >= PARTS:
        return None
    added = add(tx, forum, last, prepared, [*before, pieces.of(prepared)], now)
    book.named(tx, desk, forum, last, mentions.note(tx, last.id, inbound.author.channel, inbound.mentions))
    return added


def add(
    tx: Connection,
    forum: Row[Any],
    post: Row[Any],
    prepared: Prepared[NewPost],
    with_it: list[pieces.Piece],
    now: int,
) -> Accepted:
    """The post holds one message more, the last of these pieces; it has that message's names and files too."""
    inbound, part = prepared.inbound, len(with_it) - 1
    posts.set_body(tx, post.id, pieces.joined(with_it), with_it)
    posts.add_files(tx, post.id, prepared.files, now, part)
    if prepared.original is not None:
        posts.append_original(tx, post.id, inbound.author.channel, prepared.original)
    own = [Ref(ref.space, ref.name, part) for ref in inbound.refs]
    place.also_named(Names(tx, forum.id), post.thread_id, post.id, own)
    forums.changed(tx, forum.id, "edit", post.id, now)
    return Accepted(f"{forum.slug}/{post.seq}")


def opening_words(fresh_text: str) -> str:
    """A subject for a post that has none: its first words."""
    return first_words(fresh_text, SUBJECT_CHARS)
