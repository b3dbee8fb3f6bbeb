"""Answers to notices about held posts: a moderator decides, an author takes back. By mail (`act`) or by a page (`decide`).

The token of the notice says what is answered, never who answers: it goes along with a mail that is forwarded. By mail the author must
be who was asked, or look after the forum too; whether they still do is asked again. The token is not used up, for a report may hold
several posts; whoever decides second is told who was first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge
from server.bridge import Accepted, Act, Result
from server.delivery import letters
from server.delivery.waiting import how
from server.desk import Desk, author, decide, forums, shutting
from server.errors import CommandError, Rejected
from server.i18n import _, speaking
from server.moderation import audit, bans, queue, words
from server.people import handles, identity, membership

AUTHOR = "author"


@dataclass(frozen=True, slots=True)
class Asked:
    """A valid token's notice: who answers, and about which posts (id, name), in its order."""

    forum: Row[Any]
    address_id: int
    person_id: int
    language: str
    by_author: bool
    posts: tuple[tuple[int, str], ...]

    @property
    def names(self) -> list[str]:
        return [name for _post, name in self.posts]


def asked(tx: Connection, desk: Desk, token: str) -> Asked | None:
    """What the token is about; None if it is none, or no longer one. Raises Rejected for a moderator who is none any more."""
    found = asked_of(tx, desk, "mod", token)
    return found[0] if found is not None else None


def asked_of(tx: Connection, desk: Desk, kind: str, token: str) -> tuple[Asked, dict[str, Any]] | None:
    """As `asked`, of a token of that kind, with all that its notice knows."""
    grant = handles.redeem(tx, kind, token, desk.now())
    if grant is None:
        return None
    data = grant.data
    forum, address_id = forums.by_id(tx, grant.thing_id), int(data["address_id"])
    person_id = identity.person_at(tx, address_id)
    found = Asked(
        forum,
        address_id,
        person_id,
        str(data.get("language") or "en"),
        data["role"] == AUTHOR,
        tuple((int(post), str(name)) for post, name in data.get("posts", ())),
    )
    if not found.by_author and not _looks_after(tx, desk, found):
        raise Rejected("5.7.1", _("You do not look after {forum} any more.").format(forum=forum.title))
    return found, data


def _looks_after(tx: Connection, desk: Desk, by: Asked) -> bool:
    if _moderates(tx, by.forum.id, by.person_id):
        return True
    operator = identity.find(tx, *desk.operator) if desk.operator is not None else None
    return operator is not None and operator.address_id == by.address_id


def _moderates(tx: Connection, forum_id: int, person_id: int) -> bool:
    member = membership.of(tx, person_id, forum_id)
    return membership.moderates(member) and not bans.is_shut_out(tx, forum_id, person_id)


def act(tx: Connection, desk: Desk, inbound: Act) -> Result:
    """An answer by mail: do what its first words say, and confirm it in one mail. Raises Rejected for a token that is over."""
    by = asked(tx, desk, inbound.token or "")
    if by is None or by.forum.slug != inbound.forum.lower():
        raise Rejected(
            "5.7.1", _("This mail is too old to be answered: see the latest one, or the page that it names.")
        )
    author.refuse_forged(inbound.author)
    refuse_others(tx, by, inbound.author)
    with speaking(by.language):
        verdict = words.read(inbound.words, by.names, by.language)
        if isinstance(verdict, words.Unclear):
            subject, about = _("Nothing was done in {forum}: {names}"), by.names
            lines = [_("{why} So nothing was done.").format(why=verdict.why), "", *_help(by)]
        else:
            subject, about = _("Done in {forum}: {names}"), [by.names[place] for place in verdict.which]
            lines = [decided_on(tx, desk, by, verdict.verb, place, verdict.reason) for place in verdict.which]
            still = [name for post_id, name in by.posts if queue.entry(tx, post_id) is not None]
            lines += ["", _("Still waiting: {names}").format(names=", ".join(still))] if still else []
        subject = subject.format(forum=by.forum.title, names=", ".join(about))
    _confirm(tx, desk, by, inbound, subject, "\n".join(lines))
    return Accepted()


