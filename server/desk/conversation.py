"""Talk at the level of a room: its opener is a post of its own, what others say after it are lines of one reply, mailed once at its end.

The only writer of `conversations`. A line is an anchor of that reply and has no number of its own; who answers one in a thread, or by
mail, makes a post under it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import clock, tokens
from server.bridge import MESSAGE_ID, Accepted, NewPost, Ref
from server.content.excerpts import first_words
from server.desk import Desk, author, book, forums, gather, mentions, pieces, place, posts
from server.desk.names import POST, Names
from server.desk.prepare import Prepared
from server.i18n import _
from server.people import identity
from server.store.schema import conversations
from server.store.upsert import insert_or_set

QUIET_MS = 30 * clock.MINUTE
LONGEST_MS = 2 * clock.HOUR
LINES = 100
MOST_CHARS = 200_000  # of what is kept of all lines: each new one is written together with those before it
LATE_MS = 10 * clock.MINUTE  # heard so long after it was said, it is being caught up with
LATE_LINES = 500  # in one mail then, for nobody wants many about what is over
OPENER, LINES_POST = "opener", "lines"
AT_ONCE = 50

_c = conversations.c
_CURRENT = sa.select(conversations).where(_c.forum_id == sa.bindparam("forum"), _c.channel == sa.bindparam("by"))
_OVER = (
    sa.select(conversations)
    .where(
        _c.lines_id.is_not(None),
        sa.or_(_c.last_at <= sa.bindparam("quiet"), _c.began_at <= sa.bindparam("long")),
    )
    .limit(AT_ONCE)
)
_OPEN = sa.select(conversations).where(_c.forum_id == sa.bindparam("forum"), _c.lines_id.is_not(None))
_OF_POST = sa.select(conversations).where(_c.lines_id == sa.bindparam("post"))


def take(
    tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], who: identity.Known
) -> Accepted | None:
    """The message as a line of the room's talk; None if it is a post: an answer, a topic, or what opens a conversation."""
    inbound, now = prepared.inbound, desk.now()
    if not inbound.chat or forum.room_messages == "topics":
        return None
    late = inbound.written_at is not None and now - inbound.written_at > LATE_MS
    talk = _going_on(tx, desk, forum, inbound.author.channel, LATE_LINES if late else LINES, now)
    if inbound.parents:
        answered_line = talk is not None and talk.lines_id is not None and _names(tx, forum, inbound, talk.lines_id)
        if not answered_line:
            return None
    elif talk is None and forum.room_messages == "conversation" and not late:
        return None
    elif talk is not None and talk.lines_id is None and talk.opener_id is not None:
        more = gather.append(tx, desk, forum, prepared, who)  # who opened it has not finished
        if more is not None:
            return more
    name = who.name or author.shown_name(inbound.author) or _("A member")
    line = pieces.line(pieces.of(prepared), who.person_id, name)
    if talk is None or talk.lines_id is None:
        return _begun(tx, forum, talk.opener_id if talk is not None else None, prepared, line, now)
    stored = posts.body(tx, talk.lines_id).pieces or "[]"
    if len(stored) >= MOST_CHARS:
        _close(tx, desk, forum, talk, now)
        return _begun(tx, forum, talk.opener_id, prepared, line, now)
    lines = [*(pieces.read(stored) or []), line]
    tx.execute(_mine(forum.id, talk.channel).values(lines=len(lines), last_at=now))
    mentions.note(tx, talk.lines_id, talk.channel, inbound.mentions)
    return gather.add(tx, forum, posts.get(tx, talk.lines_id), prepared, lines, now)


def _going_on(tx: Connection, desk: Desk, forum: Row[Any], channel: str, most: int, now: int) -> Row[Any] | None:
    """The room's conversation, if it is not over; what of it is full or lasts too long was closed, and it goes on with the next lines."""
    asked = {"forum": forum.id, "by": channel}
    talk = tx.execute(_CURRENT, asked).first()
    if talk is None:
        return None
    quiet = now - talk.last_at >= QUIET_MS
    if talk.lines_id is not None and (quiet or now - talk.began_at >= LONGEST_MS or talk.lines >= most):
        _close(tx, desk, forum, talk, now)
        talk = tx.execute(_CURRENT, asked).one()
    return None if quiet else talk


def _names(tx: Connection, forum: Row[Any], inbound: NewPost, post_id: int) -> bool:
    """Whether the message answers that post before all."""
    named = place.find(tx, forum.id, inbound.parents[:1])
    return named is not None and named.post_id == post_id


