"""Questions that were answered before: what came of them, as it is now. Reads only.

Who presses a button twice, or answers a mail after the button, is told how it stands, and never that they came too late for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from server.desk import asking
from server.i18n import _
from server.moderation import entry
from server.people import handles, identity, membership


def now(tx: Connection, forum: Row[Any], facts: Mapping[str, Any]) -> str:
    """How it stands with what the question was about, as a sentence."""
    question, person_id = facts["template"], identity.person_at(tx, int(facts["address_id"]))
    member = membership.is_active(membership.of(tx, person_id, forum.id))
    if question == asking.LEAVE:
        if member:
            return _("You answered this before. You are a member of {forum} again since then.").format(
                forum=forum.title
            )
        return _("You left {forum} already: it is not sent to this address any more.").format(forum=forum.title)
    if question in (asking.JOIN, asking.POST, "invite"):
        if member:
            return _("You are a member of {forum} already.").format(forum=forum.title)
        if entry.of(tx, forum.id, person_id) is not None:
            return _("You asked to join {forum}: one of its moderators decides, and you are told.").format(
                forum=forum.title
            )
        return _("You answered this before. You are no member of {forum} any more; to come back, join again.").format(
            forum=forum.title
        )
    return _("You answered this before, and it was done then.")


def question(tx: Connection, forum: Row[Any], token: str) -> Mapping[str, Any] | None:
    """What a question of the forum was about that was answered before; None for any other token."""
    grant = handles.spent(tx, "confirm", token)
    return grant.data if grant is not None and grant.thing_id == forum.id else None
