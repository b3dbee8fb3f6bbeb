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
    """Who asks. `roles` are those of memberships that hold now, by forum; `shut_out` is what `moderation.bans.shut_out_of` says."""

    person_id: int | None = None
    roles: Mapping[int, str] = field(default_factory=dict)
    shut_out: frozenset[int | None] = frozenset()
    name: str = ""

    def is_shut_out(self, forum_id: int) -> bool:
        """Whether they are shut out of the forum."""
        return not self.shut_out.isdisjoint((forum_id, None))

    def role(self, forum_id: int) -> str | None:
        """What they are in the forum: member, moderator or owner; None for who is no member, or is shut out."""
        return None if self.is_shut_out(forum_id) else self.roles.get(forum_id)

    def moderates(self, forum_id: int) -> bool:
        """Whether they look after the forum."""
        return self.role(forum_id) in MODERATORS


STRANGER = Viewer()
"""A reader without an account."""


def may(viewer: Viewer, act: Act, forum: Row[Any]) -> str | None:
    """None: yes. Else one sentence that says why not, fit to be shown to one who may read."""
    role = viewer.role(forum.id)
    if forum.visibility != "public" and role is None:
        return _("There is no such forum.")
    if act == "read":
        return None
    if act == "moderate":
        return None if viewer.moderates(forum.id) else _("Only moderators of this forum may do that.")
    if viewer.person_id is None:
        return _("Please sign in first.")
    facts = policy.facts(forum, Proof.SESSION, role, viewer.is_shut_out(forum.id))
    if act == "join":
        return _("You are a member already.") if role else policy.refuses_to_join(facts)
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
