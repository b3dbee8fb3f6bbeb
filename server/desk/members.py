"""What members and strangers ask for: join, leave, confirm, help; and what comes back about them: bounces, complaints.

A token acts for what it was printed on and proves only that; a claimed sender proves nothing, and gets a question first, once a day
until it is answered.
Machines are never answered (RFC 3834), nor do they act.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, clock
from server.bridge import Accepted, Act, Bounce, Duplicate, Held, Join, Leave, Proof, Report, Result
from server.delivery import health, letters
from server.desk import (
    Desk,
    answered,
    answers,
    asking,
    author,
    decide,
    entry,
    forums,
    linking,
    policy,
    posts,
    reports,
    screen,
    wishes,
)
from server.errors import Rejected
from server.i18n import _, speaking
from server.moderation import audit, bans, queue
from server.people import handles, identity, membership, subscriptions


def join(tx: Connection, desk: Desk, inbound: Join, tell: bool = True) -> Result:
    """A proved wish joins; an unproved one is answered with a question. Raises Rejected where one cannot just join.

    `tell`: who is a member already hears so in a notice; else the reply alone says it.
    """
    now = desk.now()
    forum = forums.addressed(tx, inbound.forum)
    author.refuse_forged(inbound.author)
    who = author.ensure(tx, inbound.author, now, named=inbound.author.proof >= Proof.SESSION)
    member = membership.of(tx, who.person_id, forum.id)
    facts = author.facts(tx, forum, inbound.author, who, member)
    if why_not := policy.refuses_to_join(facts):
        raise Rejected("5.7.1", why_not)
    if inbound.author.proof >= Proof.SESSION:
        mailbox = author.mailbox(tx, desk, who.person_id) if inbound.author.channel == bridge.WEB else None
        if membership.is_active(member) and mailbox is None:
            return Duplicate()
        if policy.asks_first(facts):
            told_at = mailbox or who.address_id or None
            said, mode = inbound.words, inbound.mode or "each"
            return entry.ask(tx, desk, forum, who.person_id, told_at, mailbox, mode, said)
        membership.join(tx, forum.id, who.person_id, mailbox, now, mode=inbound.mode or "each")
        forums.changed(tx, forum.id, "member", who.person_id, now)
        if mailbox is not None and not membership.is_active(member):
            letters.notice(tx, mailbox, "welcome", forum.id, {"mode": inbound.mode or "each"}, now)
        return Accepted(reply=_("You are a member of {forum} now.").format(forum=forum.title))
    named = bridge.message_id(inbound.ref)
    mailbox_here = subscriptions.at(tx, forum.id, who.address_id)
    stopped = mailbox_here is not None and mailbox_here.state == "stopped"  # an answer shows that it works again
    if membership.is_active(member) and not stopped:
        if tell:
            mode = mailbox_here.mode if mailbox_here is not None else "none"
            told = {"mode": mode, "in_reply_to": named}
            asking.tell_once(tx, forum, "member-already", who.address_id, told, now, clock.HOUR)
        return Accepted(reply=_("This address is a member's already."))
    asked = {"mode": inbound.mode or "each", "said": inbound.words, "in_reply_to": named}
    asking.ask(tx, forum, asking.JOIN, who, asked, now)
    return Accepted(reply=_("Please answer the mail that we send you to confirm."))


def leave(tx: Connection, desk: Desk, inbound: Leave, tell: bool = True) -> Result:
    """By token at once, for that mailbox; by a proved author at once, for the person; else a question first. `tell` as in `join`."""
    now = desk.now()
    if inbound.token is not None:
        thing = handles.printed_on(tx, desk.secret, "leave", inbound.token)
        if thing is None:
            raise Rejected("5.7.1", _("This link to leave is not valid (any more)."))
        subscription = subscriptions.by_id(tx, thing)
        if subscription.forum_id != forums.addressed(tx, inbound.forum).id:
            raise Rejected("5.7.1", _("This link to leave is another forum's."))
        membership.end_subscription(tx, subscription.id)
        forums.changed(tx, subscription.forum_id, "member", subscription.person_id or 0, now)
        return Accepted(reply=_("Done: nothing more is sent to this address."))
    assert inbound.author is not None
    author.refuse_forged(inbound.author)
    forum = forums.addressed(tx, inbound.forum)
    who, named = author.ensure(tx, inbound.author, now, named=False), bridge.message_id(inbound.ref)
    member = membership.of(tx, who.person_id, forum.id)
    if not membership.is_active(member):
        called = policy.shown_title(forum, is_member=False)
        if tell and inbound.author.channel in desk.traits:
            once_in = clock.HOUR if member is not None else letters.ONCE_IN  # a stranger's address may be anybody's
            facts = {"called": called, "in_reply_to": named}
            asking.tell_once(tx, forum, "no-member", who.address_id, facts, now, once_in)
        return Accepted(reply=_("This address is no member of {forum}.").format(forum=called))
    if inbound.author.proof >= Proof.SESSION:
        membership.leave(tx, forum.id, who.person_id)
        forums.changed(tx, forum.id, "member", who.person_id, now)
        return Accepted(reply=_("You left {forum}.").format(forum=forum.title))
    asking.ask(tx, forum, asking.LEAVE, who, {"in_reply_to": named}, now)
    return Accepted(reply=_("Please answer the mail that we send you to confirm."))


def act(tx: Connection, desk: Desk, inbound: Act) -> Result:
    """A word with a token; everything else is answered with the help, once a day and address."""
    if inbound.automatic:
        return Accepted()
    forum = forums.addressed(tx, inbound.forum)
    if inbound.verb == "mod":
        return entry.act(tx, desk, inbound) or answers.act(tx, desk, inbound)
    named = bridge.message_id(inbound.ref)
    if inbound.verb == "confirm" and inbound.token:
        return _confirm(tx, desk, forum, inbound, named)
    author.refuse_shut_out(tx, forum, inbound.author, author.find(tx, inbound.author))
    who = author.ensure(tx, inbound.author, desk.now(), named=False)
    asking.tell_once(tx, forum, "help", who.address_id, {"in_reply_to": named}, desk.now())
    return Accepted()


def _confirm(tx: Connection, desk: Desk, forum: Row[Any], inbound: Act, named: str | None) -> Result:
    """What the question was about happens now: join, leave, words of a request, be one person, or publish what waits and join."""
    now = desk.now()
    grant = handles.redeem(tx, "confirm", inbound.token or "", now)
    if grant is not None and grant.data["template"] == asking.LINK:
        linking.refuse_unless_meant(tx, desk, inbound, grant.data)
    if grant is None or grant.thing_id != forum.id or not handles.use(tx, grant.id, now):
        return _answered_before(tx, desk, forum, inbound, named)
    facts = grant.data
    address_id = int(facts["address_id"])
    person_id = identity.person_at(tx, address_id)
    identity.verify(tx, address_id, now)
    audit.record(tx, f"person:{person_id}", "confirm", str(facts["template"]), now, forum_id=forum.id)
    if facts["template"] != asking.LEAVE and bans.is_shut_out(tx, forum.id, person_id):
        raise Rejected("5.7.1", policy.shut_out_of(policy.shown_title(forum, is_member=False)))
    if facts["template"] == asking.WAS_IT_YOU:
        return _it_was_me(tx, desk, forum, person_id, str(facts["held"]))
    result: Result = Accepted()
    if facts["template"] == asking.LINK:
        person_id = linking.confirmed(tx, desk, forum, facts, person_id)
    elif facts["template"] == asking.LEAVE:
        membership.leave(tx, forum.id, person_id)
        letters.notice(tx, address_id, "left", forum.id, {"in_reply_to": named}, now)
    elif facts["template"] == asking.WORDS:
        wishes.confirmed(tx, desk, forum, facts, named)
    else:
        result = _comes_in(tx, desk, forum, person_id, facts, named)
    forums.changed(tx, forum.id, "member", person_id, now)
    return result


def _answered_before(tx: Connection, desk: Desk, forum: Row[Any], inbound: Act, named: str | None) -> Result:
    """Tell how it stands with what was asked. Raises Rejected for a question that is too old, or was never asked."""
    facts = answered.question(tx, forum, inbound.token or "")
    if facts is None:
        raise Rejected(
            "5.7.1", _("This question was answered before, or is too old. If nothing came of it, please ask again.")
        )
    with speaking(identity.person(tx, identity.person_at(tx, int(facts["address_id"]))).language):
        stands = answered.now(tx, forum, facts)
    if inbound.author.channel in desk.traits:
        told = {"stands": stands, "in_reply_to": named}
        asking.tell_once(tx, forum, "answered-before", int(facts["address_id"]), told, desk.now(), clock.HOUR)
    return Accepted(reply=stands)


def _it_was_me(tx: Connection, desk: Desk, forum: Row[Any], person_id: int, name: str) -> Result:
    """The author says that the held post is theirs: that one is published, unless something else holds it too."""
    waiting = queue.find(tx, name)
    if waiting is None:
        raise Rejected("5.7.1", _("This message does not wait any more: somebody has decided already."))
    member = membership.of(tx, person_id, forum.id)
    return _publish_or_hand_over(tx, desk, forum, waiting, person_id, member is None or member.may_post)


def _publish_or_hand_over(
    tx: Connection, desk: Desk, forum: Row[Any], held: Row[Any], person_id: int, may_post: bool = True
) -> Result:
    """Publish what waited for its author's word, unless something else holds it too: then its moderators are told."""
    now = desk.now()
    posts.update(tx, held.post_id, proof=int(Proof.AUTHENTICATED))  # who reads that mailbox says that it is theirs
    still = screen.holds_confirmed(forum, posts.has_posted(tx, forum.id, person_id), may_post)
    if still is None:
        return Accepted(decide.approve(tx, desk, held.name, f"person:{person_id}", now))
    queue.hand_over(tx, held.post_id, still.reason)
    reports.waits(tx, desk, forum, held.post_id, now)
    if still.kind == "first":
        reports.tell_first(tx, desk, forum, held.post_id, now)
    return Held(held.name, still.reason)


