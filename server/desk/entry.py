"""Being let in where moderators decide who joins (`join=approval`): somebody asks, a moderator says yes or no, who asked is told.

Who asks has proved who they are. Moderators answer as they do about held posts: by mail (`act`), on a page, by a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, clock
from server.bridge import Accepted, Act, Held
from server.delivery import letters
from server.desk import Desk, announce, answers, forums, reports
from server.errors import CommandError
from server.i18n import _, speaking
from server.moderation import audit, entry, words
from server.people import membership

TEMPLATE = "asks-in"
REPORTS_AN_HOUR = 20  # of one forum; who asks beyond that is in `junto member list`
ADMIT, TURN_AWAY = "admit", "turn away"


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid token's notice: the moderator who answers, and who asks to come in (None: that is decided)."""

    by: answers.Asked
    person_id: int
    waiting: Row[Any] | None


def ask(
    tx: Connection,
    desk: Desk,
    forum: Row[Any],
    person_id: int,
    address_id: int | None,
    mailbox_id: int | None,
    mode: str,
    said: str,
) -> Held:
    """The person asks to be let in. They wait, told at `address_id`; moderators are asked, once until one of them decides."""
    now = desk.now()
    member_id = membership.asks(tx, forum.id, person_id, now)
    new = entry.ask(tx, member_id, address_id, mailbox_id, mode, said, now)
    announce.show(tx, desk, announce.ENTRY, member_id, forum.id)
    if new:
        forums.changed(tx, forum.id, "member", person_id, now)
        if letters.sent(tx, (TEMPLATE,), forum.id, now - clock.HOUR) < REPORTS_AN_HOUR:
            for moderator in reports.moderators(tx, desk, forum.id):
                letters.notice(tx, moderator, TEMPLATE, forum.id, {"entrant": person_id, "role": "moderator"}, now)
        _tell(tx, desk, forum, address_id, "waits-to-enter", {})
    return Held(
        "", _("You asked to join {forum}: one of its moderators decides, and you are told.").format(forum=forum.title)
    )


def admit(tx: Connection, desk: Desk, forum: Row[Any], person_id: int, actor: str) -> bool:
    """Let the person in and tell them; False where they do not wait (any more)."""
    row = _taken(tx, forum, person_id)
    if row is None:
        return False
    membership.join(tx, forum.id, person_id, row.mailbox_id, desk.now(), mode=row.mode)
    _decided(tx, desk, forum, person_id, actor, ADMIT)
    _tell(tx, desk, forum, row.address_id, "welcome" if row.mailbox_id is not None else "let-in", {"mode": row.mode})
    return True


def turn_away(tx: Connection, desk: Desk, forum: Row[Any], person_id: int, actor: str, reason: str) -> bool:
    """Do not let the person in, and tell them; False as in `admit`."""
    row = _taken(tx, forum, person_id)
    if row is None:
        return False
    membership.leave(tx, forum.id, person_id)
    _decided(tx, desk, forum, person_id, actor, TURN_AWAY, reason)
    _tell(tx, desk, forum, row.address_id, "not-let-in", {"reason": reason})
    return True


def _taken(tx: Connection, forum: Row[Any], person_id: int) -> Row[Any] | None:
    forums.lock(tx, forum.id)  # of two who decide at once one comes too late
    row = entry.of(tx, forum.id, person_id)
    if row is not None:
        entry.done(tx, row.membership_id)
    return row


def _decided(
    tx: Connection, desk: Desk, forum: Row[Any], person_id: int, actor: str, verb: str, reason: str = ""
) -> None:
    now = desk.now()
    forums.changed(tx, forum.id, "member", person_id, now)
    member = membership.of(tx, person_id, forum.id)
    assert member is not None
    announce.show(tx, desk, announce.ENTRY, member.id, forum.id)
    audit.record(tx, actor, verb, f"person:{person_id}", now, forum_id=forum.id, detail=reason)


