"""Who may post: pure rules, from facts to a decision. No database, no channel by name.

From is a claim. A member's is believed as mailing lists do, unless something speaks against it or the forum wants a proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row

from server.bridge import Doubt, Proof
from server.i18n import _
from server.people.membership import MODERATORS


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when somebody wants to post, or to join. `role` is that of their membership, None for who is no member now.

    `title` is what the forum is called to them.
    """

    title: str
    join_policy: str
    post_policy: str
    forum_state: str
    proof: Proof
    automatic: bool = False
    machine: bool = False  # one that the forum lists
    strangers: str = "confirm"
    role: str | None = None
    shut_out: bool = False
    may_post: bool = True
    doubt: Doubt = Doubt.NONE
    proof_policy: str = "usual"


@dataclass(frozen=True, slots=True)
class Publish:
    """Post it. `join`: the author becomes a member by it."""

    join: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep it and wait. `confirm`: the author's own word joins and publishes; else a moderator decides.

    `kind` is the reason in one word, for the figures; `join`: the author becomes a member all the same. `doubtful`: it may be
    somebody else's in their name, so that they are asked.
    """

    reason: str
    confirm: bool = False
    kind: str = "doubt"
    join: bool = False
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    code: str
    reason: str


Decision = Publish | Hold | Refuse


def facts(
    forum: Row[Any],
    proof: Proof,
    role: str | None,
    shut_out: bool,
    may_post: bool = True,
    automatic: bool = False,
    address: str = "",
    doubt: Doubt = Doubt.NONE,
) -> Facts:
    """The facts, from a row of forums and what its asker is there: the only place that makes them. Who is shut out is no member."""
    role = None if shut_out else role
    return Facts(
        title=shown_title(forum, role is not None),
        join_policy=forum.join_policy,
        post_policy=forum.post_policy,
        forum_state=forum.state,
        proof=proof,
        automatic=automatic,
        machine=bool(address) and is_machine(forum, address),
        strangers=forum.strangers,
        role=role,
        shut_out=shut_out,
        may_post=may_post,
        doubt=doubt,
        proof_policy=forum.proof_policy,
    )


def shown_title(forum: Row[Any], is_member: bool) -> str:
    """What a forum is called to somebody: a stranger learns nothing more of a hidden one than the name that they used."""
    return str(forum.title if is_member or forum.visibility == "public" else forum.slug)


def is_machine(forum: Row[Any], address: str) -> bool:
    """Whether the forum lists the address as a machine's that may post."""
    return address in forum.machines.split()


def shut_out_of(title: str) -> str:
    """What who is shut out of a forum is told, whatever they tried; who that is says `moderation.bans`."""
    return _("You are shut out of {forum}. Its owners can tell you why.").format(forum=title)


def refuses_to_join(facts: Facts) -> str | None:
    """Why somebody cannot join by their own word; None: they can, or have."""
    if facts.forum_state != "open":
        return _("{forum} is closed: it can be read, but nobody joins any more.").format(forum=facts.title)
    if facts.shut_out:
        return shut_out_of(facts.title)
    if facts.join_policy == "invite" and facts.role is None:
        return _("{forum} lets people in by invitation: ask its owners.").format(forum=facts.title)
    return None


def asks_first(facts: Facts) -> bool:
    """Whether somebody who wants to join waits for a moderator's word."""
    return facts.join_policy == "approval" and facts.role is None


def decide(facts: Facts) -> Decision:
    """What becomes of a post, by who wrote it and what the forum wants."""
    if facts.forum_state != "open":
        return Refuse(
            "5.7.1", _("{forum} is closed: it can be read, but nothing new is posted.").format(forum=facts.title)
        )
    if facts.shut_out:
        return Refuse("5.7.1", shut_out_of(facts.title))
    if facts.automatic or facts.machine:
        return _machine(facts)
    decision = _member(facts) if facts.role is not None else _stranger(facts)
    return decision if isinstance(decision, Refuse) else _unproven(facts) or decision


def _unproven(facts: Facts) -> Decision | None:
    """What becomes of a post that may be somebody else's; None: nothing, by this."""
    if facts.proof >= Proof.AUTHENTICATED or facts.proof_policy == "lax":
        return None
    if facts.doubt is Doubt.FORBIDDEN:
        return Refuse(
            "5.7.1",
            _(
                "Nothing shows that this mail is by its author, and their domain asks that such mail be refused (DMARC). "
                "Send it by the mail server of your own address, not through another one."
            ),
        )
    if facts.doubt is Doubt.FAILS:
        return Hold(
            _("nothing shows that this is by its author, though their domain says how to (DMARC)"), doubtful=True
        )
    if facts.proof_policy == "strict" and facts.role is not None:
        return Hold(_("nothing shows that this is by its author, and this forum wants that shown"), doubtful=True)
    return None


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
    if facts.join_policy == "approval" and facts.post_policy != "moderators":
        return Refuse(
            "5.7.1",
            _("Only members post to {forum}: please ask to join first, and a moderator lets you in.").format(
                forum=facts.title
            ),
        )
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
