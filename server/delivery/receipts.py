"""The receipt after a person's first post: where it stands and where it went. Once for each person, never to a machine.

It leaves when the post has settled and its mails have had time to go, and counts them as it leaves.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import bridge, clock
from server.delivery import letters
from server.desk import Desk, author, policy
from server.i18n import _, ngettext
from server.people import identity
from server.people.schedule import DIGESTS
from server.store.schema import deliveries, memberships, posts, subscriptions

TEMPLATE = "receipt"
TIME_TO_GO_MS = 2 * clock.MINUTE

_d, _m, _p, _s = deliveries.c, memberships.c, posts.c, subscriptions.c
_ANOTHER = (
    sa.select(_p.id)
    .where(_p.person_id == sa.bindparam("person"), _p.id != sa.bindparam("post"), _p.published_at.is_not(None))
    .limit(1)
)
_SENT = (
    sa.select(_d.channel, _d.state, sa.func.count().label("number"))
    .where(_d.item_kind == "post", _d.item_id == sa.bindparam("post"))
    .group_by(_d.channel, _d.state)
)
_IN_DIGESTS = (
    sa.select(sa.func.count())
    .select_from(subscriptions)
    .join(memberships, sa.and_(_m.person_id == _s.person_id, _m.forum_id == _s.forum_id))
    .where(_s.forum_id == sa.bindparam("forum"), _s.state == "active", _m.state == "active", _s.mode.in_(DIGESTS))
    .where(_s.person_id != sa.bindparam("person"))
)


def book(tx: Connection, desk: Desk, forum: Row[Any], post: Row[Any]) -> None:
    """Book the receipt of a post that was just published, if it is its author's first one and there is somewhere to send it."""
    if post.person_id is None or tx.scalar(_ANOTHER, {"person": post.person_id, "post": post.id}) is not None:
        return
    mailbox = _mailbox(tx, desk, post)
    if mailbox is None or letters.was_told(tx, TEMPLATE, post.person_id):
        return
    if policy.is_machine(forum, identity.address(tx, mailbox)):
        return
    goes_at = post.published_at + forum.settle_ms + TIME_TO_GO_MS
    mailed = post.channel in desk.channels(takes_back=False)
    facts = {"post": post.id, "in_reply_to": post.message_id if mailed else None}
    letters.notice(tx, mailbox, TEMPLATE, forum.id, facts, desk.now(), person_id=post.person_id, not_before=goes_at)


def _mailbox(tx: Connection, desk: Desk, post: Row[Any]) -> int | None:
    """Where the author reads what a server writes: the mailbox that they wrote from, else one that they have, else where they wrote."""
    if post.address_id is not None and post.channel in desk.channels(takes_back=False):
        return int(post.address_id)
    mailbox = author.mailbox(tx, desk, post.person_id)
    return post.address_id if mailbox is None and post.channel in desk.traits else mailbox


def is_gone(tx: Connection, letter: Row[Any]) -> bool:
    """Whether the post of a receipt was taken back."""
    post_id = int(json.loads(letter.data)["post"])
    return tx.scalar(sa.select(_p.state).where(_p.id == post_id)) != "published"


def facts(tx: Connection, desk: Desk, letter: Row[Any], forum: bridge.Forum) -> dict[str, str]:
    """What the receipt says: the post's subject and page, and where it went."""
    post = tx.execute(sa.select(posts).where(_p.id == int(json.loads(letter.data)["post"]))).one()
    listed = places(tx, desk, post, forum)
    return {"subject": post.subject or forum.title, "post_url": f"{forum.url}/{post.seq}", "places": listed}


def places(tx: Connection, desk: Desk, post: Row[Any], forum: bridge.Forum) -> str:
    """A line for each kind of place that a post went to."""
    sent: dict[str, int] = {"mailbox": 0, "room": 0, "waiting": 0}
    for row in tx.execute(_SENT, {"post": post.id}):
        if row.state == "sent":
            sent["room" if row.channel in desk.channels(takes_back=True) else "mailbox"] += row.number
        elif row.state in ("due", "claimed"):
            sent["waiting"] += row.number
    later = tx.scalar(_IN_DIGESTS, {"forum": forum.id, "person": post.person_id}) or 0
    everybody = forum.visibility == "public"
    kinds = [
        ngettext("{count} mailbox", "{count} mailboxes", sent["mailbox"]).format(count=sent["mailbox"]),
        ngettext("the room", "{count} rooms", sent["room"]).format(count=sent["room"]) if sent["room"] else "",
        ngettext(
            "{count} reader of digests, with the next one", "{count} readers of digests, with the next one", later
        ).format(count=later)
        if later
        else "",
        _("the web page, where anybody can read it") if everybody else _("the web page, which members can read"),
        ngettext("{count} more is on its way", "{count} more are on their way", sent["waiting"]).format(
            count=sent["waiting"]
        )
        if sent["waiting"]
        else "",
    ]
    return "\n".join(f"  - {kind}" for kind in kinds if kind)
