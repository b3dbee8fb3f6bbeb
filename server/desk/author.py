"""Who wrote it: from what a channel tells to a person we know. Reads; makes people only when asked to.

A reply address or a token never gives identity.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from server import limits
from server.bridge import WEB, Author, Doubt
from server.content.sanitize import plain_line
from server.desk import Desk, policy
from server.errors import Rejected
from server.i18n import _
from server.moderation import bans
from server.people import identity, membership


def find(tx: Connection, author: Author) -> identity.Known | None:
    """The person behind the author, if we know them. On the web the address is the person's id, vouched for by the session."""
    if author.channel != WEB:
        return identity.find(tx, author.channel, author.address)
    row = identity.person(tx, int(author.address))
    return identity.Known(row.id, 0, row.key, row.name)


def facts(
    tx: Connection,
    forum: Row[Any],
    author: Author,
    known: identity.Known | None,
    member: Row[Any] | None,
    automatic: bool = False,
) -> policy.Facts:
    """What `policy` decides by. `known` and `member` are what we know of the author."""
    return policy.facts(
        forum,
        author.proof,
        membership.role(member),
        _is_shut_out(tx, forum.id, author, known),
        may_post=member is None or member.may_post,
        automatic=automatic,
        address=author.address,
        doubt=author.doubt,
    )


def refuse_shut_out(tx: Connection, forum: Row[Any], author: Author, known: identity.Known | None) -> None:
    """Raise Rejected for an author who is shut out of the forum."""
    if _is_shut_out(tx, forum.id, author, known):
        raise Rejected("5.7.1", policy.shut_out_of(policy.shown_title(forum, is_member=False)))


def _is_shut_out(tx: Connection, forum_id: int, author: Author, known: identity.Known | None) -> bool:
    address = "" if author.channel == WEB else author.address
    return bans.is_shut_out(tx, forum_id, known.person_id if known else None, address)


def refuse_forged(author: Author) -> None:
    """Raise Rejected for words that the author's own domain says are not theirs (RFC 9989, p=reject): it wants them kept out."""
    if author.doubt is Doubt.FORBIDDEN:
        raise Rejected(
            "5.7.1",
            _("The domain of your address says that this message is not from you (DMARC), so nothing was done."),
        )


def ensure(tx: Connection, author: Author, now: int, named: bool = True) -> identity.Known:
    """As `find`; a person who is new gets a row. Raises Rejected for an author without address.

    `named`: the name that the channel tells is taken for theirs. Not so where anybody may have written it.
    """
    if author.channel == WEB:
        known = find(tx, author)
        if known is None:
            raise Rejected("5.7.1", _("Please sign in again."))
        return known
    if not author.address:
        raise Rejected("5.1.7", _("The sender's address cannot be read."))
    return identity.ensure(tx, author.channel, author.address, shown_name(author) if named else "", now)


def mailbox(tx: Connection, desk: Desk, person_id: int) -> int | None:
    """The id of the person's address on a channel that cannot take back what it sent, such as a mailbox."""
    for channel in desk.channels(takes_back=False):
        address = identity.address_of(tx, person_id, channel)
        known = identity.find(tx, channel, address) if address else None
        if known is not None:
            return known.address_id
    return None


def shown_name(author: Author) -> str:
    """A name that may be shown: never an address, even where a client put one in the name's place."""
    name = plain_line(author.name, limits.NAME_CHARS).strip(" \"'")
    if "@" in name:
        name = name.split("@", 1)[0].strip(" <\"'")
    return name
