"""Posts that wait for a decision, named H-xxxx until they have a number. The only writer of `held` and `decisions`.

A held post claims no Ref (else a forgery could keep the real mail out): the names that it wants are kept here until it is published.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from server.bridge import Ref
from server.store.schema import decisions, forums, held, posts
from server.store.upsert import insert_new, insert_or_set

LETTERS = 4
NAMES = 100  # of one held post
MODERATORS, AUTHOR, PARENT = "moderators", "author", "parent"
"""Whose word a held post waits for; an author's is the answer to a question that they were sent. PARENT: nobody's of its own, for it
answers one that waits."""


def same(tx: Connection, forum_id: int, author: str, content_hash: str) -> str | None:
    """The name of the held post with that author (channel:address) and content, if it waits already."""
    mine = (held.c.forum_id == forum_id) & (held.c.author == author) & (held.c.content_hash == content_hash)
    return tx.execute(select(held.c.name).where(mine)).scalar()


def hold(
    tx: Connection,
    post_id: int,
    forum_id: int,
    author: str,
    content_hash: str,
    reason: str,
    names: Sequence[Ref],
    parents: Sequence[Ref],
    awaits: str = MODERATORS,
    line: bool = False,
) -> str:
    """Put the post in the queue; its name. One with the same author and content that waits already keeps its place and name.

    `names` and `parents`: what it is called and what it answers once it is published. `awaits`: whose word it waits for.
    `line`: a line of talk, with which nothing waits.
    """
    row = {"post_id": post_id, "forum_id": forum_id, "author": author, "content_hash": content_hash, "reason": reason}
    row |= {"awaits": awaits, "line": line, "refs": _written(names), "parents": _written(parents)}
    while (name := same(tx, forum_id, author, content_hash)) is None:
        insert_new(tx, held, row | {"name": _name(tx)}, ["forum_id", "author", "content_hash"])
    return name


def also_named(tx: Connection, name: str, more: Sequence[Ref]) -> None:
    """The held post of that name came once more, under these names."""
    row = find(tx, name)
    if row is not None:
        both = list(dict.fromkeys((*names(row), *more)))
        tx.execute(update(held).where(held.c.post_id == row.post_id).values(refs=_written(both[:NAMES])))


def names(row: Row[Any]) -> list[Ref]:
    """What a held post is called once it is published."""
    return _read(row.refs)


def parents(row: Row[Any]) -> list[Ref]:
    """What a held post answers."""
    return _read(row.parents)


def _written(refs: Sequence[Ref]) -> str:
    return json.dumps([[ref.space, ref.name, ref.part] for ref in refs])


def _read(text: str) -> list[Ref]:
    return [Ref(*each) for each in json.loads(text)]


# What answers it ------------------------------------------------------------------------------------------------------
def named(tx: Connection, forum_id: int, ref: Ref) -> Row[Any] | None:
    """The held post of the forum that wants to be called so."""
    return next((row for row in _saying(tx, forum_id, held.c.refs, ref) if _is_among(ref, names(row))), None)


def answers(tx: Connection, answered: Row[Any]) -> list[Row[Any]]:
    """The posts that wait with this one, oldest first."""
    found: dict[int, Row[Any]] = {}
    for ref in names(answered):
        for row in _saying(tx, answered.forum_id, held.c.parents, ref):
            if row.awaits == PARENT and _is_among(ref, parents(row)):
                found[row.post_id] = row
    return [found[post_id] for post_id in sorted(found)]


def count_answers(tx: Connection, forum_id: int) -> int:
    """How many posts of the forum wait with one that they answer."""
    mine = (held.c.forum_id == forum_id, held.c.awaits == PARENT)
    return tx.scalar(select(func.count()).select_from(held).where(*mine)) or 0


def _saying(tx: Connection, forum_id: int, column: ColumnElement[str], ref: Ref) -> list[Row[Any]]:
    """Held posts of the forum whose column may hold that name."""
    written = column.contains(json.dumps(ref.name), autoescape=True)
    return list(tx.execute(select(held).where(held.c.forum_id == forum_id, written).order_by(held.c.post_id)))


def _is_among(ref: Ref, refs: Sequence[Ref]) -> bool:
    return any((each.space, each.name) == (ref.space, ref.name) for each in refs)


# What was decided, to be shown --------------------------------------------------------------------------
def decided(tx: Connection, row: Row[Any], approved: bool) -> None:
    """Remember what became of a held post, for those who see that it waits."""
    values = {"post_id": row.post_id, "name": row.name, "approved": approved, "refs": row.refs}
    insert_or_set(tx, decisions, values, ["post_id"], ["approved"])


def decision(tx: Connection, post_id: int) -> Row[Any] | None:
    """What became of a post that was held: name, approved, refs; None if nobody decided yet."""
    return tx.execute(select(decisions).where(decisions.c.post_id == post_id)).first()


def _name(tx: Connection) -> str:
    while True:
        name = "H-" + base64.b32encode(secrets.token_bytes(5)).decode().lower()[:LETTERS]
        if find(tx, name) is None:
            return name


def find(tx: Connection, name: str) -> Row[Any] | None:
    """The held post of that name; case is ignored."""
    return tx.execute(select(held).where(held.c.name == "H-" + name.strip()[2:].lower())).first()


def hand_over(tx: Connection, post_id: int, reason: str) -> None:
    """Its author said yes; now it waits for the moderators, for that reason."""
    tx.execute(update(held).where(held.c.post_id == post_id).values(awaits=MODERATORS, reason=reason))


def release(tx: Connection, post_id: int) -> None:
    """It was decided: the post waits no longer."""
    tx.execute(delete(held).where(held.c.post_id == post_id))


def listing(tx: Connection, forum_id: int | None) -> list[Row[Any]]:
    """What waits in a forum (None: in all), oldest first, with the forum's slug, `subject`, `author_name` and `arrived_at`."""
    query = (
        select(held, forums.c.slug, posts.c.subject, posts.c.author_name, posts.c.arrived_at)
        .join_from(held, posts)
        .join(forums, forums.c.id == held.c.forum_id)
        .order_by(held.c.post_id)
    )
    return list(tx.execute(query if forum_id is None else query.where(held.c.forum_id == forum_id)))