def _comes_in(
    tx: Connection, desk: Desk, forum: Row[Any], person_id: int, facts: Mapping[str, Any], named: str | None
) -> Result:
    """A confirmed wish to join: where moderators let people in, they are asked.

    What waited for just this word is published; what a moderator must decide waits on.
    """
    now, address_id = desk.now(), int(facts["address_id"])
    before = membership.of(tx, person_id, forum.id)
    role = membership.role(before)
    asked_in = facts["template"] == "invite" and role is None
    about = policy.facts(forum, Proof.NONE, role, shut_out=False)
    why_not = policy.refuses_to_join(about)
    if why_not is not None and not (asked_in and forum.state == "open"):
        raise Rejected("5.7.1", why_not)
    mode = str(facts.get("mode") or "each")
    if policy.asks_first(about) and not asked_in:
        return entry.ask(tx, desk, forum, person_id, address_id, address_id, mode, str(facts.get("said") or ""))
    mailed = identity.reader(tx, address_id)[0] in desk.channels(takes_back=False)
    membership.join(tx, forum.id, person_id, address_id if mailed else None, now, mode=mode)
    if role is not None:
        return Accepted()
    letters.notice(tx, address_id, "welcome", forum.id, {"mode": mode, "in_reply_to": named}, now)
    if facts["template"] != asking.POST or (before is not None and not before.may_post):
        return Accepted()
    for row in queue.listing(tx, forum.id):
        waiting = posts.get(tx, row.post_id)
        if waiting.person_id != person_id or row.awaits != queue.AUTHOR:
            continue
        if row.name != facts.get(
            "held"
        ):  # they were asked of one post; anybody may have written the others in their name
            queue.hand_over(tx, row.post_id, _("it came before its author was a member, and nobody asked them of it"))
            reports.waits(tx, desk, forum, row.post_id, now)
            continue
        channel, _language = identity.reader(tx, address_id)
        identity.ensure(tx, channel, identity.address(tx, address_id), waiting.author_name, now)
        _publish_or_hand_over(tx, desk, forum, row, person_id)
    return Accepted()