def is_line(tx: Connection, desk: Desk, forum: Row[Any], inbound: NewPost) -> bool:
    """Whether the message, were it taken now, would be a line of what is talked of."""
    if not inbound.chat or forum.room_messages == "topics":
        return False
    talk = tx.execute(_CURRENT, {"forum": forum.id, "by": inbound.author.channel}).first()
    if inbound.parents:
        return talk is not None and talk.lines_id is not None and _names(tx, forum, inbound, talk.lines_id)
    return forum.room_messages != "conversation" or (talk is not None and desk.now() - talk.last_at < QUIET_MS)


def opens(forum: Row[Any], inbound: NewPost) -> bool:
    """Whether a post that is no line opens a conversation."""
    return inbound.chat and not inbound.parents and forum.room_messages == "conversation"


def opened(tx: Connection, forum_id: int, channel: str, post_id: int, now: int) -> None:
    """This post is the room's opener: what others say at room level from now on belongs to it."""
    _set(tx, forum_id, channel, opener_id=post_id, lines_id=None, lines=0, began_at=now, last_at=now)


def answered(tx: Connection, desk: Desk, forum: Row[Any], parent_id: int | None, now: int) -> None:
    """Somebody answers what was said: talk that is still open ends, so that nobody gets the answer before it."""
    talk = tx.execute(_OF_POST, {"post": parent_id}).first() if parent_id is not None else None
    if talk is not None:
        _close(tx, desk, forum, talk, now)


def close_open(tx: Connection, desk: Desk, forum_id: int) -> None:
    """Whatever is open in the forum ends: a digest is about to tell of it."""
    for talk in tx.execute(_OPEN, {"forum": forum_id}).all():
        forums.lock(tx, forum_id)
        _close(tx, desk, forums.by_id(tx, forum_id), talk, desk.now())


def close_over(tx: Connection, desk: Desk) -> int:
    """End what was quiet for long, or lasts too long; how many there were."""
    now = desk.now()
    over = tx.execute(_OVER, {"quiet": now - QUIET_MS, "long": now - LONGEST_MS}).all()
    for talk in over:
        forums.lock(tx, talk.forum_id)
        _close(tx, desk, forums.by_id(tx, talk.forum_id), talk, now)
    return len(over)


def _begun(
    tx: Connection, forum: Row[Any], opener_id: int | None, prepared: Prepared[NewPost], line: pieces.Piece, now: int
) -> Accepted:
    """A reply that holds lines, published at once and booked for nobody yet."""
    inbound = prepared.inbound
    names = [*inbound.refs, Ref(MESSAGE_ID, tokens.message_id(forum.mail_domain))]
    parents = [Ref(POST, str(opener_id))] if opener_id is not None else []
    stands = place.place(Names(tx, forum.id), names, parents, "")
    seq, modseq = forums.next_number(tx, forum.id)
    values: dict[str, Any] = {
        "forum_id": forum.id,
        "author_name": _("Talk in the room"),
        "channel": inbound.author.channel,
        "proof": int(inbound.author.proof),
        "message_id": names[-1].name,
        "written_at": inbound.written_at,
        "arrived_at": now,
        "chat": LINES_POST,
    }
    post_id = posts.add(tx, **values, **place.standing(stands, seq, now))
    mentions.note(tx, post_id, inbound.author.channel, inbound.mentions)
    posts.add_body(tx, post_id, pieces.joined([line]), [line])
    posts.add_files(tx, post_id, prepared.files, now)
    if prepared.original is not None:
        posts.add_original(tx, post_id, inbound.author.channel, prepared.original)
    rows = Names(tx, forum.id)
    place.claim(rows, stands, post_id, names)
    words = first_words(f"{line['name']}: {line['fresh_text']}", gather.SUBJECT_CHARS)
    rows.count(stands.thread_id, post_id, seq, words, now)
    forums.noted(tx, forum.id, modseq, post_id, now)
    _set(
        tx, forum.id, inbound.author.channel, opener_id=opener_id, lines_id=post_id, lines=1, began_at=now, last_at=now
    )
    return Accepted(f"{forum.slug}/{seq}")


def _close(tx: Connection, desk: Desk, forum: Row[Any], talk: Row[Any], now: int) -> None:
    """The lines are said: from now on nothing is added, and everybody who wants to hear of conversations does, once."""
    tx.execute(_mine(talk.forum_id, talk.channel).values(lines_id=None, lines=0))
    post = posts.get(tx, talk.lines_id)
    if post.state == "published" and forum.room_messages != "threads-only":
        book.post(tx, desk, forum, post, now)


def _mine(forum_id: int, channel: str) -> sa.Update:
    return conversations.update().where(_c.forum_id == forum_id, _c.channel == channel)


def _set(tx: Connection, forum_id: int, channel: str, **values: Any) -> None:
    insert_or_set(
        tx, conversations, {"forum_id": forum_id, "channel": channel} | values, ["forum_id", "channel"], list(values)
    )
