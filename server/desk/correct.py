"""Corrections: an edit is told where it cannot be shown, but only when its author or a moderator asks. One transaction.

Mail cannot be unsent, and a mail for each typing error would be worse than the error.
"""

from __future__ import annotations

from sqlalchemy import Connection

from server import tokens
from server.bridge import MESSAGE_ID, Accepted, Correct, Duplicate, Ref, Result
from server.delivery import outbox
from server.desk import Desk, change, place, posts
from server.desk.names import Names
from server.errors import Rejected
from server.i18n import _, ngettext
from server.moderation import audit


def correct(tx: Connection, desk: Desk, inbound: Correct) -> Result:
    """Book what changed for every mailbox that has the post as it was, once for each revision.

    Raises Rejected unless its author or a moderator asks, and where nothing has changed since it was mailed.
    """
    now = desk.now()
    forum, target, who = change.target_of(tx, inbound)
    change.refuse_others(tx, forum, target.person_id, inbound.author, who)
    post = posts.get(tx, target.post_id)
    if post.state != "published":
        raise Rejected("5.5.0", _("This post was taken back."))
    mailing = desk.channels(takes_back=False)
    sent_at = outbox.first_sent(tx, post.id, mailing)
    revisions = posts.revisions(tx, post.id)
    told = max((row.number for row in revisions if row.message_id is not None), default=0)
    if told and told == post.revision:
        return Duplicate(f"{forum.slug}/{post.seq}")
    since = next((row for row in revisions if row.number > told and sent_at is not None and row.at >= sent_at), None)
    if since is None:
        raise Rejected("5.5.0", _("Nothing has changed since this post was mailed."))
    latest = revisions[-1]
    name = tokens.message_id(forum.mail_domain)
    posts.corrected(tx, latest.id, name, since.number)
    place.also_named(Names(tx, forum.id), post.thread_id, post.id, [Ref(MESSAGE_ID, name)])
    count = outbox.book_correction(tx, latest.id, post.id, now, mailing)
    assert who is not None
    audit.record(tx, f"person:{who.person_id}", "correct", f"{forum.slug}/{post.seq}", now, forum_id=forum.id)
    reply = ngettext("{count} mailbox is told what changed.", "{count} mailboxes are told what changed.", count)
    return Accepted(f"{forum.slug}/{post.seq}", reply.format(count=count))
