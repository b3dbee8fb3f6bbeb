"""A request in words, answered once: everything that it asked for in one mail, in its sender's language.

Who proved who they are has it done at once; else the address is asked first, and told nothing that somebody else may have written.
Machines are never answered (RFC 3834).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row

from server import bridge, clock
from server.bridge import Accepted, Duplicate, Held, Join, Leave, Proof, Request, Result
from server.delivery import letters, notices
from server.desk import Desk, asking, author, forums, members, questions, wishes
from server.errors import CommandError, Rejected
from server.i18n import _, speaking
from server.moderation import audit
from server.people import identity, membership, subscriptions

COMMANDS = 20  # of one request
ANSWERS_AN_HOUR = 20  # to somebody who proved who they are


@dataclass(slots=True)
class _Turn:
    """One request while it is worked on: what was answered so far, and what must be confirmed first."""

    forum: Row[Any]
    inbound: Request
    who: identity.Known
    is_member: bool
    proved: bool
    lines: list[str] = field(default_factory=list)
    asked: list[wishes.Wish] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)  # of questions that went out already

    @property
    def by(self) -> wishes.Member:
        return wishes.Member(self.forum, self.who.person_id, self.who.address_id, self.inbound.about)


def run(tx: Connection, desk: Desk, inbound: Request) -> Result:
    """Do what is asked, or ask whether it is meant. Raises Rejected for who may not ask, or asked enough; Deferred."""
    if inbound.automatic:
        return Accepted()
    forum = forums.addressed(tx, inbound.forum)
    author.refuse_forged(inbound.author)
    if inbound.commands != (("leave",),):
        author.refuse_shut_out(tx, forum, inbound.author, author.find(tx, inbound.author))
    who = author.ensure(tx, inbound.author, desk.now(), named=False)
    member = membership.of(tx, who.person_id, forum.id)
    proved = inbound.author.proof >= Proof.AUTHENTICATED
    turn = _Turn(forum, inbound, who, membership.is_active(member), proved)
    forums.lock(tx, forum.id)  # what counts how much was asked must not be asked twice at one moment
    if _was_answered(tx, turn, desk.now()):
        return Duplicate()
    with speaking(identity.person(tx, who.person_id).language):
        commands = inbound.commands[:COMMANDS] or (("help",),)
        for words in commands:
            _one(tx, desk, turn, words, alone=len(commands) == 1)
        if turn.asked:
            _ask(tx, desk, turn)
        elif turn.lines:
            _answer(tx, desk, turn, "help" if all(words[0] in ("help", "unknown") for words in commands) else "answer")
    return Accepted(reply=" ".join(turn.replies))


def _was_answered(tx: Connection, turn: _Turn, now: int) -> bool:
    """Whether it came before: a peer that missed our answer sends its mail again."""
    name, since = bridge.message_id(turn.inbound.ref), now - letters.ONCE_IN
    for template in (*asking.ANSWERS, asking.WORDS):
        last = letters.latest(tx, template, turn.who.address_id, turn.forum.id, since) if name else None
        if last is not None and json.loads(last.data).get("in_reply_to") == name:
            return True
    return False


def _one(tx: Connection, desk: Desk, turn: _Turn, words: tuple[str, ...], alone: bool) -> None:
    """One command: what it answers goes to `lines`, what must be confirmed to `asked`."""
    verb = words[0]
    if verb in ("join", "leave"):
        try:
            reply = _joins_or_leaves(tx, desk, turn, words, alone)
        except Rejected as problem:
            if alone:
                raise
            reply = problem.reason
        turn.replies.append(reply)
        if not alone:
            turn.lines.append(f"{verb}: {reply}")
    elif verb == "whoami":
        turn.lines.append(_whoami(tx, turn))
    elif verb == "help":
        turn.lines.append(_(notices.WORDS))
    elif verb not in (*wishes.VERBS, *questions.VERBS):
        turn.lines.append(_not_understood(words[1] if turn.proved and len(words) > 1 else ""))
    elif not turn.is_member:
        turn.lines.append(_("{verb}: this address is no member of {forum}.").format(verb=verb, forum=turn.forum.title))
    elif verb in questions.VERBS:
        turn.lines.append(_told(tx, desk, turn, words))
    else:
        _wish(tx, desk, turn, words)


def _not_understood(line: str) -> str:
    if line:
        return _("The rest of your mail was not understood, from “{line}” on.").format(line=line)
    return _("The rest of your mail was not understood.")


def _told(tx: Connection, desk: Desk, turn: _Turn, words: tuple[str, ...]) -> str:
    if not turn.proved:
        return _("{verb}: this is told only where something shows that the mail is yours.").format(verb=words[0])
    try:
        return questions.answer(tx, desk, turn.by, words)
    except CommandError as problem:
        return str(problem)


def _joins_or_leaves(tx: Connection, desk: Desk, turn: _Turn, words: tuple[str, ...], alone: bool) -> str:
    """These have a question of their own, whoever asks: it is what makes a membership somebody's own wish."""
    slug, by = turn.forum.slug, turn.inbound.author
    if words[0] == "leave":
        result = members.leave(tx, desk, Leave(slug, by, ref=turn.inbound.ref), tell=alone)
    else:
        mode = words[1] if len(words) > 1 else None
        result = members.join(tx, desk, Join(slug, by, mode, turn.inbound.ref), tell=alone)
    return result.reply if isinstance(result, (Accepted, Held)) else ""


