"""Digests: what was new in a forum, in one mail. The only writer of digests and digest_entries.

Which posts a digest holds is decided when it is booked, in the transaction that also moves the subscription on: a post is in one
digest or waits for the next one, whatever dies. Their words are read when it is sent, so that nothing goes out that was taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import bridge, clock, render, subjects, tokens
from server.delivery import outbox
from server.desk import Desk, forums
from server.i18n import _, ngettext, speaking
from server.people import handles
from server.people import subscriptions as targets
from server.people.schedule import DIGESTS
from server.store.schema import (
    addresses,
    conversations,
    deliveries,
    digest_entries,
    digests,
    people,
    posts,
    subscriptions,
    thread_marks,
    threads,
)
from server.store.schema import forums as forums_table
from server.store.upsert import insert_id

MOST = 50  # posts of one digest; what is more comes in another one at once
ANSWERED_FOR = 60 * clock.DAY  # so long an answer to a digest is known by its subject

_d, _e, _m, _p, _s = digests.c, digest_entries.c, thread_marks.c, posts.c, subscriptions.c
_DUE: sa.Select[Any] = (
    sa.select(_s.id)
    .where(_s.digest_at <= sa.bindparam("now"), _s.state == "active", targets.gets_digests)
    .order_by(_s.digest_at)
    .limit(sa.bindparam("most"))
)
_SUBSCRIPTION: sa.Select[Any] = (
    sa.select(
        *(_s.id, _s.forum_id, _s.person_id, _s.address_id, _s.own_posts, _s.digest_seq, _s.digest_at),
        *(_s.mode, _s.conversations, _s.digest_hour, _s.digest_day, people.c.timezone, addresses.c.channel),
        *(forums_table.c.last_seq, forums_table.c.mail_domain, forums_table.c.settle_ms),
    )
    .join_from(subscriptions, addresses, addresses.c.id == _s.address_id)
    .join(forums_table, forums_table.c.id == _s.forum_id)
    .outerjoin(people, people.c.id == _s.person_id)
    .where(_s.id == sa.bindparam("subscription"), _s.state == "active", targets.gets_digests)
    .with_for_update(of=subscriptions)  # whoever books at the same time waits, and finds that it was done
)
_twin = posts.alias("twin")
_their = subscriptions.alias("their")
_is_muted = sa.exists().where(_m.person_id == sa.bindparam("person"), _m.thread_id == _p.thread_id, _m.mark == "muted")
_WAS_SENT = sa.exists().where(  # this mailbox has it already, through another forum
    deliveries.c.item_kind == "post",
    deliveries.c.origin == _p.origin,
    deliveries.c.channel == sa.bindparam("by"),
    deliveries.c.address_id == sa.bindparam("address"),
)
_WAS_DIGESTED = (
    sa.select(_twin.c.id)
    .join_from(_twin, digest_entries, _e.post_id == _twin.c.id)
    .join(digests, _d.id == _e.digest_id)
    .join(_their, _their.c.id == _d.subscription_id)
    .where(_twin.c.origin == _p.origin, _twin.c.id != _p.id, _their.c.address_id == sa.bindparam("address"))
    .correlate(posts)
    .exists()
)
_NEW: sa.Select[Any] = (
    sa.select(_p.id, _p.seq, _p.thread_id, _p.channel, _p.published_at)
    .where(
        _p.forum_id == sa.bindparam("forum"),
        _p.seq > sa.bindparam("after"),
        _p.seq <= sa.bindparam("until"),
        _p.state == "published",
        _p.imported.is_(False),  # old posts are news to nobody
        sa.or_(sa.bindparam("own", type_=sa.Boolean()), _p.person_id.is_(None), _p.person_id != sa.bindparam("person")),
        sa.case(
            (_p.chat == "", sa.bindparam("posts", type_=sa.Boolean())), else_=sa.bindparam("talk", type_=sa.Boolean())
        ),
        _p.id.not_in(
            sa.select(conversations.c.lines_id).where(conversations.c.lines_id.is_not(None))
        ),  # not said to its end
        ~_is_muted,
        ~_WAS_SENT,
        ~_WAS_DIGESTED,
    )
    .order_by(_p.seq)
    .limit(MOST + 1)
)


# Book -----------------------------------------------------------------------------------------------------------------
def due(tx: Connection, now: int, most: int) -> list[int]:
    """Subscriptions whose digest is due, longest first."""
    return list(tx.scalars(_DUE, {"now": now, "most": most}))


def book(tx: Connection, subscription_id: int, now: int) -> None:
    """Book the digest that is due, if anything is new, and move the subscription on to its next hour.

    Where there is more than one digest holds, the next part is due at once.
    """
    row = tx.execute(_SUBSCRIPTION, {"subscription": subscription_id}).first()
    if row is None or row.digest_at is None or row.digest_at > now:
        return
    until = _freeze(tx, row, row.digest_seq, now)
    targets.digested(tx, row.id, until, targets.next_digest(row, now) if until >= row.last_seq else now)


def end(tx: Connection, subscription_id: int, now: int, wanted: bool) -> None:
    """No more digests for this subscription. `wanted`: what was posted until now comes in a last one."""
    row = tx.execute(_SUBSCRIPTION, {"subscription": subscription_id}).first()
    until = targets.digest_row(tx, subscription_id).digest_seq
    while row is not None and wanted and until < row.last_seq:
        until = _freeze(tx, row, until, now)
    targets.digested(tx, subscription_id, until, None)


def _freeze(tx: Connection, row: Row[Any], after: int, now: int) -> int:
    """Book one digest of what is new after that number; the number up to which it goes. Nothing new, no mail."""
    facts = {"forum": row.forum_id, "after": after, "until": row.last_seq, "own": row.own_posts}
    whole = row.mode in DIGESTS
    facts |= {"posts": whole, "talk": row.conversations == "digest" or (whole and row.conversations == "each")}
    facts |= {"person": row.person_id, "by": row.channel, "address": row.address_id}
    found = tx.execute(_NEW, facts).all()
    new, until = found[:MOST], int(row.last_seq if len(found) <= MOST else found[MOST - 1].seq)
    if not new:
        return until
    digest_id = insert_id(
        tx,
        digests,
        subscription_id=row.id,
        forum_id=row.forum_id,
        message_id=tokens.message_id(row.mail_domain),
        after_seq=after,
        until_seq=until,
        created_at=now,
    )
    entries = [{"digest_id": digest_id, "post_id": post, "position": at} for at, post in enumerate(_by_thread(new), 1)]
    tx.execute(digest_entries.insert(), entries)
    settled = max(post.published_at for post in new) + row.settle_ms
    outbox.book_one(
        tx,
        "digest",
        digest_id,
        row.channel,
        row.address_id,
        now,
        forum_id=row.forum_id,
        subscription_id=row.id,
        not_before=max(settled, now),
    )
    return until


def _by_thread(new: Sequence[Row[Any]]) -> list[int]:
    """The posts' ids, those of a thread together, threads and posts in the order in which they were posted."""
    threads_: dict[int, list[int]] = {}
    for row in new:
        threads_.setdefault(row.thread_id, []).append(row.id)
    return [post for thread in threads_.values() for post in thread]


