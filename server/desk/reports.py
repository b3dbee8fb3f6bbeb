"""Who learns that a post waits: moderators, at once and after a day; its author, where first posts are held, and after three days, if it
is surely theirs.

The first post is reported at once. What comes within ten minutes of a report is gathered into the next one, so that a flood is a mail
in ten minutes. Books notices; decides nothing. Their words: `delivery.waiting`, their answers: `desk.answers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.bridge import WEB, Proof
from server.delivery import letters
from server.desk import Desk, announce, author, forums
from server.moderation import queue
from server.people import membership

GATHER_MS = 10 * clock.MINUTE
REMIND_MS = clock.DAY
TELL_MS = 3 * clock.DAY
POSTS = 25
"""In one report; the others come with the next one."""


def report(tx: Connection, desk: Desk, forum: Row[Any], now: int) -> None:
    """Report what is new to the forum's moderators, unless the last report is not ten minutes old: then `sweep` does."""
    if letters.sent(tx, ("held",), forum.id, now - GATHER_MS + 1):
        return
    rows = queue.unreported(tx, forum.id, POSTS)
    if rows and _book(tx, desk, forum, "held", rows, now):
        queue.note(tx, [row.post_id for row in rows], "reported_at", now)


def waits(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, now: int) -> None:
    """The post waits for the forum's moderators from now on: they are told."""
    announce.show(tx, desk, announce.POST, post_id, forum.id)
    report(tx, desk, forum, now)


def tell_first(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, now: int) -> None:
    """Tell the author of a first post what happens next, and how to take it back."""
    row = queue.entry(tx, post_id)
    if row is not None:
        _tell(tx, desk, forum, "held-first", [row], now)


def tell_waits(tx: Connection, desk: Desk, forum: Row[Any], post_id: int, now: int) -> None:
    """Tell a stranger whose post waits so, if it is surely theirs: whom a forger names is left in peace."""
    row = queue.entry(tx, post_id)
    if row is not None and row.proof >= Proof.AUTHENTICATED:
        _tell(tx, desk, forum, "held-stranger", [row], now)


def sweep(tx: Connection, desk: Desk) -> None:
    """What is due: reports that were gathered, reminders, words to authors."""
    now = desk.now()
    for forum_id in queue.forums_to_report(tx):
        forums.lock(tx, forum_id)
        report(tx, desk, forums.by_id(tx, forum_id), now)
    for forum_id, group in groupby(queue.to_remind(tx, now - REMIND_MS), lambda row: int(row.forum_id)):
        rows = list(group)[:POSTS]
        _book(tx, desk, forums.by_id(tx, forum_id), "held-still", rows, now)
        queue.note(tx, [row.post_id for row in rows], "reminded_at", now)
    by_author = sorted(queue.to_tell(tx, now - TELL_MS), key=lambda row: (row.forum_id, row.author))
    for (forum_id, _author), group in groupby(by_author, lambda row: (int(row.forum_id), str(row.author))):
        rows = list(group)
        theirs = [row for row in rows if row.proof >= Proof.AUTHENTICATED]  # whom a forger names is left in peace
        if theirs:
            _tell(tx, desk, forums.by_id(tx, forum_id), "held-long", theirs[:POSTS], now)
        queue.note(tx, [row.post_id for row in rows], "told_at", now)


def _book(tx: Connection, desk: Desk, forum: Row[Any], template: str, rows: Sequence[Row[Any]], now: int) -> int:
    """A notice for each moderator; how many there are."""
    receivers = moderators(tx, desk, forum.id)
    for address_id in receivers:
        _notice(tx, forum, template, address_id, rows, "moderator", now)
    return len(receivers)


def _tell(tx: Connection, desk: Desk, forum: Row[Any], template: str, rows: Sequence[Row[Any]], now: int) -> None:
    """A notice for the author of these posts, at most once a day and address."""
    address_id = _author_at(tx, desk, rows[0])
    if address_id is None or letters.recent(tx, template, address_id, forum.id, now - letters.ONCE_IN):
        return
    # who wrote by mail finds it beside what they wrote
    answers = rows[0].message_id if rows[0].channel in desk.channels(takes_back=False) else None
    _notice(tx, forum, template, address_id, rows, "author", now, answers)


def _notice(
    tx: Connection,
    forum: Row[Any],
    template: str,
    address_id: int,
    rows: Sequence[Row[Any]],
    role: str,
    now: int,
    answers: str | None = None,
) -> None:
    facts = {"posts": [[row.post_id, row.name] for row in rows], "role": role, "subject": rows[0].subject}
    facts["in_reply_to"] = answers
    letters.notice(tx, address_id, template, forum.id, facts, now)


def moderators(tx: Connection, desk: Desk, forum_id: int) -> list[int]:
    """The id of one address of each who looks after the forum, a mailbox if they have one; where there is nobody, the operator's."""
    chosen: dict[int, Row[Any]] = {}
    for row in membership.owners(tx, forum_id):
        if row.channel in desk.traits:
            before = chosen.get(row.person_id)
            if before is None or (desk.traits[before.channel].takes_back and not desk.traits[row.channel].takes_back):
                chosen[row.person_id] = row
    if chosen:
        return [row.address_id for row in chosen.values()]
    operator = letters.operator(tx, desk)
    return [operator] if operator is not None else []


def _author_at(tx: Connection, desk: Desk, row: Row[Any]) -> int | None:
    """Where the author of a held post is reached: by the way it came, from the web in their mailbox."""
    if row.person_id is None:
        return None
    if row.channel == WEB:
        return author.mailbox(tx, desk, row.person_id)
    return int(row.address_id) if row.channel in desk.traits and row.address_id is not None else None
