"""What a forum writes to one address by itself: questions and answers, so many and no more. A subscription bomb ends here.

Whoever claims an address can make us write to it; so an address is asked once a day, and a forum asks so many in an hour.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.delivery import letters
from server.desk import Desk, forums
from server.errors import Deferred
from server.i18n import _

ANSWERS = ("answer", "help", "left")  # of these together an address that proves nothing gets one a day
QUESTIONS = ("confirm-join", "confirm-leave", "confirm-words")
QUESTIONS_AN_HOUR = 200  # of one forum, all addresses together


def ask(
    tx: Connection, desk: Desk, forum: Row[Any], channel: str, address_id: int, template: str, more: dict[str, Any]
) -> bool:
    """Send the question, at most once a day, address and forum; False if it was asked already. Raises Deferred where too many are asked."""
    forums.lock(tx, forum.id)  # of two requests at one moment only one is the first
    if letters.recent(tx, template, address_id, forum.id, desk.now() - letters.ONCE_IN):
        return False
    insist(tx, desk, forum, channel, address_id, template, more)
    return True


def insist(
    tx: Connection, desk: Desk, forum: Row[Any], channel: str, address_id: int, template: str, more: dict[str, Any]
) -> None:
    """As `ask`, whatever was asked before."""
    if letters.sent(tx, QUESTIONS, forum.id, desk.now() - clock.HOUR) >= QUESTIONS_AN_HOUR:
        raise Deferred(
            _("Very many people write to {forum} right now: please try again later.").format(forum=forum.slug)
        )
    letters.notice(
        tx,
        address_id=address_id,
        channel=channel,
        template=template,
        data={"address_id": address_id, "thing": forum.id, **more},
        forum_id=forum.id,
        now=desk.now(),
    )


def tell(
    tx: Connection,
    desk: Desk,
    forum: Row[Any],
    channel: str,
    address_id: int,
    template: str,
    more: dict[str, Any] | None = None,
    once_a_day: bool = False,
) -> None:
    """Send the words, or, once a day, only if the address was not answered today."""
    forums.lock(tx, forum.id)
    alike = ANSWERS if template in ANSWERS else (template,)
    if once_a_day and letters.sent(tx, alike, forum.id, desk.now() - letters.ONCE_IN, address_id):
        return
    letters.notice(
        tx,
        address_id=address_id,
        channel=channel,
        template=template,
        data=more or {},
        forum_id=forum.id,
        now=desk.now(),
    )
