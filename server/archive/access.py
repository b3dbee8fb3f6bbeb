"""Who may see and do what in a forum. Pure: no statement, no time. Every way to a post asks here first.

What one may not see does not exist: callers turn a refused "read" into `NotFound`, never into "forbidden".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Row

from server.bridge import Proof
from server.desk import policy
from server.errors import NotFound
from server.i18n import gettext as _
from server.people.membership import MODERATORS

Act = Literal["read", "join", "post", "moderate"]


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. `roles` holds active memberships only (forum id to member, moderator or owner)."""

    person_id: int | None = None
    roles: Mapping[int, str] = field(default_factory=dict)
    banned: frozenset[int] = frozenset()
    name: str = ""

    def moderates(self, forum_id: int) -> bool:
        """Whether they look after the forum."""
        return self.roles.get(forum_id) in MODERATORS


STRANGER = Viewer()
"""A reader without an account."""


def may(viewer: Viewer, act: Act, forum: Row[Any]) -> str | None:
    """None: yes. Else one sentence that says why not, fit to be shown to one who may read."""
    if forum.visibility != "public" and forum.id not in viewer.roles:
        return _("There is no such forum.")
    if act == "read":
        return None
    if act == "moderate":
        return None if viewer.moderates(forum.id) else _("Only moderators of this forum may do that.")
    if viewer.person_id is None:
        return _("Please sign in first.")
    role = viewer.roles.get(forum.id)
    state = "banned" if forum.id in viewer.banned else "active" if role else None
    if act == "join":
        return _("You are a member already.") if role else policy.refuses_to_join(forum, state)
    facts = policy.Facts(
        forum.title,
        forum.join_policy,
        forum.post_policy,
        forum.state,
        Proof.SESSION,
        strangers=forum.strangers,
        role=role,
        state=state,
    )
    decision = policy.decide(facts)
    return decision.reason if isinstance(decision, policy.Refuse) else None


def ask(viewer: Viewer, forum: Row[Any] | None) -> Row[Any]:
    """The forum if it exists for this viewer. Raises NotFound otherwise, the same for both reasons."""
    if forum is None or may(viewer, "read", forum) is not None:
        raise NotFound(_("There is no such forum."))
    return forum


def may_see_bytes(viewer: Viewer, forum: Row[Any], author_id: int | None) -> bool:
    """Whether a post's received bytes are shown as they came, addresses and all: to its author and to moderators."""
    own = viewer.person_id is not None and viewer.person_id == author_id
    return own or viewer.moderates(forum.id)
