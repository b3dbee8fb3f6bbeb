"""Two addresses, one person: who may ask for it, who must agree, and all that moves when they do. The address that is named is asked.

Nobody escapes by it what a moderator decided: who is shut out of any forum is linked with nobody, and of two memberships every
restriction stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from server.bridge import WEB, Act
from server.delivery import letters
from server.desk import Desk, asking, forums, mentions, posts
from server.errors import CommandError, Rejected
from server.i18n import _
from server.moderation import audit, bans, flags
from server.people import identity, marks, membership, sessions, subscriptions

ASKED, LINKED = "ask link", "link"  # verbs of the audit
ASKED_A_DAY = 5  # by one person, whatever addresses
_YES = frozenset(("yes", "confirm", "ok", "okay"))


def other(tx: Connection, desk: Desk, forum: Row[Any], person_id: int, value: str) -> tuple[str, str]:
    """(channel, address) that somebody names as theirs too. Raises CommandError for no address, their own, or too many."""
    if is_shut_out(tx, person_id):
        raise CommandError(_("link: this cannot be done while you are banned from a forum here."))
    asked = audit.count(tx, f"person:{person_id}", ASKED, forum.id, desk.now() - letters.ONCE_IN)
    if asked >= ASKED_A_DAY:
        raise CommandError(_("link: you named many addresses today; please go on tomorrow."))
    for channel, claims in desk.claims.items():
        normal = claims(value.strip()) if value.strip() else None
        if normal is not None:
            known = identity.find(tx, channel, normal)
            if known is not None and known.person_id == person_id:
                raise CommandError(_("link: {address} is yours already.").format(address=normal))
            return channel, normal
    raise CommandError(_("link: write the other address after it, such as: link you@example.org"))


def ask(tx: Connection, desk: Desk, forum: Row[Any], person_id: int, address_id: int, named: tuple[str, str]) -> str:
    """Ask the address that was named. Says the same whether it is known here, was asked today already, or is shut out."""
    now, asked = desk.now(), identity.ensure(tx, *named, "", desk.now())
    name = identity.person(tx, person_id).name
    facts = {
        "asker": identity.address(tx, address_id),
        # A name is what somebody chose: one that reads as an address of anything is left out of a mail to whom they named.
        "called": _(", called {name},").format(name=name)
        if name and len(name) <= 40 and not set(name) & set("@:/.")
        else "",
        "asked": named[1],
        "with": address_id,
    }
    asking.ask(tx, forum, asking.LINK, asked, facts, now)
    audit.record(tx, f"person:{person_id}", ASKED, LINKED, now, forum_id=forum.id)
    return _("link: {address} is asked whether that is you. It says how to answer.").format(address=named[1])


def refuse_unless_meant(tx: Connection, desk: Desk, inbound: Act, facts: Mapping[str, Any]) -> None:
    """Raise Rejected for an answer that is not surely a person's yes: a machine that answers mail must make nobody one with a stranger."""
    channel = inbound.author.channel
    if channel == WEB:
        return  # a button was pressed
    asked = (identity.reader(tx, int(facts["address_id"]))[0], identity.address(tx, int(facts["address_id"])))
    if (channel, inbound.author.address) != asked:
        raise Rejected("5.7.1", _("Please answer from the address that was asked: your answer was not taken."))
    first = inbound.words[0].strip(".,;:!?\"'").casefold() if inbound.words else ""
    plain = first if len(inbound.words) == 1 else ""
    if channel in desk.channels(takes_back=False) and plain not in _YES | {_("yes")}:
        raise Rejected("5.7.0", _("If both addresses are yours, answer with the one word yes. Nothing was done."))


def confirmed(tx: Connection, desk: Desk, forum: Row[Any], facts: Mapping[str, Any], person_id: int) -> int:
    """Whoever reads the address that was asked agrees: both are one person; who that is. Raises Rejected where it may not be."""
    asker_at = int(facts["with"])
    asker = identity.person_at(tx, asker_at)
    if asker == person_id:
        return person_id
    if is_shut_out(tx, asker) or is_shut_out(tx, person_id):
        raise Rejected("5.7.1", _("One of the two is banned from a forum here, so they cannot become one person."))
    identity.verify(tx, asker_at, desk.now())  # nothing asks for another address without proof of its own
    gone, into = _order(tx, desk, asker, person_id)
    merge(tx, desk, gone, into, f"person:{person_id}")
    told = {"one": facts["asker"], "other": facts["asked"]}
    for address_id in (asker_at, int(facts["address_id"])):
        letters.notice(tx, address_id, "linked", forum.id, told, desk.now())
    return into


def is_shut_out(tx: Connection, person_id: int) -> bool:
    """Whether the person is banned from any forum: such people become nobody else."""
    return bool(bans.shut_out_of(tx, person_id))


def _order(tx: Connection, desk: Desk, one: int, two: int) -> tuple[int, int]:
    """(who is gone, who stays): who has a mailbox stays, for rooms know them by a user of ours; else who came first."""

    def rank(person_id: int) -> tuple[bool, int]:
        theirs = {row.channel for row in identity.addresses_of(tx, [person_id])}
        return not theirs.intersection(desk.channels(takes_back=False)), person_id

    into, gone = sorted((one, two), key=rank)
    return gone, into


def merge(tx: Connection, desk: Desk, gone: int, into: int, actor: str) -> None:
    """All that is the one person's is the other's from now on."""
    now = desk.now()
    identity.merge(tx, gone, into)
    for part in (membership, subscriptions, marks, sessions, posts, mentions, letters, flags):
        part.merge(tx, gone, into)
    for person_id in (gone, into):
        for row in membership.of_person(tx, person_id):
            forums.changed(tx, row.forum_id, "member", person_id, now)
    audit.record(tx, actor, LINKED, f"person:{into}", now, detail=f"person:{gone}")
