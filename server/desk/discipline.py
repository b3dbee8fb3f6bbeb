"""What is done to somebody in a room, and what that means for their membership: banned, let in again, put out, silenced.

In the forum it counts when who did it looks after the forum; whoever else may do such things in the room ends what is of the room alone,
and who looks after the forum is told. What the forum decides is carried to rooms by their state (`desk.rooms`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import clock
from server.bridge import Accepted, Discipline, Proof, Result
from server.delivery import letters
from server.desk import Desk, author, entry, forums, reports, shutting
from server.errors import CommandError, Rejected
from server.i18n import _, speaking
from server.moderation import audit, bans
from server.people import identity, membership, subscriptions

BAN, UNBAN, KICK, MUTE, UNMUTE, ADMIT = "ban", "unban", "kick", "mute", "unmute", "admit"
VERBS = (BAN, UNBAN, KICK, MUTE, UNMUTE, ADMIT)
TEMPLATE = "room-act"
TOLD_AN_HOUR = 10
"""Acts of others in a forum's rooms that its moderators are written of."""


def discipline(tx: Connection, desk: Desk, inbound: Discipline) -> Result:
    """Do in the forum what was done in its room. Raises Rejected where that cannot be, with the reason for who did it."""
    forum = forums.addressed(tx, inbound.forum)
    forums.lock(tx, forum.id)
    if inbound.verb not in VERBS:
        raise Rejected("5.5.0", _("There is no such act."))
    who = author.find(tx, inbound.author)
    known = identity.find(tx, inbound.author.channel, inbound.address)
    if who is None or not _looks_after(tx, forum.id, who, inbound.author.proof):
        return _by_another(tx, desk, forum, inbound, known)
    if known is not None and known.person_id == who.person_id:
        return Accepted()
    try:
        _do(tx, desk, forum, inbound, known, f"person:{who.person_id}")
    except CommandError as problem:
        raise Rejected("5.7.1", str(problem)) from None
    return Accepted()


def _looks_after(tx: Connection, forum_id: int, who: identity.Known, proof: Proof) -> bool:
    moderates = membership.moderates(membership.of(tx, who.person_id, forum_id))
    return moderates and proof >= Proof.SESSION and not bans.is_shut_out(tx, forum_id, who.person_id)


def _do(
    tx: Connection, desk: Desk, forum: Row[Any], inbound: Discipline, known: identity.Known | None, actor: str
) -> None:
    now, verb, reason = desk.now(), inbound.verb, inbound.reason.strip()[:500]
    if verb == BAN and known is None:
        shutting.ban(tx, forum.id, bans.ADDRESS, inbound.address, reason, actor, now)
    elif verb == BAN and known is not None:
        shutting.ban_person(tx, forum.id, known.person_id, reason, actor, now)
    elif verb == UNBAN and known is None:
        shutting.lift(tx, forum.id, inbound.address, actor, now)
    elif verb == UNBAN and known is not None:
        shutting.let_in(tx, forum.id, known.person_id, actor, now)
    elif known is not None:
        _to_member(tx, desk, forum, inbound, known.person_id, actor, reason)


def _to_member(
    tx: Connection, desk: Desk, forum: Row[Any], inbound: Discipline, person_id: int, actor: str, reason: str
) -> None:
    """Raises CommandError for who looks after the forum: their role is taken away first."""
    member, now = membership.of(tx, person_id, forum.id), desk.now()
    if member is not None and member.state == "pending" and inbound.verb in (KICK, ADMIT):
        if inbound.verb == ADMIT:
            entry.admit(tx, desk, forum, person_id, actor)
        else:
            entry.turn_away(tx, desk, forum, person_id, actor, reason)
        return
    if not membership.is_active(member) or inbound.verb == ADMIT:
        return
    if membership.moderates(member):
        raise CommandError(_("They look after {forum}: take that role away first.").format(forum=forum.slug))
    if inbound.verb == KICK:
        membership.leave(tx, forum.id, person_id)
    else:
        membership.set_member(tx, forum.id, person_id, {"may_post": inbound.verb == UNMUTE})
    forums.changed(tx, forum.id, "member", person_id, now)
    detail = " ".join(filter(None, (inbound.author.channel, reason)))
    audit.record(tx, actor, inbound.verb, f"person:{person_id}", now, forum.id, detail)


def _by_another(
    tx: Connection, desk: Desk, forum: Row[Any], inbound: Discipline, known: identity.Known | None
) -> Result:
    """The room's own business: who was in the forum only by the room is there no more, and moderators hear of it."""
    if inbound.verb not in (BAN, KICK, MUTE) or known is None:
        return Accepted()
    member, now = membership.of(tx, known.person_id, forum.id), desk.now()
    only_here = not subscriptions.has_any(tx, forum.id, known.person_id) and not membership.moderates(member)
    if inbound.verb != MUTE and membership.is_active(member) and only_here:
        membership.leave(tx, forum.id, known.person_id)
        forums.changed(tx, forum.id, "member", known.person_id, now)
    if letters.sent(tx, (TEMPLATE,), forum.id, now - clock.HOUR) < TOLD_AN_HOUR:
        for address_id in reports.moderators(tx, desk, forum.id):
            _channel, language = identity.reader(tx, address_id)
            with speaking(language):
                facts = {"what": _what(inbound, known), "reason": inbound.reason.strip()[:500]}
            letters.notice(tx, address_id, TEMPLATE, forum.id, facts, now)
    return Accepted()


def _what(inbound: Discipline, known: identity.Known) -> str:
    did = {BAN: _("{who} banned {whom}"), KICK: _("{who} put {whom} out"), MUTE: _("{who} silenced {whom}")}
    whom = f"{known.name} ({inbound.address})" if known.name else inbound.address
    by = f"{inbound.author.name} ({inbound.author.address})" if inbound.author.name else inbound.author.address
    return did[inbound.verb].format(who=by, whom=whom)
