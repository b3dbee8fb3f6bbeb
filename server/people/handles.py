"""What a token stands for. The only writer of `tokens`; the table holds hashes, never a token.

Printed tokens (unsubscribe, bounces, via) are the same each time and do not end; they carry what they stand for, and only those
that were replaced are stored. Granted ones (sign-in, confirm, API) are random, end, and may be used up. A token acts for the thing
that it was made for and gives nobody an identity.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from server import tokens as secret_text
from server.store.schema import tokens
from server.store.upsert import insert_id, insert_new

_REDEEM = select(tokens).where(
    tokens.c.hash == bindparam("token_hash"), tokens.c.kind == bindparam("of_kind"), tokens.c.revoked_at.is_(None)
)
_EPOCHS = (
    select(tokens.c.thing_id, func.count().label("times"))
    .where(
        tokens.c.kind == bindparam("of_kind"),
        tokens.c.thing_id.between(bindparam("first"), bindparam("last")),
        tokens.c.revoked_at.is_not(None),
    )
    .group_by(tokens.c.thing_id)
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid granted token leads to: `thing_id` is the id of what its kind says."""

    id: int
    thing_id: int
    data: dict[str, Any]


def printed(tx: Connection, secret: bytes, kind: str, thing_id: int) -> str:
    """The token of the thing that is printed on whatever is sent; the same every time, until it is replaced."""
    return printed_many(tx, secret, kind, [thing_id])[thing_id]


def printed_many(tx: Connection, secret: bytes, kind: str, ids: Collection[int]) -> dict[int, str]:
    """As `printed`, for the many targets of a lot: one statement for all of them."""
    if not ids:
        return {}
    epochs = _epochs(tx, kind, min(ids), max(ids))
    make = secret_text.printer(secret, kind)
    return {thing: make(thing, epochs.get(thing, 0)) for thing in ids}


def printed_on(tx: Connection, secret: bytes, kind: str, token: str) -> int | None:
    """The id of the thing that a printed token of this kind stands for; None if we never printed it, or replaced it. Reads only."""
    token = token.strip()
    if not secret_text.is_token(token):
        return None
    thing = secret_text.printed_id(secret, token)
    ours = secret_text.printer(secret, kind)(thing, _epochs(tx, kind, thing, thing).get(thing, 0))
    return thing if secret_text.same(ours, token) else None


def replace(tx: Connection, secret: bytes, kind: str, thing_id: int, now: int) -> str:
    """The thing's printed token is worth nothing from now on; the new one."""
    old = _row(printed(tx, secret, kind, thing_id), kind, thing_id, now)
    insert_new(tx, tokens, old | {"revoked_at": now}, ["hash"])
    return printed(tx, secret, kind, thing_id)


def _epochs(tx: Connection, kind: str, first: int, last: int) -> dict[int, int]:
    """How often the printed tokens of things were replaced: of those with an id in the range that had it happen."""
    rows = tx.execute(_EPOCHS, {"of_kind": kind, "first": first, "last": last})
    return {row.thing_id: row.times for row in rows}


def grant(tx: Connection, kind: str, thing_id: int, data: Mapping[str, Any], now: int, ttl_ms: int) -> str:
    """A new random token for the thing, valid for `ttl_ms`; handed out once, for only its hash is kept."""
    token = secret_text.random_token()
    row = _row(token, kind, thing_id, now)
    insert_id(tx, tokens, **row, data=json.dumps(dict(data)), expires_at=now + ttl_ms)
    return token


def redeem(tx: Connection, kind: str, token: str, now: int) -> Grant | None:
    """What a granted token of this kind stands for; None if it is unknown, over, used up or revoked. Reads only."""
    if not secret_text.is_token(token.strip()):
        return None
    row = tx.execute(_REDEEM, {"token_hash": secret_text.token_hash(token), "of_kind": kind}).first()
    if row is None or row.used_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Grant(row.id, row.thing_id, json.loads(row.data))


def spent(tx: Connection, kind: str, token: str) -> Grant | None:
    """What a token stood for that was used up; None for any other. It gives nothing any more: it only tells what was done."""
    if not secret_text.is_token(token.strip()):
        return None
    row = tx.execute(_REDEEM, {"token_hash": secret_text.token_hash(token), "of_kind": kind}).first()
    return None if row is None or row.used_at is None else Grant(row.id, row.thing_id, json.loads(row.data))


def use(tx: Connection, grant_id: int, now: int) -> bool:
    """Use a grant up; False if another was faster and the caller must not act."""
    unused = (tokens.c.id == grant_id) & tokens.c.used_at.is_(None)
    return tx.execute(update(tokens).where(unused).values(used_at=now)).rowcount == 1


def _row(token: str, kind: str, thing_id: int, now: int) -> dict[str, Any]:
    return {"hash": secret_text.token_hash(token), "kind": kind, "thing_id": thing_id, "created_at": now}
