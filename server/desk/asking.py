"""What a forum writes to one address by itself: questions and answers, so many and no more. A subscription bomb ends here.

Whoever claims an address, or writes it into a mail, can make us write to it: so one that does not answer is asked the same once a day, a
forum asks so many in an hour, and a "was this you?" goes only to those who have a history here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.bridge import NewPost, Spam
from server.delivery import letters
from server.desk import forums, posts
from server.errors import Deferred
from server.i18n import _
from server.moderation import audit
from server.people import identity, membership

JOIN, LEAVE, WORDS = "confirm-join", "confirm-leave", "confirm-words"
POST, WAS_IT_YOU = "confirm-post", "was-this-you"  # about a post that waits: join and publish it? was this you?
LINK = "confirm-link"  # are you the same person as they at another address?
QUESTIONS = (JOIN, LEAVE, WORDS, POST, WAS_IT_YOU, LINK)
QUESTIONS_AN_HOUR = 200  # of one forum, all addresses together
QUESTIONS_A_DAY = 10  # of one kind, to an address that answers them
ANSWERS = ("answer", "help", "no-member")  # of these together an address that proves nothing gets one a day

Facts = Mapping[str, Any]


# Questions ------------------------------------------------------------------------------------------------------------
def may_ask(tx: Connection, forum: Row[Any], question: str, who: identity.Known, now: int) -> bool:
    """Whether no question of the kind waits for the address's answer. Raises Deferred where the forum asks too many."""
    today = now - letters.ONCE_IN
    asked = letters.latest(tx, question, who.address_id, forum.id, today)
    if asked is not None and (
        asked.created_at >= _proved_at(tx, forum, who.person_id)
        or letters.sent(tx, (question,), forum.id, today, who.address_id) >= QUESTIONS_A_DAY
    ):
        return False
    _refuse_many(tx, forum, now)
    return True


def _proved_at(tx: Connection, forum: Row[Any], person_id: int) -> int:
    """When the person showed last that they read what is sent to them: they answered a question, or became a member."""
    member = membership.of(tx, person_id, forum.id)
    joined = member.joined_at if member is not None and member.state in ("active", "left") else 0
    return max(joined, audit.last_at(tx, f"person:{person_id}", "confirm", forum.id))


def ask(tx: Connection, forum: Row[Any], question: str, who: identity.Known, facts: Facts, now: int) -> bool:
    """Send the question, at most once a day, address and forum, until it is answered. Raises Deferred where the forum asks too many."""
    forums.lock(tx, forum.id)  # of two requests at one moment only one is the first
    if not may_ask(tx, forum, question, who, now):
        return False
    letters.notice(tx, who.address_id, question, forum.id, facts, now)
    return True


def was_it_you(tx: Connection, forum: Row[Any], inbound: NewPost, who: identity.Known, facts: Facts, now: int) -> None:
    """Ask the author of a held post, unless they were asked today, or very many were this hour; a moderator decides then."""
    asked = letters.recent(tx, WAS_IT_YOU, who.address_id, forum.id, now - letters.ONCE_IN)
    if not asked and not _asks_many(tx, forum, now) and _has_history(tx, forum, inbound, who):
        letters.notice(tx, who.address_id, WAS_IT_YOU, forum.id, facts, now)


def _refuse_many(tx: Connection, forum: Row[Any], now: int) -> None:
    if _asks_many(tx, forum, now):
        raise Deferred(
            _("Very many people write to {forum} right now: please try again later.").format(forum=forum.slug)
        )


def _asks_many(tx: Connection, forum: Row[Any], now: int) -> bool:
    return letters.sent(tx, QUESTIONS, forum.id, now - clock.HOUR) >= QUESTIONS_AN_HOUR


def _has_history(tx: Connection, forum: Row[Any], inbound: NewPost, who: identity.Known) -> bool:
    """Whether the address is one that we know to be somebody's here: it wrote before, or is a member's who proved it."""
    if inbound.spam is not Spam.NO or inbound.automatic or not who.address_id:
        return False
    if posts.has_posted_from(tx, forum.id, who.address_id):
        return True
    member = membership.of(tx, who.person_id, forum.id)
    return membership.is_active(member) and identity.is_verified(tx, who.address_id)


# Answers --------------------------------------------------------------------------------------------------------------
def tell_once(
    tx: Connection,
    forum: Row[Any],
    template: str,
    address_id: int,
    facts: Facts,
    now: int,
    once_in: int = letters.ONCE_IN,
) -> None:
    """Send the words, unless the address was answered within that time."""
    forums.lock(tx, forum.id)
    alike = ANSWERS if template in ANSWERS and once_in == letters.ONCE_IN else (template,)
    if not letters.sent(tx, alike, forum.id, now - once_in, address_id):
        letters.notice(tx, address_id, template, forum.id, facts, now)
