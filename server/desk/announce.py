"""What those who look after a forum see in a place of their own, on channels that keep one: what waits, and what became of it.

Books; decides nothing. What is said: `delivery.announced`.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server.delivery import outbox
from server.desk import Desk, forums
from server.moderation import entry, flags, queue

POST, ENTRY, REPORT = "queue", "entry", "flag"
"""The kinds of items: their ids are a post's, a membership's and a flag's."""

KINDS = (POST, ENTRY, REPORT)


def show(tx: Connection, desk: Desk, kind: str, item_id: int, forum_id: int) -> None:
    """It waits, or changed, or waits no longer."""
    for channel in desk.queueing():
        outbox.book_kept(tx, kind, item_id, channel, forum_id, desk.now())


def all_waiting(tx: Connection, desk: Desk, channel: str, slug: str) -> None:
    """The channel keeps a place for them from now on. Raises NotFound."""
    forum_id = forums.get(tx, slug).id
    forums.lock(tx, forum_id)
    waiting = [(POST, row.post_id) for row in queue.listing(tx, forum_id) if row.awaits == queue.MODERATORS]
    waiting += [(ENTRY, row.membership_id) for row in entry.waiting(tx, forum_id)]
    waiting += [(REPORT, row.id) for row in flags.waiting(tx, forum_id)]
    for kind, item_id in waiting:
        outbox.book_kept(tx, kind, item_id, channel, forum_id, desk.now())
