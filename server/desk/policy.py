"""Who may post: pure rules, from facts to a decision. No database, no channel by name.

From is a claim; a member's is believed as mailing lists do, until the channel can prove more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from server.bridge import Proof
from server.i18n import _
from server.people.membership import MODERATORS


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when a post comes. `role` and `state` are of the author's membership, None for a stranger."""

    title: str
    join_policy: str
    post_policy: str
    forum_state: str
    proof: Proof
    automatic: bool = False
    machine: bool = False  # one that the forum lists
    strangers: str = "confirm"
    role: str | None = None
    state: str | None = None
    may_post: bool = True


@dataclass(frozen=True, slots=True)
class Publish:
    """Post it. `join`: the author becomes a member by it."""

    join: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep it and wait. `confirm`: the author's own word joins and publishes; else a moderator decides.

    `kind` is the reason in one word, for the figures; `join`: the author becomes a member all the same.
    """

    reason: str
    confirm: bool = False
    kind: str = "doubt"
    join: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    code: str
    reason: str


Decision = Publish | Hold | Refuse


def facts(forum: Row[Any], proof: Proof, member: Row[Any] | None, automatic: bool = False, address: str = "") -> Facts:
    """The facts, from a row of forums and one of memberships."""
    return Facts(
        title=forum.title if member or forum.visibility == "public" else forum.slug,  # a stranger learns nothing more
        join_policy=forum.join_policy,
        post_policy=forum.post_policy,
        forum_state=forum.state,
        proof=proof,
        automatic=automatic,
        machine=bool(address) and address in forum.machines.split(),
        strangers=forum.strangers,
        role=member.role if member else None,
        state=member.state if member else None,
        may_post=member.may_post if member else True,
    )


def refuses_to_join(forum: Row[Any], state: str | None) -> str | None:
    """Why somebody whose membership is in that state (None: a stranger) cannot join by their own word; None: they can."""
    name = forum.title if state == "active" or forum.visibility == "public" else forum.slug
    if forum.state != "open":
        return _("{forum} is closed: it can be read, but nobody joins any more.").format(forum=name)
    if state == "banned":
        return _("You cannot join {forum}. Its owners can tell you why.").format(forum=name)
    if forum.join_policy != "open" and state != "active":
        return _("{forum} lets people in by invitation: ask its owners.").format(forum=name)
    return None


def decide(facts: Facts) -> Decision:
    """DESIGN section 7, "Who may post"."""
    if facts.forum_state != "open":
        return Refuse(
            "5.7.1", _("{forum} is closed: it can be read, but nothing new is posted.").format(forum=facts.title)
        )
    if facts.automatic or facts.machine:
        return _machine(facts)
    if facts.state == "banned":
        return Refuse("5.7.1", _("You may not post to {forum}. Its owners can tell you why.").format(forum=facts.title))
    if facts.state == "active":
        return _member(facts)
    return _stranger(facts)


def _machine(facts: Facts) -> Decision:
    """A machine posts where it is listed and only with proof: its address is printed on everything that it sends."""
    if not facts.machine:
        return Refuse("5.7.1", _("{forum} takes no mail from machines (RFC 3834).").format(forum=facts.title))
    if facts.proof < Proof.AUTHENTICATED:
        return Refuse(
            "5.7.1",
            _(
                "{forum} takes mail of this machine only where it is signed (DKIM) or comes from its own host (SPF)."
            ).format(forum=facts.title),
        )
    return Publish()


def _member(facts: Facts) -> Decision:
    if facts.post_policy == "moderators" and facts.role not in MODERATORS:
        return Refuse("5.7.1", _("Only moderators post to {forum}.").format(forum=facts.title))
    if not facts.may_post:
        return Hold(_("posts of this member wait for a moderator"), kind="member")
    return Publish()


def _stranger(facts: Facts) -> Decision:
    known = facts.post_policy == "anyone" and facts.proof >= Proof.AUTHENTICATED
    if facts.strangers == "hold" and facts.post_policy != "moderators" and not known:
        return Hold(_("the author is not a member"), kind="stranger")
    if facts.strangers == "refuse" and facts.join_policy == "open" and not known:
        return Refuse("5.7.1", _("Only members post to {forum}: please join first.").format(forum=facts.title))
    if facts.join_policy != "open" or facts.post_policy == "moderators":
        return Refuse(
            "5.7.1",
            _(
                "Only members post to {forum}, and the address you wrote from is not one of theirs. "
                "Write from the address you joined with, or ask its owners to let you in."
            ).format(forum=facts.title),
        )
    if facts.proof >= Proof.SESSION:
        return Publish(join=True)
    if known:
        return Publish()
    return Hold(_("the author is not a member yet and was asked to confirm"), confirm=True, kind="stranger")
