"""Who is spoken to by name in a post, as far as its channel tells it. The only writer of `mentions`.

It makes the post come to whom it names, where their mode is topics or mentions; a muted thread stays muted.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, Connection, bindparam, delete, select, update

from server.people import identity
from server.store.schema import mentions
from server.store.upsert import insert_new

MOST = 50  # of one message

_m = mentions.c
of_post = select(_m.person_id).where(_m.post_id == bindparam("post", type_=BigInteger()))
"""The people whom the post (the parameter `post`) names: for statements that choose receivers."""


def note(tx: Connection, post_id: int, channel: str, names: Sequence[str]) -> list[int]:
    """Note whom a post names, by opaque keys and addresses of the channel; who that is. Names of nobody are passed over."""
    found: list[int] = []
    for name in dict.fromkeys(names[:MOST]):
        known = identity.find(tx, channel, name) if "@" in name else None
        person_id = known.person_id if known is not None else identity.of_key(tx, name)
        if person_id is not None and insert_new(
            tx, mentions, {"post_id": post_id, "person_id": person_id}, ["post_id", "person_id"]
        ):
            found.append(person_id)
    return found


def merge(tx: Connection, gone: int, into: int) -> None:
    """Who names the one person names the other."""
    twice = select(_m.post_id).where(_m.person_id == into)
    tx.execute(delete(mentions).where(_m.person_id == gone, _m.post_id.in_(twice)))
    tx.execute(update(mentions).where(_m.person_id == gone).values(person_id=into))
