"""Published posts that members report to who looks after the forum: told at once, what comes within ten minutes in one mail, decided once.

How often one member may is limited; who reported it is told to moderators alone. Their words: `delivery.flagged`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.bridge import Accepted, Duplicate, Flag, Proof, Result
from server.delivery import letters
from server.desk import Desk, announce, answers, author, change, forums, place, posts, reports, shutting
from server.errors import CommandError, Rejected
from server.i18n import _
from server.moderation import audit, flags, words
from server.people import membership

TEMPLATE = "flagged"
A_DAY = 10
"""Reports of one member in a forum."""


def flag(tx: Connection, desk: Desk, inbound: Flag) -> Result:
    """Take a report. Raises Rejected for somebody who is no member, and for more than a few a day."""
    forum, now = forums.addressed(tx, inbound.forum), desk.now()
    forums.lock(tx, forum.id)
    who = author.find(tx, inbound.author)
    author.refuse_shut_out(tx, forum, inbound.author, who)
    if who is None or inbound.author.proof < Proof.SESSION or not _is_member(tx, who.person_id, forum.id):
        raise Rejected("5.7.1", _("Only members of {forum} can report a post.").format(forum=forum.title))
    target = place.find(tx, forum.id, [inbound.target])
    if target is None or target.state != "published":
        raise Rejected("5.5.0", _("There is no such post here (any more)."))
    if flags.count(tx, forum.id, who.person_id, now - clock.DAY) >= A_DAY:
        raise Rejected(
            "5.7.1", _("You reported {count} posts within a day: please write to the owners.").format(count=A_DAY)
        )
    new = flags.add(tx, forum.id, target.post_id, target.part, who.person_id, inbound.reason, now)
    if new is None:
        return Duplicate(f"{forum.slug}/{target.seq}")
    announce.show(tx, desk, announce.REPORT, new, forum.id)
    report(tx, desk, forum, now)
    return Accepted(
        f"{forum.slug}/{target.seq}", _("Who looks after {forum} is told. Thank you.").format(forum=forum.title)
    )


def _is_member(tx: Connection, person_id: int, forum_id: int) -> bool:
    return membership.is_active(membership.of(tx, person_id, forum_id))


def report(tx: Connection, desk: Desk, forum: Row[Any], now: int) -> None:
    """Write to the forum's moderators of what is new, unless the last such mail is not ten minutes old: then `sweep` does."""
    if letters.sent(tx, (TEMPLATE,), forum.id, now - reports.GATHER_MS + 1):
        return
    ids = [row.id for row in flags.unreported(tx, forum.id, reports.POSTS)]
    receivers = reports.moderators(tx, desk, forum.id) if ids else []
    for address_id in receivers:
        letters.notice(tx, address_id, TEMPLATE, forum.id, {"flags": ids}, now)
    if receivers:
        flags.reported(tx, ids, now)


def sweep(tx: Connection, desk: Desk) -> None:
    """Write of what was gathered."""
    for forum_id in flags.forums_to_report(tx):
        forums.lock(tx, forum_id)
        report(tx, desk, forums.by_id(tx, forum_id), desk.now())


def decided_on(tx: Connection, desk: Desk, by: answers.Asked, flag_id: int, verb: str, reason: str = "") -> str:
    """The post stays, or is taken back, or its author is shut out too; a sentence on what is now. Raises Rejected for no report."""
    forums.lock(tx, by.forum.id)
    row = flags.find(tx, flag_id)
    if row is None or row.forum_id != by.forum.id:
        raise Rejected("5.5.0", _("There is no such report."))
    post, actor, now = posts.get(tx, row.post_id), f"person:{by.person_id}", desk.now()
    title = f"{by.forum.slug}/{post.seq}"
    if row.state != flags.OPEN:
        return _("{post}: that is decided already.").format(post=title)
    stays = verb == words.APPROVE
    ended = flags.decide(tx, row.post_id, row.part, flags.DISMISSED if stays else flags.UPHELD, actor, now)
    for each in ended:
        announce.show(tx, desk, announce.REPORT, each, by.forum.id)
    audit.record(tx, actor, "dismiss" if stays else "retract", title, now, by.forum.id, reason)
    if stays:
        return _("{post} stays.").format(post=title)
    banned = _banned(tx, by, row.post_id, row.part, actor, now) if verb == words.BAN else ""
    if change.withdraw(tx, desk, by.forum, row.post_id, row.part, None, now) is None:
        gone = _("That line is gone from the archive; in its room it stays until you redact it there.")
    else:
        gone = _("{post} is taken back.").format(post=title)
    return " ".join(filter(None, (gone, banned)))


def _banned(tx: Connection, by: answers.Asked, post_id: int, part: int, actor: str, now: int) -> str:
    person_id = change.said_by(tx, post_id, part)
    if person_id is None:
        return _("Nobody knows who wrote it, so nobody is shut out.")
    try:
        shutting.ban_person(tx, by.forum.id, person_id, "", actor, now)
    except CommandError as problem:
        return str(problem)
    return _("Its author can neither post nor join any more.")
