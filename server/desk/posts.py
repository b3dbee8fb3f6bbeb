"""Rows of posts and what belongs to them. The only writer of posts, bodies, revisions, originals, attachments, blobs, reactions.

No rules of who may do what: the callers (`accept`, `change`) decided that already.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server.content.derive import Derived
from server.desk.prepare import StoredFile
from server.store.schema import attachments, blobs, bodies, originals, posts, reactions, threads
from server.store.schema import revisions as edits
from server.store.upsert import insert_id, insert_new

LOOKUP = 500  # posts asked for in one statement: both engines limit the number of parameters
_ADD = posts.insert().returning(posts.c.id)
_OWN_ORIGIN = posts.update().where(posts.c.id == sa.bindparam("post")).values(origin=posts.c.id)
_ADD_BODY = bodies.insert()
_ADD_ORIGINAL = originals.insert()
_SAME_ELSEWHERE = (
    sa.select(posts.c.origin)
    .where(
        posts.c.message_id == sa.bindparam("name"),
        posts.c.state == "published",
        posts.c.person_id == sa.bindparam("person"),
        posts.c.content_hash == sa.bindparam("content"),
    )
    .limit(1)
)


def add(tx: Connection, **values: Any) -> int:
    """A new post; its id. `origin` is its own id unless given."""
    post_id = int(tx.execute(_ADD, values).scalar_one())
    if values.get("origin") is None:
        tx.execute(_OWN_ORIGIN, {"post": post_id})
    return post_id


def add_body(tx: Connection, post_id: int, derived: Derived, pieces: list[dict[str, Any]] | None = None) -> None:
    """The derived texts of a new post."""
    tx.execute(_ADD_BODY, {"post_id": post_id} | _body(derived, pieces))


def set_body(tx: Connection, post_id: int, derived: Derived, pieces: list[dict[str, Any]] | None = None) -> None:
    """The derived texts of a post, in place of what was there."""
    tx.execute(bodies.update().where(bodies.c.post_id == post_id).values(**_body(derived, pieces)))


def _body(derived: Derived, pieces: list[dict[str, Any]] | None) -> dict[str, str | None]:
    return {
        "text": derived.text,
        "html": derived.html,
        "fresh_text": derived.fresh_text,
        "fresh_html": derived.fresh_html,
        "pieces": json.dumps(pieces) if pieces is not None else None,
    }


def body(tx: Connection, post_id: int) -> Row[Any]:
    return tx.execute(sa.select(bodies).where(bodies.c.post_id == post_id)).one()


def add_original(tx: Connection, post_id: int, channel: str, compressed: bytes, part: int = 0) -> None:
    """The bytes as received, of a new post."""
    tx.execute(_ADD_ORIGINAL, {"post_id": post_id, "part": part, "channel": channel, "bytes": compressed})


def append_original(tx: Connection, post_id: int, channel: str, compressed: bytes) -> None:
    """The bytes as received, as the next part of a post."""
    part = tx.scalar(sa.select(sa.func.count()).select_from(originals).where(originals.c.post_id == post_id)) or 0
    add_original(tx, post_id, channel, compressed, part)


def add_files(tx: Connection, post_id: int, files: Sequence[StoredFile], now: int, part: int = 0) -> None:
    """Attach stored files after those that the post has; `part` is the piece of a burst that they came with."""
    if not files:
        return
    count = sa.select(sa.func.count()).select_from(attachments).where(attachments.c.post_id == post_id)
    first = tx.scalar(count) or 0
    for position, file in enumerate(files, first):
        insert_new(tx, blobs, {"hash": file.hash, "size": file.size, "created_at": now}, ["hash"])
        tx.execute(attachments.insert(), _file(post_id, position, part, file))


def _file(post_id: int, position: int, part: int, file: StoredFile) -> dict[str, Any]:
    return {
        "post_id": post_id,
        "position": position,
        "part": part,
        "blob_hash": file.hash,
        "filename": file.filename,
        "media_type": file.media_type,
        "size": file.size,
        "content_id": file.content_id,
        "inline": file.inline,
    }


class Buffer:
    """New posts that are written together. Their ids are reserved; none stands before its parent."""

    def __init__(self) -> None:
        self._posts: list[dict[str, Any]] = []
        self._bodies: list[dict[str, Any]] = []
        self._originals: list[dict[str, Any]] = []
        self._files: list[dict[str, Any]] = []
        self._blobs: list[dict[str, Any]] = []

    def add(
        self, values: Mapping[str, Any], derived: Derived, files: Sequence[StoredFile], original: bytes | None
    ) -> None:
        """A post (`values` with its id and origin), its texts, its files and its compressed bytes as received."""
        post_id, now = values["id"], values["arrived_at"]
        self._posts.append(dict(values))
        self._bodies.append({"post_id": post_id} | _body(derived, None))
        if original is not None:
            received = {"post_id": post_id, "part": 0, "channel": values["channel"], "bytes": original}
            self._originals.append(received)
        for position, file in enumerate(files):
            self._blobs.append({"hash": file.hash, "size": file.size, "created_at": now})
            self._files.append(_file(post_id, position, 0, file))

    def flush(self, tx: Connection) -> None:
        """Write what was added since the last time."""
        for blob in self._blobs:
            insert_new(tx, blobs, blob, ["hash"])
        self._blobs.clear()
        written = (
            (posts, self._posts),
            (bodies, self._bodies),
            (originals, self._originals),
            (attachments, self._files),
        )
        for table, rows in written:
            if rows:
                tx.execute(table.insert(), rows)
                rows.clear()


def drop_files(tx: Connection, post_id: int, part: int) -> None:
    """The files of one piece of a burst are gone."""
    tx.execute(attachments.delete().where(attachments.c.post_id == post_id, attachments.c.part == part))


def has_files(tx: Connection, post_id: int) -> bool:
    return tx.scalar(sa.select(attachments.c.id).where(attachments.c.post_id == post_id).limit(1)) is not None


def has_posted(tx: Connection, forum_id: int, person_id: int) -> bool:
    """Whether a post of the person was ever published in the forum."""
    theirs = sa.select(posts.c.id).where(posts.c.person_id == person_id, posts.c.forum_id == forum_id)
    return tx.scalar(theirs.where(posts.c.seq.is_not(None)).limit(1)) is not None


def has_posted_from(tx: Connection, forum_id: int, address_id: int) -> bool:
    """As `has_posted`, from that very address."""
    theirs = sa.select(posts.c.id).where(posts.c.address_id == address_id, posts.c.forum_id == forum_id)
    return tx.scalar(theirs.where(posts.c.seq.is_not(None)).limit(1)) is not None


def get(tx: Connection, post_id: int) -> Row[Any]:
    return tx.execute(sa.select(posts).where(posts.c.id == post_id)).one()


def update(tx: Connection, post_id: int, **values: Any) -> None:
    tx.execute(posts.update().where(posts.c.id == post_id).values(**values))


def add_revision(tx: Connection, post_id: int, text_before: str, now: int) -> int:
    """Keep what the text was; the id of the revision. Raises the post's revision number."""
    number = tx.execute(
        posts.update()
        .where(posts.c.id == post_id)
        .values(revision=posts.c.revision + 1, edited_at=now)
        .returning(posts.c.revision)
    ).scalar_one()
    return insert_id(tx, edits, post_id=post_id, number=number, text=text_before, at=now)