def bounce(tx: Connection, desk: Desk, inbound: Bounce) -> Result:
    """A mail to a subscription did not arrive, be it a post or our own question whether they do."""
    subscription, of_probe = _of_bounce_token(tx, desk, inbound)
    own = subscriptions.by_id(tx, subscription).address
    said = next((one for one in inbound.each if one.address == own), inbound)
    if said.refusal is not None:
        health.bounced(tx, desk, subscription, said.refusal, said.status, said.diagnostic, of_probe)
    return Accepted()


def report(tx: Connection, desk: Desk, inbound: Report) -> Result:
    """Somebody called mail to the subscription spam."""
    subscription, _of_probe = _of_bounce_token(tx, desk, inbound)
    health.complained(tx, desk, subscription, inbound.detail)
    return Accepted()


def _of_bounce_token(tx: Connection, desk: Desk, inbound: Bounce | Report) -> tuple[int, bool]:
    """The subscription of the forum, and whether the token was printed on a probe."""
    forum = forums.addressed(tx, inbound.forum)
    for kind in ("bounces", "probe"):
        thing = handles.printed_on(tx, desk.secret, kind, inbound.token)
        if thing is not None and subscriptions.by_id(tx, thing).forum_id == forum.id:
            return thing, kind == "probe"
    raise Rejected("5.1.1", _("There is no such address here."))
