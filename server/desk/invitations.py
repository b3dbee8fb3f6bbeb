"""Asking somebody to join: a notice whose answer is their consent. Writes nothing by itself; its rows are membership's and letters'."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server.delivery import letters
from server.people import membership
from server.people.identity import Known

TEMPLATE = "invite"


def invite(tx: Connection, forum: Row[Any], who: Known, now: int, mode: str = "each", role: str = "member") -> bool:
    """Book an invitation to the address of `who`; False for somebody who is a member, or was asked within a day.

    `forum` is a row of `desk.forums.find`.
    """
    member = membership.of(tx, who.person_id, forum.id)
    if membership.is_active(member):
        return False
    membership.invited(tx, forum.id, who.person_id, role, now)
    if letters.recent(tx, TEMPLATE, who.address_id, forum.id, now - letters.ONCE_IN):
        return False
    letters.notice(tx, who.address_id, TEMPLATE, forum.id, {"mode": mode, "name": forum.community_name}, now)
    return True
