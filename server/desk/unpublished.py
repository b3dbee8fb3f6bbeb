"""What is done, where it was written, to a post that still waits: its author mends it or takes it back, a moderator takes it away."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server.bridge import Accepted, Edit, Proof, Result, Retract
from server.desk import Desk, announce, author, decide, forums, place, posts
from server.desk.prepare import Prepared
from server.errors import Rejected
from server.i18n import _
from server.moderation import queue
from server.people import identity, membership


def edit(tx: Connection, desk: Desk, prepared: Prepared[Edit]) -> Result | None:
    """The held post has other words; None where no held post is meant. Raises Rejected unless its author asks."""
    row, post, who = _meant(tx, prepared.inbound)
    if row is None:
        return None
    _refuse_unproved(prepared.inbound)
    if who is None or post.person_id != who.person_id:
        raise Rejected("5.7.1", _("Only its author can change a post that waits."))
    posts.set_body(tx, row.post_id, prepared.derived)
    if prepared.original is not None:
        posts.append_original(tx, row.post_id, prepared.inbound.author.channel, prepared.original)
    if row.awaits == queue.MODERATORS:
        announce.show(tx, desk, announce.POST, row.post_id, row.forum_id)
    return Accepted()


def retract(tx: Connection, desk: Desk, inbound: Retract) -> Result | None:
    """The held post is never published; None where no held post is meant. Raises Rejected unless its author or a moderator asks."""
    row, post, who = _meant(tx, inbound)
    if row is None:
        return None
    _refuse_unproved(inbound)
    if who is not None and post.person_id == who.person_id:
        decide.cancel(tx, desk, row.name, f"person:{who.person_id}", desk.now())
    elif who is not None and membership.moderates(membership.of(tx, who.person_id, row.forum_id)):
        decide.reject(tx, desk, row.name, f"person:{who.person_id}", "", desk.now())
    else:
        raise Rejected("5.7.1", _("Only its author and moderators can take back a post that waits."))
    return Accepted()


def _meant(tx: Connection, inbound: Edit | Retract) -> tuple[Row[Any] | None, Any, identity.Known | None]:
    """The held post that is meant, the post itself, and who asks."""
    forum = forums.addressed(tx, inbound.forum)
    forums.lock(tx, forum.id)
    if place.find(tx, forum.id, [inbound.target]) is not None:
        return None, None, None
    row = queue.named(tx, forum.id, inbound.target)
    return (row, posts.get(tx, row.post_id), author.find(tx, inbound.author)) if row is not None else (None, None, None)


def _refuse_unproved(inbound: Edit | Retract) -> None:
    if inbound.author.proof < Proof.SESSION:
        raise Rejected("5.7.1", _("Nothing shows that it is you who asks."))
