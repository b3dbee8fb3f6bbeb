"""Answers to digests: to one of its posts, by the reply address that names it; or to the whole, and then the writer is asked which.

An address names a post and never a person: who writes, and whether they may, is decided as for any other post.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NoReturn

from sqlalchemy import Connection, Row

from server import bridge, subjects
from server.bridge import MESSAGE_ID, Accepted, Duplicate, NewPost, Ref, Result
from server.delivery import digests, letters
from server.desk import Desk, posts
from server.desk.names import POST
from server.desk.prepare import Prepared
from server.errors import Rejected
from server.i18n import _
from server.people import handles, identity

QUESTION = "which-post"
WORDS_CHARS = 50_000  # of what they wrote that the question hands back


def of_item(tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost]) -> Prepared[NewPost]:
    """The post under the one that its reply address names, with that one's thread as its subject.

    What it answers by its header fields is the digest, or nothing, whatever they say. Raises Rejected for an address we never printed.
    """
    inbound = prepared.inbound
    if inbound.item is None:
        return prepared
    post_id = handles.printed_on(tx, desk.secret, "item", inbound.item)
    if post_id is None:
        return prepared
    answered = posts.get(tx, post_id)
    if answered.forum_id != forum.id or answered.seq is None:
        raise Rejected("5.1.1", _("There is no such address here."))
    subject = posts.subject_of_thread(tx, answered.thread_id) or answered.subject
    parents = (Ref(POST, str(post_id)),)
    return replace(
        prepared, inbound=replace(inbound, parents=parents), subject=subjects.answering(subject) or prepared.subject
    )


def of_digest(
    tx: Connection, desk: Desk, forum: Row[Any], inbound: NewPost, known: identity.Known | None
) -> int | None:
    """The digest that this answers as a whole: by its own reply address, its Message-ID, or its subject; None if it does not.

    Raises Rejected for a reply address that we never printed.
    """
    if inbound.item is not None:
        if handles.printed_on(tx, desk.secret, "item", inbound.item) is not None:
            return None
        digest = handles.printed_on(tx, desk.secret, "digest", inbound.item)
        if digest is None or not digests.of_forum(tx, digest, forum.id):
            raise Rejected("5.1.1", _("There is no such address here."))
        return digest
    nearest = inbound.parents[0] if inbound.parents else None
    if nearest is not None:
        ours = nearest.space == MESSAGE_ID and nearest.name.endswith(f"@{forum.mail_domain}>")
        return digests.named(tx, forum.id, nearest.name) if ours else None
    if known is None:
        return None
    return digests.with_subject(tx, forum, known.person_id, inbound.subject or "", desk.now())


def ask(
    tx: Connection, desk: Desk, forum: Row[Any], prepared: Prepared[NewPost], who: identity.Known, digest_id: int
) -> Result:
    """Post nothing; send the member the addresses of its posts and their own words back, once a day.

    Raises Rejected the next time, so that their words come back by another way.
    """
    inbound, now = prepared.inbound, desk.now()
    name = bridge.message_id(*inbound.refs)
    asked = letters.latest(tx, QUESTION, who.address_id, forum.id, now - letters.ONCE_IN)
    if asked is not None:
        if name is not None and json.loads(asked.data)["in_reply_to"] == name:
            return Duplicate()
        refuse(forum)
    words = prepared.derived.fresh_text.strip()
    files = [file.filename for file in prepared.files]
    facts = {"digest": digest_id, "words": words[:WORDS_CHARS], "files": files, "in_reply_to": name}
    letters.notice(tx, who.address_id, QUESTION, forum.id, facts, now)
    return Accepted(reply=_("This answers a whole digest: we wrote to you to ask which of its posts you mean."))


def refuse(forum: Row[Any]) -> NoReturn:
    """Raise Rejected with what to do."""
    raise Rejected(
        "5.6.0",
        _(
            "This answers a whole digest of {forum}, so nobody knows which post it is about. Each post in the digest has a "
            "reply address of its own: please send it there."
        ).format(forum=forum.slug),
    )