def refuse_others(tx: Connection, by: Asked, writer: bridge.Author) -> None:
    """Raise Rejected unless the answer is from the person who was asked, or from somebody who looks after the forum too."""
    who = author.find(tx, writer)
    if who is not None and who.person_id == by.person_id:
        return
    if who is None or by.by_author or not _moderates(tx, by.forum.id, who.person_id):
        raise Rejected("5.7.1", _("Please answer from the address that this was sent to: your answer was not taken."))


def _help(by: Asked) -> list[str]:
    if by.by_author:
        return [_("To take your message back, answer with the one word “cancel”. If you need not, do nothing.")]
    return [_("Your answer may begin with:"), "", how(len(by.posts))]


def decided_on(tx: Connection, desk: Desk, by: Asked, verb: str, place: int, reason: str = "") -> str:
    """Do it to one post; a sentence on what is now, in the language that is spoken."""
    post_id, name = by.posts[place]
    row = queue.entry(tx, post_id)
    if row is None:
        return already(tx, desk, by, name)
    title = f"{name} “{row.subject or _('(no subject)')}”"
    if by.by_author != (verb == words.CANCEL):
        return _("{post}: only its author can take it back, and only moderators decide.").format(post=title)
    actor, now = f"person:{by.person_id}", desk.now()
    if verb == words.APPROVE:
        where = decide.approve(tx, desk, name, actor, now)
        return _("{post} is published: {url}").format(post=title, url=f"{desk.base_url}/f/{where}")
    if verb == words.CANCEL:
        decide.cancel(tx, desk, name, actor, now)
        return _("{post} is taken back: it was shown to nobody but moderators, and nothing of it is kept.").format(
            post=title
        )
    if verb == words.BAN:
        return _ban(tx, desk, name, title, actor)
    decide.reject(tx, desk, name, actor, reason, now)
    told = _("its author is told why") if reason else _("its author is told nothing, for you gave no reason")
    return _("{post} is not published; {told}.").format(post=title, told=told)


def _ban(tx: Connection, desk: Desk, name: str, title: str, actor: str) -> str:
    try:
        shutting.ban_author(tx, name, actor, desk.now())
    except CommandError as problem:
        decide.reject(tx, desk, name, actor, "", desk.now())
        return _("{post} is not published. {problem}").format(post=title, problem=problem)
    decide.reject(tx, desk, name, actor, "", desk.now())
    return _("{post} is not published, and its author can neither post nor join any more.").format(post=title)


def already(tx: Connection, desk: Desk, by: Asked, name: str) -> str:
    """Who decided on a post that waits no longer, and what."""
    done = audit.latest(tx, by.forum.id, name, (decide.APPROVE, decide.REJECT, decide.CANCEL))
    if done is None:
        return _("{name} waits no longer.").format(name=name)
    if done.verb == decide.CANCEL:
        return _("{name} was taken back by its author.").format(name=name)
    who = decider(tx, done.actor, by)
    if done.verb == decide.APPROVE:
        url = f"{desk.base_url}/f/{done.detail}"
        return _("{name} was already published by {who}: {url}").format(name=name, who=who, url=url)
    return _("{name} was already rejected by {who}.").format(name=name, who=who)


def decider(tx: Connection, actor: str, by: Asked) -> str:
    """Whoever decided, as the asked one may be told."""
    kind, _colon, number = actor.partition(":")
    if kind != "person":
        return _("the operator")
    if int(number) == by.person_id:
        return _("you")
    return (not by.by_author and str(identity.person(tx, int(number)).name)) or _("a moderator")


def _confirm(tx: Connection, desk: Desk, by: Asked, inbound: Act, subject: str, lines: str) -> None:
    facts = {
        "language": by.language,
        "role": AUTHOR if by.by_author else "moderator",
        "posts": [list(post) for post in by.posts],
        "subject": subject,
        "lines": lines,
        "in_reply_to": bridge.message_id(inbound.ref),
    }
    letters.notice(tx, by.address_id, "verdict", by.forum.id, facts, desk.now())
