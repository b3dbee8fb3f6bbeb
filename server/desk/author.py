"""Who wrote it: from what a channel tells to a person we know. Reads; makes people only when asked to.

A reply address or a token never gives identity.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from server import limits
from server.bridge import WEB, Author, Doubt
from server.content.sanitize import plain_line
from server.desk import Desk
from server.errors import Rejected
from server.i18n import _
from server.moderation import bans
from server.people import identity


def find(tx: Connection, author: Author) -> identity.Known | None:
    """The person behind the author, if we know them. On the web the address is the person's id, vouched for by the session."""
    if author.channel != WEB:
        return identity.find(tx, author.channel, author.address)
    row = identity.person(tx, int(author.address))
    return identity.Known(row.id, 0, row.key, row.name)


def is_banned(tx: Connection, forum_id: int, author: Author) -> bool:
    """Whether a ban keeps the author out of the forum; whoever is signed in, by any of their addresses."""
    addresses: Sequence[str] = [author.address]
    if author.channel == WEB:
        addresses = [row.address for row in identity.addresses_of(tx, [int(author.address)])]
    return any(bans.applies(tx, forum_id, address) is not None for address in addresses)


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