def revisions(tx: Connection, post_id: int) -> list[Row[Any]]:
    """The edits of a post, oldest first."""
    return list(tx.execute(sa.select(edits).where(edits.c.post_id == post_id).order_by(edits.c.number)))


def corrected(tx: Connection, revision_id: int, message_id: str, since: int) -> None:
    """A correction with this Message-ID tells what the revisions from number `since` to this one changed."""
    tx.execute(edits.update().where(edits.c.id == revision_id).values(message_id=message_id, corrects=since))


def empty(tx: Connection, post_id: int, state: str, now: int) -> None:
    """Take every copy of the words away: body, earlier revisions, received bytes, files."""
    update(tx, post_id, state=state, retracted_at=now, subject="")
    set_body(tx, post_id, Derived("", "", "", ""))
    tx.execute(edits.update().where(edits.c.post_id == post_id).values(text=""))  # an edit may be under way
    for table in (originals, attachments):
        tx.execute(table.delete().where(table.c.post_id == post_id))


def react(tx: Connection, post_id: int, person_id: int, key: str, channel: str, removed: bool, now: int) -> int | None:
    """Set or take away a sign; the id of the reaction if anything changed."""
    row = tx.execute(
        sa.select(reactions).where(
            reactions.c.post_id == post_id, reactions.c.person_id == person_id, reactions.c.key == key
        )
    ).first()
    if row is None:
        if removed:
            return None
        return insert_id(tx, reactions, post_id=post_id, person_id=person_id, key=key, channel=channel, at=now)
    if (row.removed_at is not None) == removed:
        return None
    tx.execute(
        reactions.update()
        .where(reactions.c.id == row.id)
        .values(removed_at=now if removed else None, channel=channel, at=now)
    )
    return int(row.id)


