"""What a member chooses: of themselves, of their membership, and of how posts reach them. Writes nothing by itself; the rows are
membership's, subscriptions' and identity's.

Digests begin with the next post and end with one that holds the rest, so that a change of mode skips nothing and doubles nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from server.delivery import digests, health
from server.desk import Desk, shutting
from server.errors import NotFound
from server.i18n import _
from server.people import identity, membership, subscriptions
from server.people.options import Wanted
from server.people.schedule import DIGESTS, gets_digests


def apply(
    tx: Connection, desk: Desk, forum_id: int, person_id: int, mailbox: Row[Any] | None, wanted: Wanted, actor: str
) -> None:
    """Set all of it, whoever asked. Who chooses how mail comes wants it: what was stopped comes again. Raises NotFound for no member."""
    now = desk.now()
    if wanted.membership:
        membership.set_member(tx, forum_id, person_id, wanted.membership)
    if wanted.banned is not None:
        _ban(tx, forum_id, person_id, mailbox, wanted.banned, actor, now)
    if mailbox is not None:
        resumes = "mode" in wanted.subscription or wanted.banned is False
        if mailbox.state == "stopped" and resumes:
            health.resume(tx, mailbox, actor, now)
        if wanted.subscription:
            set_subscription(tx, mailbox.id, wanted.subscription, now)
    if wanted.new_via:
        membership.renew_via(tx, desk.secret, forum_id, person_id, now)
    if wanted.person:
        set_person(tx, person_id, wanted.person, now)
    if wanted.name is not None:
        identity.rename(tx, person_id, wanted.name)


def _ban(
    tx: Connection, forum_id: int, person_id: int, mailbox: Row[Any] | None, banned: bool, actor: str, now: int
) -> None:
    """Shut a member out, or let them in again: a member as before, who gets mail as before."""
    if membership.of(tx, person_id, forum_id) is None:
        raise NotFound(_("This person is no member of the forum."))
    if banned:
        shutting.ban_person(tx, forum_id, person_id, "", actor, now)
        return
    shutting.let_in(tx, forum_id, person_id, actor, now)
    if not membership.is_active(membership.of(tx, person_id, forum_id)):
        address_id, mode = (mailbox.address_id, mailbox.mode) if mailbox is not None else (None, "each")
        membership.join(tx, forum_id, person_id, address_id, now, mode=mode)


def set_subscription(tx: Connection, subscription_id: int, values: Mapping[str, Any], now: int) -> None:
    """Set columns of a subscription as its member wants them."""
    before = subscriptions.by_id(tx, subscription_id)
    mode, talk = values.get("mode", before.mode), values.get("conversations", before.conversations)
    had, has = gets_digests(before.mode, before.conversations), gets_digests(mode, talk)
    others = (mode in DIGESTS) != (before.mode in DIGESTS)  # of everything, or of talk alone
    if had and (others or not has):
        digests.end(tx, subscription_id, now, wanted=mode != "none")
    subscriptions.change(tx, subscription_id, values)
    if has and (others or not had):
        subscriptions.digests_begin(tx, subscription_id, now)
    elif has and not {"mode", "digest_hour", "digest_day"}.isdisjoint(values):
        _reschedule(tx, subscription_id, now)


def set_person(tx: Connection, person_id: int, values: Mapping[str, Any], now: int) -> None:
    """Set columns of a person as they want them; in a new time zone their digests come at the same hour of it."""
    identity.set_person(tx, person_id, values)
    if "timezone" in values:
        for row in subscriptions.digests_of(tx, person_id):
            subscriptions.digested(tx, row.id, row.digest_seq, subscriptions.next_digest(row, now))


def _reschedule(tx: Connection, subscription_id: int, now: int) -> None:
    row = subscriptions.digest_row(tx, subscription_id)
    subscriptions.digested(tx, subscription_id, row.digest_seq, subscriptions.next_digest(row, now))
