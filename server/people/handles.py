"""What a token stands for. The only writer of `tokens`; the table holds hashes, never a token.

Printed tokens (unsubscribe, bounces, via) are the same each time and do not end. Granted ones (sign-in, confirm, API) are random, end, and
may be used up. A token acts for the thing that it was made for and gives nobody an identity.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from server import tokens as secret_text
from server.store.schema import tokens
from server.store.upsert import insert_id, insert_many_new, insert_new

LOOKUP = 500  # hashes asked for in one statement: both engines limit the number of parameters

_REDEEM = select(tokens).where(
    tokens.c.hash == bindparam("token_hash"), tokens.c.kind == bindparam("of_kind"), tokens.c.revoked_at.is_(None)
)
_KNOWN = select(tokens.c.hash).where(tokens.c.hash.in_(bindparam("hashes", expanding=True)))


@dataclass(frozen=True, slots=True)
class Grant:
    """What a valid token leads to: `thing_id` is the id of what its kind says."""

    id: int
    thing_id: int
    data: dict[str, Any]


def printed(tx: Connection, secret: bytes, kind: str, thing_id: int, now: int) -> str:
    """The token of the thing that is printed on whatever is sent; the same every time."""
    token = secret_text.printed(secret, kind, thing_id)
    insert_new(tx, tokens, _row(token, kind, thing_id, now), ["hash"])
    return token


def printed_many(tx: Connection, secret: bytes, kind: str, ids: Iterable[int], now: int) -> dict[int, str]:
    """As `printed`, for the many targets of a lot: one statement to look, one for those that are new."""
    made = {thing: secret_text.printed(secret, kind, thing) for thing in ids}
    rows = [_row(token, kind, thing, now) for thing, token in made.items()]
    known: set[str] = set()
    for start in range(0, len(rows), LOOKUP):
        asked = [row["hash"] for row in rows[start : start + LOOKUP]]
        known.update(tx.scalars(_KNOWN, {"hashes": asked}))
    insert_many_new(tx, tokens, [row for row in rows if row["hash"] not in known], ["hash"])
    return made


def grant(tx: Connection, kind: str, thing_id: int, data: Mapping[str, Any], now: int, ttl_ms: int) -> str:
    """A new random token for the thing, valid for `ttl_ms`; handed out once, for only its hash is kept."""
    token = secret_text.random_token()
    row = _row(token, kind, thing_id, now)
    insert_id(tx, tokens, **row, data=json.dumps(dict(data)), expires_at=now + ttl_ms)
    return token


def redeem(tx: Connection, kind: str, token: str, now: int) -> Grant | None:
    """What a token of this kind stands for; None if it is unknown, over, used up or revoked. Reads only."""
    if not secret_text.is_token(token.strip()):
        return None
    row = tx.execute(_REDEEM, {"token_hash": secret_text.token_hash(token), "of_kind": kind}).first()
    if row is None or row.used_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return Grant(row.id, row.thing_id, json.loads(row.data))


def use(tx: Connection, grant_id: int, now: int) -> bool:
    """Use a grant up; False if another was faster and the caller must not act."""
    unused = (tokens.c.id == grant_id) & tokens.c.used_at.is_(None)
    return tx.execute(update(tokens).where(unused).values(used_at=now)).rowcount == 1


def _row(token: str, kind: str, thing_id: int, now: int) -> dict[str, Any]:
    return {"hash": secret_text.token_hash(token), "kind": kind, "thing_id": thing_id, "created_at": now}
