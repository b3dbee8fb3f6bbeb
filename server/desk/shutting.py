"""Shutting out and letting in again: one way to ban and one to lift, whoever asks for it and by whatever command.

A ban is a row of `bans`, and ends the memberships that it covers, so that nothing more is sent to them; lifting takes both back. Who is
shut out is `moderation.bans.is_shut_out`, and asked at every door.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge
from server.delivery import outbox
from server.desk import decide, forums, posts
from server.errors import CommandError, Rejected
from server.i18n import _
from server.moderation import audit, bans
from server.people import identity, membership


def ban(tx: Connection, forum_id: int | None, kind: str, value: str, reason: str, actor: str, now: int) -> bool:
    """Ban it, in all forums where `forum_id` is None; members whom it covers are members no more. False: banned already.

    Raises CommandError, and does nothing, where it covers somebody who looks after a forum.
    """
    covered = _covered(tx, forum_id, [(kind, value)])
    for row in covered:
        if membership.moderates(row):
            person = identity.person(tx, row.person_id)
            raise CommandError(
                _("{name} looks after {forum}, and who does is not banned from it: take the role away first.").format(
                    name=person.name or person.key, forum=forums.by_id(tx, row.forum_id).slug
                )
            )
    added = bans.add(tx, forum_id, kind, value, reason, actor, now)
    if added:
        audit.record(tx, actor, "ban", kind, now, forum_id=forum_id, detail=reason)
        _doors(tx, forum_id, now)
    for row in covered:
        if row.state != "banned":
            _becomes(tx, row, "banned", now)
    return added


def lift(tx: Connection, forum_id: int | None, value: str, actor: str, now: int) -> bool:
    """End the ban of exactly this in the forum (None: the one in all); of an address, those of all its person's addresses.

    Whom no other ban covers may join again. False: there is no such ban.
    """
    lifted = bans.remove(tx, forum_id, {value, *identity.beside(tx, value)})
    for row in _covered(tx, forum_id, lifted):
        if row.state == "banned" and not bans.covering(tx, row.forum_id, _theirs(tx, row.person_id)):
            _becomes(tx, row, "left", now)
    if lifted:
        _doors(tx, forum_id, now)
        audit.record(tx, actor, "unban", lifted[0][0], now, forum_id=forum_id)
    return bool(lifted)


def ban_author(tx: Connection, name: str, actor: str, now: int) -> None:
    """Shut the author of the held post out of its forum. Raises NotFound; CommandError for who looks after the forum.

    Also for a member in whose name anybody may have written: who forges mail must not have others shut out.
    """
    row = decide.waiting(tx, name)
    post = posts.get(tx, row.post_id)
    member = membership.of(tx, post.person_id, row.forum_id) if post.person_id is not None else None
    if membership.is_active(member) and post.proof < bridge.Proof.AUTHENTICATED:
        raise CommandError(_("Nothing shows that this member wrote it, so they are not banned."))
    if post.person_id is not None:
        ban_person(tx, row.forum_id, post.person_id, name, actor, now)


def ban_person(tx: Connection, forum_id: int, person_id: int, reason: str, actor: str, now: int) -> None:
    """Ban every address of the person in the forum. Raises CommandError for who looks after it."""
    for address in _theirs(tx, person_id):
        ban(tx, forum_id, bans.ADDRESS, address, reason, actor, now)


def let_in(tx: Connection, forum_id: int, person_id: int, actor: str, now: int) -> None:
    """Lift what `ban_person` made. Raises CommandError where a ban in all forums, or of a domain or a pattern, covers them still."""
    theirs = _theirs(tx, person_id)
    for address in theirs:
        lift(tx, forum_id, address, actor, now)
    still = [row.value for row in bans.covering(tx, forum_id, theirs)]
    if still:
        raise CommandError(
            _("They are banned more widely too: lift that first, by `junto ban remove` of {bans}.").format(
                bans=", ".join(still)
            )
        )
    member = membership.of(tx, person_id, forum_id)
    if member is not None and member.state == "banned":
        _becomes(tx, member, "left", now)


def refuse_banned(tx: Connection, forum_id: int, known: identity.Known, address: str) -> None:
    """Raise Rejected for somebody whom an operator wants to take in, and who is shut out."""
    if bans.is_shut_out(tx, forum_id, known.person_id):
        raise Rejected("5.7.1", _("{address} is banned from the forum.").format(address=address))


def _doors(tx: Connection, forum_id: int | None, now: int) -> None:
    """Rooms are told, also of who never was a member."""
    for each in [forum_id] if forum_id is not None else [row.id for row in forums.all_forums(tx)]:
        outbox.kept_changed(tx, "state", each, now)


def _theirs(tx: Connection, person_id: int) -> list[str]:
    return [row.address for row in identity.addresses_of(tx, [person_id])]


def _covered(tx: Connection, forum_id: int | None, what: Sequence[tuple[str, str]]) -> list[Row[Any]]:
    """The memberships in the forum (None: in all) that bans of these kinds and values cover, each once."""
    found: dict[int, Row[Any]] = {}
    for kind, value in what:
        for row in membership.addressed(tx, forum_id, "" if kind == bans.PATTERN else value):
            if bans.covers(kind, value, row.address):
                found.setdefault(row.id, row)
    return list(found.values())


def _becomes(tx: Connection, member: Row[Any], state: str, now: int) -> None:
    membership.set_member(tx, member.forum_id, member.person_id, {"state": state})
    forums.changed(tx, member.forum_id, "member", member.person_id, now)
