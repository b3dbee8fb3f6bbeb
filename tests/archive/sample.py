"""Rows of a small town, put straight into the tables: the archive is read here, not how posts come to be."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import zstandard
from sqlalchemy import Connection

from server.store import schema as t

NOW = 1_790_000_000_000
MINUTE = 60_000


class Town:
    """Inserts rows and remembers nothing but the clock; every method answers the new row's id."""

    def __init__(self, tx: Connection) -> None:
        self.tx = tx
        self.at = NOW - 5 * 24 * 60 * MINUTE

    def _add(self, table: sa.Table, **values: Any) -> int:
        return int(self.tx.execute(table.insert().values(**values)).inserted_primary_key[0])

    def community(self, slug: str, name: str, purpose: str = "") -> int:
        self.tx.execute(t.slugs.insert().values(slug=slug, kind="community"))
        return self._add(t.communities, slug=slug, name=name, purpose=purpose, created_at=self.at)

    def forum(self, slug: str, community: int, title: str, **values: Any) -> int:
        self.tx.execute(t.slugs.insert().values(slug=slug, kind="forum"))
        return self._add(
            t.forums,
            slug=slug,
            community_id=community,
            title=title,
            mail_domain="lists.test",
            created_at=self.at,
            **values,
        )

    def person(self, name: str) -> int:
        return self._add(t.people, key=f"key{name.lower()}", name=name, created_at=self.at)

    def member(self, person: int, forum: int, role: str = "member", state: str = "active") -> int:
        return self._add(t.memberships, person_id=person, forum_id=forum, role=role, state=state, joined_at=self.at)

    def post(
        self,
        forum: int,
        author: int,
        html: str = "<p>Words.</p>",
        *,
        thread: int | None = None,
        parent: int | None = None,
        subject: str = "",
        channel: str = "post",
        minutes: int = 7,
        state: str = "published",
        original: bytes | None = None,
        **values: Any,
    ) -> int:
        """A published post; without `thread` it opens one. Held ones have no number."""
        self.at += minutes * MINUTE
        number = self.tx.scalar(sa.select(t.forums.c.last_seq).where(t.forums.c.id == forum)) + 1
        name = self.tx.scalar(sa.select(t.people.c.name).where(t.people.c.id == author))
        thread = thread or self._add(t.threads, forum_id=forum, subject=subject, posts=0)
        message_id = values.pop("message_id", f"<{forum}-{number}-{state}@lists.test>")
        post = self._add(
            t.posts,
            forum_id=forum,
            seq=number if state != "held" else None,
            thread_id=thread,
            parent_id=parent,
            state=state,
            person_id=author,
            author_name=name,
            channel=channel,
            message_id=message_id,
            subject=subject,
            written_at=self.at,
            arrived_at=self.at,
            published_at=self.at,
            **values,
        )
        text = html.replace("<p>", "").replace("</p>", "\n")
        self.tx.execute(t.bodies.insert().values(post_id=post, text=text, html=html, fresh_text=text, fresh_html=html))
        if original is not None:
            packed = zstandard.compress(original)
            self.tx.execute(t.originals.insert().values(post_id=post, part=0, channel=channel, bytes=packed))
        if state != "held":
            self._count(forum, thread, post, number, message_id)
        return post

    def _count(self, forum: int, thread: int, post: int, number: int, message_id: str) -> None:
        self.ref(forum, post, "message-id", message_id)
        self.tx.execute(
            t.threads.update()
            .where(t.threads.c.id == thread)
            .values(
                posts=t.threads.c.posts + 1,
                last_seq=number,
                last_at=self.at,
                root_post_id=sa.func.coalesce(t.threads.c.root_post_id, post),
            )
        )
        self.tx.execute(
            t.forums.update().where(t.forums.c.id == forum).values(last_seq=number, modseq=t.forums.c.modseq + 1)
        )

    def thread_of(self, post: int) -> int:
        return int(self.tx.scalar(sa.select(t.posts.c.thread_id).where(t.posts.c.id == post)) or 0)

    def ref(self, forum: int, post: int, space: str, name: str) -> int:
        return self._add(t.refs, forum_id=forum, post_id=post, space=space, name=name)

    def file(self, post: int, digest: str, filename: str, media_type: str, size: int = 1000) -> int:
        if self.tx.scalar(sa.select(t.blobs.c.hash).where(t.blobs.c.hash == digest)) is None:
            self.tx.execute(t.blobs.insert().values(hash=digest, size=size, created_at=self.at))
        return self._add(
            t.attachments, post_id=post, blob_hash=digest, filename=filename, media_type=media_type, size=size
        )

    def react(self, post: int, person: int, key: str) -> int:
        return self._add(t.reactions, post_id=post, person_id=person, key=key, channel="post", at=self.at)
