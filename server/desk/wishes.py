"""What a member may have done by a word, on whatever channel: each word is first understood, then done, with a sentence on it.

Between the two a question may go to the member's address. Who may ask is decided before: see `commands`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server import limits
from server.bridge import Ref
from server.delivery import health, letters
from server.desk import Desk, change, forums, linking, place, sending
from server.errors import CommandError, Rejected
from server.i18n import _, is_spoken, ngettext, speaking
from server.people import identity, marks, membership, options, subscriptions
from server.store.schema import posts

_OPTIONS: Mapping[str, tuple[str, str]] = {  # verb: option of a member, and its value if the verb says it
    "delivery": ("delivery", ""),
    "conversations": ("conversations", ""),
    "hide": ("hide_address", "yes"),
    "show": ("hide_address", "no"),
    "renew": ("via", "new"),
    "name": ("name", ""),
    "timezone": ("timezone", ""),
    "language": ("language", ""),
    "addressed": ("addressed", ""),
    "own-posts": ("own_posts", ""),
    "digest-hour": ("digest_hour", ""),
    "digest-day": ("digest_day", ""),
}
_MARKS = ("mute", "unmute", "follow", "unfollow")
VERBS = (*_OPTIONS, *_MARKS, "delete", "resume", "link")


@dataclass(frozen=True, slots=True)
class Member:
    """Who wants something: a member, and the address of theirs that it is about. `about`: names of the post that they answer."""

    forum: Row[Any]
    person_id: int
    address_id: int
    about: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that a member wants. `words` are complete, so that they mean the same later; `says` tells it back to them."""

    words: tuple[str, ...]
    says: str
    do: Callable[[], str]


def understand(tx: Connection, desk: Desk, by: Member, words: Sequence[str]) -> Wish:
    """What the words mean. Raises CommandError with what is wrong with them."""
    verb, value = words[0], " ".join(words[1:])
    if verb in _MARKS:
        return _mark(tx, desk, by, verb, value)
    if verb in _OPTIONS:
        key, fixed = _OPTIONS[verb]
        return _option(tx, desk, by, verb, key, fixed or value)
    if verb == "link":
        return _link(tx, desk, by, value)
    return _delete(tx, desk, by, value) if verb == "delete" else _resume(tx, desk, by)


def confirmed(tx: Connection, desk: Desk, forum: Row[Any], facts: dict[str, Any], answers: str | None) -> None:
    """The address answered the question: what was asked is done now, as far as it still can be, and told."""
    address_id = int(facts["address_id"])
    person_id = identity.person_at(tx, address_id)
    member = membership.of(tx, person_id, forum.id)
    if not membership.is_active(member):
        raise Rejected("5.7.1", _("This address is no member of {forum}.").format(forum=forum.title))
    by, lines = Member(forum, person_id, address_id), []
    with speaking(identity.person(tx, person_id).language):
        for words in facts["commands"]:
            try:
                lines.append(understand(tx, desk, by, words).do())
            except CommandError as problem:
                lines.append(str(problem))
    told = {"results": "\n\n".join(lines), "in_reply_to": answers}
    letters.notice(tx, address_id, "answer", forum.id, told, desk.now())


# Options --------------------------------------------------------------------------------------------------------------
def _option(tx: Connection, desk: Desk, by: Member, verb: str, key: str, value: str) -> Wish:
    wanted = options.read({key: value})
    mailbox = _mailbox(tx, by)
    if wanted.subscription and mailbox is None:
        raise CommandError(_("Nothing of {forum} is sent to you by mail.").format(forum=by.forum.title))

    def do() -> str:
        sending.apply(tx, desk, by.forum.id, by.person_id, mailbox, wanted, f"person:{by.person_id}")
        forums.changed(tx, by.forum.id, "member", by.person_id, desk.now())
        return _done(verb, value)

    fixed = bool(_OPTIONS[verb][1])
    # a name may be anybody's words: it is not sent to an address that did not ask
    said = verb if fixed or verb == "name" else f"{verb} {value}"
    return Wish((verb,) if fixed else (verb, value), said, do)


def _mailbox(tx: Connection, by: Member) -> Row[Any] | None:
    """The subscription at the address that asks; where that is none, as in a room, the one that the person has."""
    here = subscriptions.at(tx, by.forum.id, by.address_id)
    return here or subscriptions.of_person(tx, by.forum.id, by.person_id)


