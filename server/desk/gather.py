"""Bursts: several short messages of one author in one thread are one post while it is not yet due.

Forty one-liners are not forty mails. Once the post left, or somebody else spoke in the thread, the next message is a post of its own.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, Row

from server.bridge import Accepted, Edit, NewPost, Ref
from server.content.derive import Derived
from server.content.excerpts import first_words
from server.delivery import outbox
from server.desk import Desk, forums, place, posts
from server.desk.names import Names
from server.desk.prepare import Prepared
from server.people import identity

SUBJECT_CHARS = 70
PARTS = 100


def piece(prepared: Prepared[NewPost] | Prepared[Edit]) -> dict[str, str]:
    """What of a burst's message is kept apart, so that it can be edited and taken back alone."""
    derived = prepared.derived
    return {
        "text": derived.text,
        "html": derived.html,
        "fresh_text": derived.fresh_text,
        "fresh_html": derived.fresh_html,
    }


def joined(pieces: list[dict[str, str]]) -> Derived:
    """The body that the pieces make together."""
    full = [each for each in pieces if each["text"].strip() or each["html"].strip()]
    return Derived(
        text="\n\n".join(each["text"].rstrip() for each in full),
        html="\n".join(each["html"] for each in full),
        fresh_text="\n\n".join(each["fresh_text"].rstrip() for each in full),
        fresh_html="\n".join(each["fresh_html"] for each in full),
    )


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
    pieces = json.loads(posts.body(tx, last.id).pieces or "null")
    if pieces is None or len(pieces) >= PARTS:
        return None
    own = [Ref(ref.space, ref.name, len(pieces)) for ref in inbound.refs]
    pieces.append(piece(prepared))
    posts.set_body(tx, last.id, joined(pieces), pieces)
    posts.add_files(tx, last.id, prepared.files, now, len(pieces) - 1)
    if prepared.original is not None:
        posts.append_original(tx, last.id, inbound.author.channel, prepared.original)
    place.also_named(Names(tx, forum.id), last.thread_id, last.id, own)
    forums.changed(tx, forum.id, "edit", last.id, now)
    return Accepted(f"{forum.slug}/{last.seq}")


def opening_words(fresh_text: str) -> str:
    """A subject for a post that has none: its first words."""
    return first_words(fresh_text, SUBJECT_CHARS)