# Say ------------------------------------------------------------------------------------------------------------------
_parent = posts.alias("parent")
_HOLDS = (  # entries of a digest, taken back or not: its subject is the same at every attempt and whenever it is asked for
    sa.select(sa.func.count()).select_from(digest_entries).where(_e.digest_id == _d.id).scalar_subquery()
)
_DIGEST: sa.Select[Any] = (
    sa.select(digests, people.c.id.label("person_id"), people.c.timezone, people.c.language, _HOLDS.label("holds"))
    .join_from(digests, subscriptions, _s.id == _d.subscription_id)
    .outerjoin(people, people.c.id == _s.person_id)
    .where(_d.id == sa.bindparam("digest"))
)
_ENTRIES: sa.Select[Any] = (
    sa.select(
        *(_p.id, _p.thread_id, _p.author_name, _p.seq, _p.published_at, threads.c.subject.label("topic")),
        sa.case((_parent.c.state == "published", _parent.c.author_name), else_="").label("answers"),
    )
    .join_from(digest_entries, posts, _p.id == _e.post_id)
    .outerjoin(threads, threads.c.id == _p.thread_id)
    .outerjoin(_parent, _parent.c.id == _p.parent_id)
    .where(_e.digest_id == sa.bindparam("digest"), _p.state == "published", ~_is_muted)
    .order_by(_e.position)
)