def unconfirmed(tx: Connection, before: int, most: int) -> list[Row[Any]]:
    """What has waited for its author's word since before then, oldest first."""
    query = select(held).join_from(held, posts).where(held.c.awaits == AUTHOR, posts.c.arrived_at <= before)
    return list(tx.execute(query.order_by(held.c.post_id).limit(most)))


# Who has been told ----------------------------------------------------------------------------------------------------
def unreported(tx: Connection, forum_id: int, most: int) -> list[Row[Any]]:
    """What its moderators do not know of yet, oldest first."""
    return _told(tx, held.c.forum_id == forum_id, held.c.reported_at.is_(None))[:most]


def entry(tx: Connection, post_id: int) -> Row[Any] | None:
    """The post that waits for its moderators, as the others here; None if it does not (any more)."""
    return next(iter(_told(tx, held.c.post_id == post_id)), None)


def forums_to_report(tx: Connection) -> list[int]:
    """The forums with something that their moderators do not know of yet."""
    new = (held.c.awaits == MODERATORS, held.c.reported_at.is_(None))
    return list(tx.scalars(select(held.c.forum_id).where(*new).distinct().order_by(held.c.forum_id)))


def to_remind(tx: Connection, before: int) -> list[Row[Any]]:
    """What the moderators have known of since before then, and were not reminded of."""
    return _told(tx, held.c.reported_at <= before, held.c.reminded_at.is_(None))


def to_tell(tx: Connection, before: int) -> list[Row[Any]]:
    """What has waited since before then, and its author was not told."""
    return _told(tx, posts.c.arrived_at <= before, held.c.told_at.is_(None))


def _told(tx: Connection, *which: ColumnElement[bool]) -> list[Row[Any]]:
    query = (
        select(
            held,
            *(posts.c.subject, posts.c.person_id, posts.c.address_id),
            *(posts.c.channel, posts.c.proof, posts.c.message_id),
        )
        .join_from(held, posts)
        .where(held.c.awaits == MODERATORS, *which)
        .order_by(held.c.forum_id, held.c.post_id)
    )
    return list(tx.execute(query))


def note(tx: Connection, post_ids: Sequence[int], what: str, now: int) -> None:
    """Note that somebody was told of these posts; `what` is "reported_at", "reminded_at" or "told_at"."""
    tx.execute(update(held).where(held.c.post_id.in_(post_ids)).values({what: now}))
