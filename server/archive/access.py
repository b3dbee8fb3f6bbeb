"""Who may see and do what in a forum. Pure: no statement, no time. Every way to a post asks here first.

What one may not see does not exist: callers turn a refused "read" into `NotFound`, never into "forbidden".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Row

from server.errors import NotFound
from server.i18n import gettext as _

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
        return self.roles.get(forum_id) in ("moderator", "owner")


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
    if forum.state != "open":
        return _("This forum is closed: it can be read, and nothing new can be written.")
    if forum.id in viewer.banned:
        return _("You may not take part in this forum. Its owners can tell you why.")
    return _may_join(viewer, forum) if act == "join" else _may_post(viewer, forum)


def _may_join(viewer: Viewer, forum: Row[Any]) -> str | None:
    if forum.id in viewer.roles:
        return _("You are a member already.")
    if forum.join_policy == "invite":
        return _("This forum is joined by invitation only.")
    return None


def _may_post(viewer: Viewer, forum: Row[Any]) -> str | None:
    if forum.post_policy == "moderators" and not viewer.moderates(forum.id):
        return _("Only moderators write in this forum.")
    if forum.id not in viewer.roles and forum.join_policy != "open":
        return _("Only members write in this forum.")
    return None  # in an open forum a first post joins


def ask(viewer: Viewer, forum: Row[Any] | None) -> Row[Any]:
    """The forum if it exists for this viewer. Raises NotFound otherwise, the same for both reasons."""
    if forum is None or may(viewer, "read", forum) is not None:
        raise NotFound(_("There is no such forum."))
    return forum


def may_see_bytes(viewer: Viewer, forum: Row[Any], author_id: int | None) -> bool:
    """Whether a post's received bytes are shown as they came, addresses and all: to its author and to moderators."""
    own = viewer.person_id is not None and viewer.person_id == author_id
    return own or viewer.moderates(forum.id)
