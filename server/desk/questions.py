"""Questions to an author whose post waits: join and publish it? Was this you? Asked by their own address, few, and never of machines.

Anybody can write anybody's address into a mail: what is sent here because of it goes once a day to an address and forum, and a
"was this you?" only to those who have a history here.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.bridge import NewPost, Spam
from server.delivery import letters
from server.desk import posts
from server.errors import Deferred
from server.i18n import _
from server.people import identity, membership

JOIN, WAS_IT_YOU = "confirm-post", "was-this-you"
AN_HOUR = 200  # of one forum and kind, to addresses that nobody vouched for


def may_ask(tx: Connection, question: str, forum: Row[Any], who: identity.Known, asked_since: int, now: int) -> bool:
    """Whether the address was not asked since then. Raises Deferred where very many were asked this hour."""
    if letters.recent(tx, question, who.address_id, forum.id, asked_since):
        return False
    if letters.asked(tx, question, forum.id, now - clock.HOUR) >= AN_HOUR:
        raise Deferred(
            _("Very many newcomers write to {forum} right now: please try again later.").format(forum=forum.slug)
        )
    return True


def has_history(tx: Connection, forum: Row[Any], inbound: NewPost, who: identity.Known) -> bool:
    """Whether the address is one that we know to be somebody's here: it wrote before, or is a member's who proved it."""
    if inbound.spam is not Spam.NO or inbound.automatic or not who.address_id:
        return False
    if posts.has_posted_from(tx, forum.id, who.address_id):
        return True
    member = membership.of(tx, who.person_id, forum.id)
    return member is not None and member.state == "active" and identity.is_verified(tx, who.address_id)


def was_it_you(
    tx: Connection,
    forum: Row[Any],
    inbound: NewPost,
    who: identity.Known,
    name: str,
    subject: str,
    answers: str | None,
    now: int,
) -> None:
    """Ask, unless they were asked today or very many were this hour; a moderator decides then."""
    since = now - letters.ONCE_IN
    if letters.recent(tx, WAS_IT_YOU, who.address_id, forum.id, since):
        return
    if letters.asked(tx, WAS_IT_YOU, forum.id, now - clock.HOUR) < AN_HOUR:
        ask(tx, WAS_IT_YOU, forum, inbound, who, name, subject, answers, now)


def ask(
    tx: Connection,
    question: str,
    forum: Row[Any],
    inbound: NewPost,
    who: identity.Known,
    name: str,
    subject: str,
    answers: str | None,
    now: int,
) -> None:
    """Send the question about the held post H-xxxx."""
    data = {"subject": subject, "thing": forum.id, "address_id": who.address_id, "held": name, "in_reply_to": answers}
    letters.notice(
        tx,
        address_id=who.address_id,
        channel=inbound.author.channel,
        template=question,
        data=data,
        forum_id=forum.id,
        now=now,
    )