def _wish(tx: Connection, desk: Desk, turn: _Turn, words: tuple[str, ...]) -> None:
    try:
        wish = wishes.understand(tx, desk, turn.by, words)
    except CommandError as problem:
        # the reason may quote what was written, and who knows who wrote it
        unclear = _("{verb}: this cannot be done as it was written.").format(verb=words[0])
        turn.lines.append(str(problem) if turn.proved else unclear)
        return
    # Becoming one with somebody gives away all that one is: a signed mail, which anybody may hand on, is not enough for that.
    sure = turn.proved and (words[0] != "link" or turn.inbound.author.proof >= Proof.SESSION)
    if sure:
        turn.lines.append(wish.do())
        audit.record(tx, f"person:{turn.who.person_id}", "ask", wish.words[0], desk.now(), forum_id=turn.forum.id)
    else:
        turn.asked.append(wish)


def _ask(tx: Connection, desk: Desk, turn: _Turn) -> None:
    """Put what must be confirmed to the address. One question at a time: who answered the last one may be asked again today."""
    facts: dict[str, Any] = {
        "commands": [wish.words for wish in turn.asked],
        "list": "\n".join(f"  {wish.says}" for wish in turn.asked),
        "results": "".join(f"{line}\n\n" for line in turn.lines),
        "in_reply_to": bridge.message_id(turn.inbound.ref),
    }
    if asking.ask(tx, turn.forum, asking.WORDS, turn.who, facts, desk.now()):
        turn.replies.append(_("Please answer the mail that we send you to confirm."))
    else:  # refused, it would come back to the same address from the MTA in front of us
        turn.replies.append(_("This address was asked already whether that is meant: please answer that mail first."))


def _answer(tx: Connection, desk: Desk, turn: _Turn, template: str) -> None:
    now, address = desk.now(), turn.who.address_id
    if turn.proved:
        if letters.sent(tx, asking.ANSWERS, turn.forum.id, now - clock.HOUR, address) >= ANSWERS_AN_HOUR:
            raise Rejected("5.7.1", _("These are many requests in one hour: please write some of them later."))
    elif letters.sent(tx, asking.ANSWERS, turn.forum.id, now - letters.ONCE_IN, address):
        turn.replies.append(_("This address was answered today already."))
        return
    facts = {"results": "\n\n".join(turn.lines), "in_reply_to": bridge.message_id(turn.inbound.ref)}
    if ("help",) not in turn.inbound.commands:
        facts["why"] = _("No command was found in your mail, so nothing was done.") + "\n\n"
    letters.notice(tx, address, template, turn.forum.id, facts, now)


def _whoami(tx: Connection, turn: _Turn) -> str:
    """What is known of who asks; it goes to their own address only."""
    person, forum = identity.person(tx, turn.who.person_id), turn.forum
    theirs = [row.address for row in identity.addresses_of(tx, [person.id])]
    facts = [
        (_("name"), person.name or "–"),
        (_("addresses"), ", ".join(theirs)),
        (_("timezone"), person.timezone),
        (_("language"), person.language),
    ]
    member = membership.of(tx, person.id, forum.id)
    if member is None or not membership.is_active(member):
        facts.append((forum.title, _("this address is no member")))
    else:
        facts.append((forum.title, member.role))
        facts.append((_("your address"), _("hidden") if member.hide_address else _("shown on mails that you write")))
        mailbox = subscriptions.at(tx, forum.id, turn.who.address_id)
        mailbox = mailbox or subscriptions.of_person(tx, forum.id, person.id)
        if mailbox is None or mailbox.state == "ended":
            facts.append((_("delivery"), _("nothing is sent by mail")))
        else:
            facts += _delivery(mailbox)
    return "\n".join(f"{key}: {value}" for key, value in facts)


def _delivery(mailbox: Row[Any]) -> list[tuple[str, str]]:
    stopped = _("stopped ({reason}); “resume” lets it come again").format(
        reason=mailbox.stop_reason or _("by an operator")
    )
    return [
        (_("delivery"), stopped if mailbox.state == "stopped" else mailbox.mode),
        (_("conversations"), mailbox.conversations),
        (_("digests"), _("at {hour}:00").format(hour=mailbox.digest_hour)),
        (_("own posts"), _("yes") if mailbox.own_posts else _("no")),
        (_("copies of what names you in To or Cc"), mailbox.addressed),
    ]