def _done(verb: str, value: str) -> str:
    if verb == "hide":
        return _(
            "Your address is hidden: what you write from now on shows an address that reaches you through the forum."
        )
    if verb == "show":
        return _("Your address is on the mails that you write, as mailing lists have it.")
    if verb == "renew":
        return _("Your private address is another one now: letters to the old ones reach nobody.")
    if verb == "language" and not is_spoken(value):
        return _(
            "language: {value} is noted, but there are no texts in it yet, so these mails stay in English."
        ).format(value=value)
    return _("{option}: {value}, from now on.").format(option=verb, value=value)


# Threads --------------------------------------------------------------------------------------------------------------
def _mark(tx: Connection, desk: Desk, by: Member, verb: str, value: str) -> Wish:
    number = limits.whole_number(value)
    if number is None and not value:
        post = place.find(tx, by.forum.id, by.about)
        number = post.seq if post is not None else None
    if number is None:
        raise CommandError(
            _("{verb}: which thread? Answer a post of it, or write the number of one of its posts: {verb} 12.").format(
                verb=verb
            )
        )
    thread = marks.thread(tx, by.forum.id, number)
    if thread is None:
        raise CommandError(_("{verb} {number}: there is no such post here.").format(verb=verb, number=number))
    subject = thread.subject or _("the thread of post {number}").format(number=number)

    def do() -> str:
        mark = marks.MUTED if verb in ("mute", "unmute") else marks.FOLLOWED
        if verb in ("mute", "follow"):
            marks.put(tx, by.person_id, thread.id, mark, desk.now())
        else:
            marks.take_off(tx, by.person_id, thread.id, mark)
        return _marked(verb).format(subject=subject, number=number)

    return Wish((verb, str(number)), f"{verb} {number} (“{subject}”)", do)


def _marked(verb: str) -> str:
    return {
        "mute": _("“{subject}” is muted: nothing more of it is sent to you. To have it again, write: unmute {number}."),
        "unmute": _("“{subject}” is sent to you again, as your delivery says."),
        "follow": _("You follow “{subject}”: it comes even where your delivery is topics or mentions."),
        "unfollow": _("“{subject}” comes only as your delivery says."),
    }[verb]


# Who one is -----------------------------------------------------------------------------------------------------------
def _link(tx: Connection, desk: Desk, by: Member, value: str) -> Wish:
    other = linking.other(tx, desk, by.forum, by.person_id, value)

    def do() -> str:
        return linking.ask(tx, desk, by.forum, by.person_id, by.address_id, other)

    return Wish(("link", value), f"link {value}", do)


# Posts and mailboxes --------------------------------------------------------------------------------------------------
def _delete(tx: Connection, desk: Desk, by: Member, value: str) -> Wish:
    number = limits.whole_number(value) or 0
    post = tx.execute(sa.select(posts).where(posts.c.forum_id == by.forum.id, posts.c.seq == number)).first()
    if post is None:
        raise CommandError(_("delete {number}: there is no such post here.").format(number=number))
    if post.state == "retracted":
        raise CommandError(_("delete {number}: it is gone already.").format(number=number))
    if not change.may_change(tx, by.forum, post.person_id, by.person_id):
        raise CommandError(
            _("delete {number}: only its author and moderators can take a post back.").format(number=number)
        )

    def do() -> str:
        forums.lock(tx, by.forum.id)
        already = change.take_back(tx, desk, by.forum, post.id, None, desk.now())
        gone = _("Post {number} is gone from pages, rooms and what was not sent yet.").format(number=number)
        there = ngettext(
            "It is in {count} mailbox already, where nobody can take it back.",
            "It is in {count} mailboxes already, where nobody can take it back.",
            already,
        ).format(count=already)
        return f"{gone} {there}" if already else gone

    return Wish(
        ("delete", str(number)), _("delete {number} (“{subject}”)").format(number=number, subject=post.subject), do
    )


def _resume(tx: Connection, desk: Desk, by: Member) -> Wish:
    mailbox = _mailbox(tx, by)
    if mailbox is None or mailbox.state != "stopped":
        raise CommandError(_("resume: mail of {forum} to this address was not stopped.").format(forum=by.forum.title))

    def do() -> str:
        health.resume(tx, mailbox, f"person:{by.person_id}", desk.now())
        return _("Mail of {forum} comes to this address again.").format(forum=by.forum.title)

    return Wish(("resume",), "resume", do)