def item(tx: Connection, desk: Desk, digest_id: int, post: Callable[[int], bridge.Post]) -> bridge.DigestItem | None:
    """The digest in the port's words; None if all of it was taken back or muted since. `post` answers one by its id."""
    row = tx.execute(_DIGEST, {"digest": digest_id}).one()
    entries = tx.execute(_ENTRIES, {"digest": digest_id, "person": row.person_id}).all()
    if not entries:
        return None
    replies = handles.printed_many(tx, desk.secret, "item", [entry.id for entry in entries])
    forum = forums.view(forums.by_id(tx, row.forum_id), desk.base_url)
    return bridge.DigestItem(
        id=row.id,
        forum=forum,
        message_id=row.message_id,
        created_at=row.created_at,
        entries=tuple(
            bridge.DigestEntry(post(each.id), replies[each.id], each.thread_id, each.topic or "", each.answers or "")
            for each in entries
        ),
        language=row.language or "en",
        timezone=row.timezone or "UTC",
        subject=_subject(row, forum.title),
        reply=handles.printed(tx, desk.secret, "digest", row.id),
    )


def _subject(row: Row[Any], title: str) -> str:
    """An answer can be known by it."""
    with speaking(row.language or "en"):
        day = render.local(row.created_at, row.timezone or "UTC", "d MMM y")
        words = ngettext("{forum} digest, {day}: {count} post", "{forum} digest, {day}: {count} posts", row.holds)
        return words.format(forum=title, day=day, count=row.holds)


# Answers --------------------------------------------------------------------------------------------------------------
_RECENT: sa.Select[Any] = (
    sa.select(digests, people.c.timezone, people.c.language, _HOLDS.label("holds"))
    .join_from(digests, subscriptions, _s.id == _d.subscription_id)
    .join(people, people.c.id == _s.person_id)
    .where(_d.forum_id == sa.bindparam("forum"), _s.person_id == sa.bindparam("person"))
    .where(_d.created_at > sa.bindparam("since"))
    .order_by(_d.id.desc())
    .limit(70)
)


def named(tx: Connection, forum_id: int, message_id: str) -> int | None:
    """The digest of the forum that has this Message-ID."""
    return tx.scalar(sa.select(_d.id).where(_d.message_id == message_id, _d.forum_id == forum_id))


def of_forum(tx: Connection, digest_id: int, forum_id: int) -> bool:
    """Whether there is such a digest of the forum."""
    return tx.scalar(sa.select(_d.id).where(_d.id == digest_id, _d.forum_id == forum_id)) is not None


def with_subject(tx: Connection, forum: Row[Any], person_id: int, subject: str, now: int) -> int | None:
    """The newest digest that the person was sent under this subject, "Re:" or not."""
    wanted = _plain(subject)
    if not wanted.startswith(_plain(forum.title)):
        return None
    facts = {"forum": forum.id, "person": person_id, "since": now - ANSWERED_FOR}
    for row in tx.execute(_RECENT, facts).all():
        if _plain(_subject(row, forum.title)) == wanted:
            return int(row.id)
    return None


def _plain(subject: str) -> str:
    return " ".join(subjects.bare(subject).casefold().split())


def choices(tx: Connection, desk: Desk, digest_id: int) -> list[tuple[str, str, str]]:
    """(topic, who and when, reply token) of each post that can be answered, for who answered the digest as a whole."""
    row = tx.execute(_DIGEST, {"digest": digest_id}).one()
    entries = tx.execute(_ENTRIES, {"digest": digest_id, "person": row.person_id}).all()
    replies = handles.printed_many(tx, desk.secret, "item", [entry.id for entry in entries])
    with speaking(row.language or "en"):
        return [
            (
                each.topic or "",
                f"{each.author_name or _('A member')}, "
                + render.local(each.published_at, row.timezone or "UTC", "d MMM, HH:mm"),
                replies[each.id],
            )
            for each in entries
        ]
