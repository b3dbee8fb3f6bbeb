"""Private words that come in: to an author behind their -via address, to the owners, to the operator; and sign-in links.

Neither side's address is shown to the other. Only members reach an author, with proof that they are who they say: who answers would
answer a stranger else. Their sender is told that it went to one person only.
"""

from __future__ import annotations

from typing import Any

import zstandard
from sqlalchemy import Connection, Row

from server import bridge, clock, tokens
from server.bridge import Accepted, Letter, Proof, Result
from server.delivery import letters
from server.desk import Desk, author, forums, policy
from server.errors import Rejected
from server.i18n import _
from server.people import handles, identity, membership

AUTHOR, OWNERS, OPERATOR = "author", "owners", "operator"
LETTERS_AN_HOUR = 20


def accept(tx: Connection, desk: Desk, inbound: Letter) -> Result:
    """Book the letter. Raises Rejected when it cannot be brought to anybody; a machine's words to an author go nowhere (RFC 3834)."""
    if inbound.automatic and inbound.to == AUTHOR:
        return Accepted()
    if inbound.to == OPERATOR:
        return _to_operator(tx, desk, inbound)
    if inbound.to == AUTHOR:
        return _to_author(tx, desk, *_receiver(tx, desk, inbound), inbound)
    forum = forums.find(tx, inbound.forum or "")
    if forum is None:
        raise Rejected("5.1.1", _("There is no such address here."))
    receivers = [row.address_id for row in membership.owners(tx, forum.id) if row.channel in desk.traits]
    if not receivers:
        return _to_operator(tx, desk, inbound)
    _book(tx, desk, inbound, forum, receivers, {"reply_address": inbound.author.address})
    return Accepted()


def _receiver(tx: Connection, desk: Desk, inbound: Letter) -> tuple[int, Row[Any]]:
    """(person, forum): whom the token or the key means. Raises Rejected if it is nobody."""
    if inbound.key is not None:
        person_id = identity.of_key(tx, inbound.key)
        sender = author.find(tx, inbound.author)
        theirs = _forums_of(tx, person_id) if person_id is not None else []
        mine = _forums_of(tx, sender.person_id) if sender is not None else []
        for forum_id in [each for each in mine if each in theirs] or theirs:
            assert person_id is not None
            return person_id, forums.by_id(tx, forum_id)
    else:
        written_to = handles.printed_on(tx, desk.secret, "via", inbound.token or "")
        member = membership.by_id(tx, written_to) if written_to is not None else None
        forum = forums.find(tx, inbound.forum or "")
        if member is not None and forum is not None and member.forum_id == forum.id:
            return identity.survivor(tx, member.person_id), forum
    raise Rejected("5.1.1", _("There is no such address here (any more)."))


def _forums_of(tx: Connection, person_id: int) -> list[int]:
    return [row.forum_id for row in membership.of_person(tx, person_id) if membership.is_active(row)]


def _to_author(tx: Connection, desk: Desk, receiver: int, forum: Row[Any], inbound: Letter) -> Result:
    now = desk.now()
    sender = author.find(tx, inbound.author)
    mine = membership.of(tx, sender.person_id, forum.id) if sender else None
    author.refuse_shut_out(tx, forum, inbound.author, sender)
    if sender is None or mine is None or not membership.is_active(mine):
        raise Rejected(
            "5.7.1",
            _("Only members of {forum} can write to its authors.").format(
                forum=policy.shown_title(forum, is_member=False)
            ),
        )
    if inbound.author.proof < Proof.AUTHENTICATED:
        raise Rejected(
            "5.7.1",
            _(
                "A private letter is passed on only where something shows who wrote it: a signature of your mail domain (DKIM), "
                "or its own mail server (SPF). You can answer in {forum}, or on its page."
            ).format(forum=forum.title),
        )
    if letters.sent_by(tx, sender.person_id, now - clock.HOUR) >= LETTERS_AN_HOUR:
        raise Rejected("5.7.1", _("These are many private letters in one hour: please write some of them later."))
    known = _reached(tx, desk, receiver, inbound.author.channel)
    if known is None:
        raise Rejected("5.7.1", _("This author cannot be reached in private: please answer in the forum."))
    more = {"person_id": sender.person_id, "membership_id": mine.id}
    if sender.name:
        more["name"] = sender.name
    _book(tx, desk, inbound, forum, [known.address_id], more)
    if inbound.author.channel in desk.channels(takes_back=False):  # in a chat one sees whom one writes to
        facts = {
            "name": known.name or _("the author"),
            "subject": inbound.subject,
            "in_reply_to": bridge.message_id(inbound.ref),
        }
        letters.notice(tx, sender.address_id, "letter-sent", forum.id, facts, now)
    return Accepted()


def _reached(tx: Connection, desk: Desk, person_id: int, channel: str) -> identity.Known | None:
    """Where a person is written to in private: by the channel that the letter came by, else in their mailbox, else in a chat."""
    for name in (channel, *desk.channels(takes_back=False), *desk.channels(takes_back=True)):
        address = identity.address_of(tx, person_id, name) if name in desk.traits else None
        known = identity.find(tx, name, address) if address else None
        if known is not None:
            return known
    return None


def _to_operator(tx: Connection, desk: Desk, inbound: Letter) -> Result:
    """Always taken (RFC 5321 section 4.5.1); without an operator in the configuration it is kept."""
    operator = letters.operator(tx, desk)
    receivers = [operator] if operator is not None else []
    _book(tx, desk, inbound, None, receivers, {"reply_address": inbound.author.address})
    return Accepted()


def bring_kept(tx: Connection, desk: Desk) -> int:
    """What came for an operator while there was none goes to the one that the configuration names now; how many."""
    waiting = letters.kept(tx)
    operator = letters.operator(tx, desk) if waiting else None
    if operator is None:
        return 0
    for letter_id in waiting:
        letters.bring(tx, letter_id, operator, None, desk.now())
    return len(waiting)


def _book(
    tx: Connection,
    desk: Desk,
    inbound: Letter,
    forum: Row[Any] | None,
    receivers: list[int],
    more: dict[str, Any],
) -> None:
    domain = forum.mail_domain if forum is not None else "localhost"
    letters.letter(
        tx,
        to=inbound.to,
        receivers=receivers,
        data={
            "name": author.shown_name(inbound.author),
            "subject": inbound.subject,
            "text": inbound.text,
            "channel": inbound.author.channel,
            "message_id": tokens.message_id(domain),
            **more,
        },
        original=zstandard.compress(inbound.original) if inbound.original is not None else None,
        forum_id=forum.id if forum is not None else None,
        now=desk.now(),
        person_id=more.get("person_id"),
    )


def sign_in_link(tx: Connection, desk: Desk, address: str, back: str, place: str, now: int) -> bool:
    """Book a sign-in link; somebody new becomes a person by it. False if no channel knows such an address, which no page tells.

    `back`: the page of ours that the link leads to, on whatever device; `place`: the forum that it is for ("": the site).
    """
    for channel in desk.channels(takes_back=False):
        normal = desk.claims[channel](address) if channel in desk.claims else None
        if normal is not None:
            known = identity.ensure(tx, channel, normal, "", now)
            facts = {"next": back} | ({"place": place} if place else {})
            letters.notice(tx, known.address_id, "sign-in", None, facts, now)
            return True
    return False
