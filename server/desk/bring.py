"""Old posts, written elsewhere before: many in one transaction, placed by the same rules as new ones.

Ids alone are compared, and nobody is told: nothing is booked, no machine is refused, no authorship is asked for, for an operator
vouches for the whole. Who wrote becomes a person we know by an address, neither verified nor a member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from server import changes
from server.bridge import MESSAGE_ID, NewPost, Ref, message_id
from server.desk import Desk, author, forums, gather, place, posts
from server.desk.accept import name_of_content
from server.desk.many import ManyNames
from server.desk.prepare import Prepared
from server.errors import Rejected
from server.people import identity

MOST_NUMBER = 2**40  # a number that is larger was never given


@dataclass(frozen=True, slots=True)
class Old:
    """An old post. `at`: when it was there at the latest, where its own date cannot be used. `number`: the one it had, if any.

    `gone`: it was taken back, and only keeps those together that answered it.
    """

    prepared: Prepared[NewPost]
    at: int | None = None
    number: int | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of an old post: its number here, None if it was here already. `refused`: why it cannot be taken."""

    number: int | None = None
    refused: str = ""


class _Batch:
    """What the posts of one transaction share."""

    def __init__(self, tx: Connection, desk: Desk, forum: Row[Any], old: Sequence[Old]) -> None:
        self.tx, self.desk, self.forum, self.now = tx, desk, forum, desk.now()
        inbound = [each.prepared.inbound for each in old]
        self.names = ManyNames(tx, forum.id, [ref for post in inbound for ref in (*post.refs, *post.parents)])
        self.people: dict[tuple[str, str], identity.Known] = {}
        for channel in {post.author.channel for post in inbound}:
            at = list({post.author.address for post in inbound if post.author.channel == channel})
            self.people |= {(channel, key): who for key, who in identity.find_many(tx, channel, at).items()}
        ids = {ref.name for post in inbound for ref in post.refs if ref.space == MESSAGE_ID}
        self.origins = posts.origins(tx, list(ids))
        self.last_seq, self.made = int(forum.last_seq), list[int]()


def bring(tx: Connection, desk: Desk, slug: str, old: Sequence[Old]) -> list[Brought]:
    """Take the posts in, in this order; what became of each."""
    forum_id = forums.addressed(tx, slug).id
    forums.lock(tx, forum_id)
    batch = _Batch(tx, desk, forums.by_id(tx, forum_id), old)
    brought = [_one(batch, each) for each in old]
    batch.names.settled()
    if batch.made:
        first = forums.advance(tx, forum_id, batch.last_seq, len(batch.made))
        changes.record_many(tx, forum_id, first, "post", batch.made, batch.now)
    return brought


def _one(batch: _Batch, old: Old) -> Brought:
    inbound = old.prepared.inbound
    own = list(inbound.refs)
    if message_id(*own) is None:
        own.append(name_of_content(batch.desk, batch.forum, old.prepared, inbound.author))
    if any((row := batch.names.row(ref)) is not None and row.post_id is not None for ref in own):
        return Brought()
    try:
        who = None if old.gone else _author(batch, inbound)
    except Rejected as problem:
        return Brought(refused=problem.reason)
    return Brought(number=_publish(batch, old, who, own))


def _author(batch: _Batch, inbound: NewPost) -> identity.Known:
    key = (inbound.author.channel, inbound.author.address)
    if key not in batch.people or not batch.people[key].name:
        batch.people[key] = author.ensure(batch.tx, inbound.author, batch.now)
    return batch.people[key]


def _publish(batch: _Batch, old: Old, who: identity.Known | None, own: list[Ref]) -> int:
    prepared, names = old.prepared, batch.names
    at = min(prepared.inbound.written_at or old.at or batch.now, batch.now)
    stands = place.place(names, own, prepared.inbound.parents, prepared.subject)
    names.begins(stands.thread_id, stands.parent_ref_id is not None)
    kept = old.number is not None and batch.last_seq < old.number < MOST_NUMBER
    batch.last_seq = old.number if kept and old.number is not None else batch.last_seq + 1
    row = _row(batch, old, who, own, at) | {
        "seq": batch.last_seq,
        "thread_id": stands.thread_id,
        "parent_id": stands.parent_id,
        "parent_ref_id": stands.parent_ref_id,
    }
    same = (row["message_id"], row["person_id"], prepared.content_hash)
    row["origin"] = batch.origins.get(same, row["id"])
    names.posts.add(row, prepared.derived, prepared.files, prepared.original)
    place.claim(names, stands, row["id"], own)
    words = prepared.subject or gather.opening_words(prepared.derived.fresh_text)
    names.count(stands.thread_id, row["id"], batch.last_seq, words, at, more=0 if old.gone else 1)
    batch.made.append(row["id"])
    return batch.last_seq


def _row(batch: _Batch, old: Old, who: identity.Known | None, own: list[Ref], at: int) -> dict[str, Any]:
    inbound = old.prepared.inbound
    return {
        "id": batch.names.post_id(),
        "forum_id": batch.forum.id,
        "state": "retracted" if old.gone else "published",
        "retracted_at": batch.now if old.gone else None,
        "person_id": who.person_id if who else None,
        "address_id": who.address_id or None if who else None,
        "author_name": author.shown_name(inbound.author) or who.name if who else "",
        "channel": inbound.author.channel,
        "proof": int(inbound.author.proof),
        "message_id": message_id(*own),
        "subject": old.prepared.subject,
        "content_hash": old.prepared.content_hash,
        "written_at": at,
        "arrived_at": batch.now,
        "published_at": at,
        "imported": True,
    }