def merge(tx: Connection, gone: int, into: int) -> None:
    """What one person wrote and signed is the other's; a sign that both set stays once."""
    tx.execute(posts.update().where(posts.c.person_id == gone).values(person_id=into))
    other = reactions.alias("other")
    same = (other.c.post_id == reactions.c.post_id) & (other.c.key == reactions.c.key) & (other.c.person_id == into)
    tx.execute(reactions.delete().where(reactions.c.person_id == gone, sa.exists().where(same)))
    tx.execute(reactions.update().where(reactions.c.person_id == gone).values(person_id=into))


# The tree, for `place` ----------------------------------------------------------------------------------------------
def parent_of(tx: Connection, post_id: int) -> int | None:
    return tx.scalar(sa.select(posts.c.parent_id).where(posts.c.id == post_id))


def children_of_refs(tx: Connection, ref_ids: Sequence[int], thread_id: int) -> list[int]:
    """Posts of the thread that named one of these refs as their nearest parent."""
    if not ref_ids:
        return []
    found = sa.select(posts.c.id).where(posts.c.parent_ref_id.in_(ref_ids), posts.c.thread_id == thread_id)
    return list(tx.scalars(found))


def set_parent(tx: Connection, children: Sequence[int], parent_id: int) -> None:
    if children:
        tx.execute(posts.update().where(posts.c.id.in_(children)).values(parent_id=parent_id))


def move(tx: Connection, family: int, into: int) -> None:
    """All posts of one thread belong to another one now."""
    tx.execute(posts.update().where(posts.c.thread_id == family).values(thread_id=into))


def subject_of_thread(tx: Connection, thread_id: int | None) -> str:
    """What the thread is called, "" if it has no name."""
    return tx.scalar(sa.select(threads.c.subject).where(threads.c.id == thread_id)) or ""


def latest_of_thread(tx: Connection, thread_id: int) -> Row[Any] | None:
    """The newest numbered post of a thread."""
    return tx.execute(
        sa.select(posts)
        .where(posts.c.thread_id == thread_id, posts.c.seq.is_not(None))
        .order_by(posts.c.seq.desc())
        .limit(1)
    ).first()


def latest_lonely(tx: Connection, forum_id: int) -> Row[Any] | None:
    """The newest post of a forum if it opened a thread and nothing answers it yet."""
    row = tx.execute(
        sa.select(posts)
        .where(posts.c.forum_id == forum_id, posts.c.seq.is_not(None))
        .order_by(posts.c.seq.desc())
        .limit(1)
    ).first()
    return row if row is not None and row.parent_id is None and row.parent_ref_id is None else None


def origins(tx: Connection, message_ids: Sequence[str]) -> dict[tuple[str, int, str], int]:
    """Origins of published posts that have these Message-IDs, by Message-ID, author and content."""
    p = posts.c
    found: dict[tuple[str, int, str], int] = {}
    for start in range(0, len(message_ids), LOOKUP):
        some = p.message_id.in_(message_ids[start : start + LOOKUP])
        for row in tx.execute(
            sa.select(p.message_id, p.person_id, p.content_hash, p.origin).where(some, p.state == "published")
        ):
            found.setdefault((row.message_id, row.person_id, row.content_hash), row.origin)
    return found


def same_in_other_forum(tx: Connection, message_id: str, person_id: int, content_hash: str) -> int | None:
    """The origin of the same author's same post with this Message-ID in another forum, if there is one."""
    return tx.scalar(_SAME_ELSEWHERE, {"name": message_id, "person": person_id, "content": content_hash})