def _tell(
    tx: Connection, desk: Desk, forum: Row[Any], address_id: int | None, template: str, facts: dict[str, str]
) -> None:
    if address_id is not None:
        letters.notice(tx, address_id, template, forum.id, facts, desk.now())


# Answers --------------------------------------------------------------------------------------------------------------
def asked(tx: Connection, desk: Desk, token: str) -> Asked | None:
    """What the token is about; None if it is none, or no longer one. Raises Rejected for a moderator who is none any more."""
    found = answers.asked_of(tx, desk, TEMPLATE, token)
    if found is None:
        return None
    by, data = found
    person_id = int(data["entrant"])
    return Asked(by, person_id, entry.of(tx, by.forum.id, person_id))


def act(tx: Connection, desk: Desk, inbound: Act) -> Accepted | None:
    """A moderator's answer by mail; None where its token is no such one."""
    found = asked(tx, desk, inbound.token or "")
    if found is None or found.by.forum.slug != inbound.forum.lower():
        return None
    answers.refuse_others(tx, found.by, inbound.author)
    with speaking(found.by.language):
        verdict = words.read(inbound.words, [_("they")], found.by.language)
        if isinstance(verdict, words.Unclear):
            why = _("{why} Please begin with “approve” or “reject”.").format(why=verdict.why)
        elif verdict.verb not in (words.APPROVE, words.REJECT):
            why = _("Who asks to join is let in (“approve”) or not (“reject”).")
        else:
            return _confirm(tx, desk, found, inbound, decided_on(tx, desk, found, verdict.verb, verdict.reason))
        return _confirm(tx, desk, found, inbound, _("{why} So nothing was done.").format(why=why))


def decided_on(tx: Connection, desk: Desk, found: Asked, verb: str, reason: str = "") -> str:
    """Let them in or not; a sentence on what is now, in the language that is spoken."""
    actor, forum = f"person:{found.by.person_id}", found.by.forum
    name = (found.waiting.name or found.waiting.address) if found.waiting is not None else ""
    if verb == words.APPROVE and admit(tx, desk, forum, found.person_id, actor):
        return _("{name} is a member of {forum} now.").format(name=name, forum=forum.title)
    if verb == words.REJECT and turn_away(tx, desk, forum, found.person_id, actor, reason):
        return _("{name} was not let into {forum}, and is told so.").format(name=name, forum=forum.title)
    return already(tx, found)


def already(tx: Connection, found: Asked) -> str:
    """Who decided on somebody who does not wait any more, and what."""
    done = audit.latest(tx, found.by.forum.id, f"person:{found.person_id}", (ADMIT, TURN_AWAY))
    if done is None:
        return _("They do not wait any more.")
    who = answers.decider(tx, done.actor, found.by)
    said = _("They were let in by {who} already.") if done.verb == ADMIT else _("They were not let in, by {who}.")
    return said.format(who=who)


def _confirm(tx: Connection, desk: Desk, found: Asked, inbound: Act, lines: str) -> Accepted:
    facts = {
        "entrant": found.person_id,
        "role": "moderator",
        "lines": lines,
        "in_reply_to": bridge.message_id(inbound.ref),
    }
    letters.notice(tx, found.by.address_id, "entry-verdict", found.by.forum.id, facts, desk.now())
    return Accepted()


# Commands -------------------------------------------------------------------------------------------------------------
def decide(
    tx: Connection, desk: Desk, forum: Row[Any], person_id: int, verb: str, actor: str, reason: str = ""
) -> None:
    """As an operator says it. Raises CommandError for somebody who does not wait."""
    let_in = verb == words.APPROVE
    done = admit(tx, desk, forum, person_id, actor) if let_in else turn_away(tx, desk, forum, person_id, actor, reason)
    if not done:
        raise CommandError(_("They did not ask to join {forum}, or it is decided.").format(forum=forum.slug))
