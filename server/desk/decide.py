"""What becomes of held posts: published, rejected, taken back by their author. Works on one post at a time.

Every decision is in the audit under the post's name H-xxxx, so that who comes later is told who decided (`decided`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, tokens
from server.bridge import Ref
from server.delivery import letters, notices
from server.desk import Desk, accept, forums, place, posts
from server.errors import NotFound
from server.i18n import _
from server.moderation import audit, queue

AT_ONCE = 50  # posts in one transaction
APPROVE, REJECT, CANCEL = "approve", "reject", "cancel"


def approve(tx: Connection, desk: Desk, name: str, actor: str, now: int) -> str:
    """Publish the held post H-xxxx; its FORUM/N. Raises NotFound."""
    row = _taken(tx, name)
    forum = forums.by_id(tx, row.forum_id)
    names = queue.names(row)
    twin = place.find(tx, forum.id, names)
    if twin is not None and twin.person_id == posts.get(tx, row.post_id).person_id:
        posts.empty(tx, row.post_id, "rejected", now)  # meanwhile the author sent it so that it was surely theirs
        audit.record(tx, actor, APPROVE, row.name, now, forum_id=forum.id, detail=f"{forum.slug}/{twin.seq}")
        return f"{forum.slug}/{twin.seq}"
    if twin is not None:  # the id was taken by somebody else while this one waited
        names = [Ref(bridge.MESSAGE_ID, tokens.message_id(forum.mail_domain))]
    seq = accept.publish_held(tx, desk, forum, row.post_id, names, tuple(queue.parents(row)))
    audit.record(tx, actor, APPROVE, row.name, now, forum_id=forum.id, detail=f"{forum.slug}/{seq}")
    return f"{forum.slug}/{seq}"


def reject(tx: Connection, desk: Desk, name: str, actor: str, reason: str, now: int) -> None:
    """Do not publish the held post H-xxxx; its author is told why, and its words are kept by nobody. Raises NotFound."""
    row = _taken(tx, name)
    post = posts.get(tx, row.post_id)
    posts.empty(tx, row.post_id, "rejected", now)
    if reason and post.address_id is not None and post.channel in desk.traits:
        answers = post.message_id if not desk.traits[post.channel].takes_back else None
        facts = {"reason": reason, "subject": post.subject, "in_reply_to": answers}
        letters.notice(tx, post.address_id, "post-rejected", row.forum_id, facts, now)
    audit.record(tx, actor, REJECT, row.name, now, forum_id=row.forum_id, detail=reason)


def cancel(tx: Connection, name: str, actor: str, now: int) -> None:
    """Its author takes the held post H-xxxx back: nothing of it is kept. Raises NotFound."""
    row = _taken(tx, name)
    posts.empty(tx, row.post_id, "retracted", now)
    audit.record(tx, actor, CANCEL, row.name, now, forum_id=row.forum_id)


def forget_unconfirmed(tx: Connection, now: int) -> int:
    """Keep nothing of what waits for an answer that can no longer come; how many there were."""
    rows = queue.unconfirmed(tx, now - notices.TEMPLATES["confirm-post"].valid_ms, AT_ONCE)
    for row in rows:
        _taken(tx, row.name)
        posts.empty(tx, row.post_id, "rejected", now)
        audit.record(tx, "server", REJECT, row.name, now, forum_id=row.forum_id, detail="never confirmed")
    return len(rows)


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
