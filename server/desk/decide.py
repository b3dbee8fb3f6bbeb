"""What becomes of held posts: published, rejected, taken back by their author. Works on one post at a time.

Every decision is in the audit under the post's name H-xxxx, so that who comes later is told who decided (`decided`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, tokens
from server.bridge import Ref
from server.delivery import letters, notices, outbox
from server.desk import Desk, announce, forums, place, posts, publish
from server.desk.sameness import other_words
from server.errors import NotFound
from server.i18n import _
from server.moderation import audit, bans, queue
from server.people import subscriptions

AT_ONCE = 50  # posts in one transaction
APPROVE, REJECT, CANCEL = "approve", "reject", "cancel"


def approve(tx: Connection, desk: Desk, name: str, actor: str, now: int) -> str:
    """Publish the held post H-xxxx, and what waited with it; its FORUM/N. Raises NotFound."""
    row = _taken(tx, name)
    where = _publish(tx, desk, row, actor, now)
    _go_on(tx, desk, row, actor, now)
    return where


def reject(tx: Connection, desk: Desk, name: str, actor: str, reason: str, now: int) -> None:
    """Do not publish the held post H-xxxx; its author is told why, and its words are kept by nobody. Raises NotFound.

    What waited with it goes on for itself.
    """
    row = _taken(tx, name)
    post = posts.get(tx, row.post_id)
    if reason and post.address_id is not None and post.channel in desk.traits:
        answers = post.message_id if not desk.traits[post.channel].takes_back else None
        facts = {"reason": reason, "subject": post.subject, "in_reply_to": answers}
        letters.notice(tx, post.address_id, "post-rejected", row.forum_id, facts, now)
    _refuse(tx, desk, row, REJECT, "rejected", actor, now, reason)
    _go_on(tx, desk, row, actor, now)


def cancel(tx: Connection, desk: Desk, name: str, actor: str, now: int) -> None:
    """Its author takes the held post H-xxxx back: nothing of it is kept. Raises NotFound."""
    row = _taken(tx, name)
    _refuse(tx, desk, row, CANCEL, "retracted", actor, now)
    _go_on(tx, desk, row, actor, now)


def forget_unconfirmed(tx: Connection, desk: Desk) -> int:
    """Keep nothing of what waits for an answer that can no longer come; how many there were."""
    now = desk.now()
    rows = queue.unconfirmed(tx, now - notices.TEMPLATES["confirm-post"].valid_ms, AT_ONCE)
    for row in rows:
        _refuse(tx, desk, _taken(tx, row.name), REJECT, "rejected", "server", now, "never confirmed")
        _go_on(tx, desk, row, "server", now)
    return len(rows)


def answered(tx: Connection, desk: Desk, forum: Row[Any], parents: Sequence[Ref]) -> Row[Any] | None:
    """The held post that these names, nearest first, mean: one that is seen where it was written, and is no line of talk."""
    shown = desk.channels(takes_back=True)
    for ref in place.capped(parents):
        if ref.space not in shown:  # a name that anybody may claim
            continue
        if place.find(tx, forum.id, [ref]) is not None:
            return None
        row = queue.named(tx, forum.id, ref)
        if row is not None:
            return None if row.line else row
    return None


def release(tx: Connection, desk: Desk, row: Row[Any], actor: str, now: int) -> None:
    """Approve a held post, after what it answers and waits with."""
    forum, line = forums.by_id(tx, row.forum_id), [row]
    while len(line) < AT_ONCE and line[-1].awaits == queue.PARENT:
        above = answered(tx, desk, forum, queue.parents(line[-1]))
        if above is None:
            break
        line.append(above)
    for each in reversed(line):
        if queue.find(tx, each.name) is not None:  # it went on with the one above it
            approve(tx, desk, each.name, actor, now)


def _publish(tx: Connection, desk: Desk, row: Row[Any], actor: str, now: int) -> str:
    forum = forums.by_id(tx, row.forum_id)
    names = queue.names(row)
    twin = place.find(tx, forum.id, names)
    if twin is not None and _is_same(tx, row.post_id, twin):
        posts.empty(tx, row.post_id, "rejected", now)  # meanwhile the author sent it so that it was surely theirs
        seq = twin.seq
    else:
        if twin is not None:  # the id was taken by another message while this one waited
            names = [Ref(bridge.MESSAGE_ID, tokens.message_id(forum.mail_domain))]
        seq = publish.held(tx, desk, forum, row.post_id, names, tuple(queue.parents(row)))
    audit.record(tx, actor, APPROVE, row.name, now, forum_id=forum.id, detail=f"{forum.slug}/{seq}")
    _show(tx, desk, row, True, now)
    return f"{forum.slug}/{seq}"


def _is_same(tx: Connection, held_id: int, twin: Row[Any]) -> bool:
    """Whether its author sent it once more meanwhile, so that it was surely theirs; some programs give all their mails one id."""
    mine, theirs = (posts.get(tx, each) for each in (held_id, twin.post_id))
    words, other = (posts.body(tx, each).text for each in (held_id, twin.post_id))
    return mine.person_id == theirs.person_id and not other_words(mine.subject, words, theirs.subject, other)


def _refuse(
    tx: Connection, desk: Desk, row: Row[Any], verb: str, state: str, actor: str, now: int, detail: str = ""
) -> None:
    posts.empty(tx, row.post_id, state, now)
    audit.record(tx, actor, verb, row.name, now, forum_id=row.forum_id, detail=detail)
    _show(tx, desk, row, False, now)


def _show(tx: Connection, desk: Desk, row: Row[Any], approved: bool, now: int) -> None:
    """What became of it is shown to its moderators, and in the rooms where it was seen to wait."""
    queue.decided(tx, row, approved)
    if row.awaits == queue.MODERATORS:
        announce.show(tx, desk, announce.POST, row.post_id, row.forum_id)
    channel = posts.get(tx, row.post_id).channel
    if channel in desk.channels(takes_back=True):
        for address_id in subscriptions.rooms(tx, row.forum_id, channel):
            outbox.book_one(tx, "decision", row.post_id, channel, address_id, now, row.forum_id)


def _go_on(tx: Connection, desk: Desk, decided: Row[Any], actor: str, now: int) -> None:
    """What waited with a post that is decided, and with that, is published: not by recursion, for strangers say how deep it is."""
    waiting = deque(queue.answers(tx, decided))
    while waiting:
        row = waiting.popleft()
        if queue.find(tx, row.name) is None:  # it answers two that waited
            continue
        waiting.extend(queue.answers(tx, row))
        queue.release(tx, row.post_id)
        post = posts.get(tx, row.post_id)
        if bans.is_shut_out(tx, row.forum_id, post.person_id):
            _refuse(tx, desk, row, REJECT, "rejected", actor, now)
        else:
            _publish(tx, desk, row, actor, now)


def waiting(tx: Connection, name: str) -> Row[Any]:
    """The held post. Raises NotFound where it is decided, or never was."""
    row = queue.find(tx, name)
    if row is None:
        raise NotFound(_("There is no held post {name}.").format(name=name))
    return row


def _taken(tx: Connection, name: str) -> Row[Any]:
    """As `waiting`, and it waits no longer: of two who decide at once one comes too late."""
    forums.lock(tx, waiting(tx, name).forum_id)
    row = waiting(tx, name)
    queue.release(tx, row.post_id)
    return row
