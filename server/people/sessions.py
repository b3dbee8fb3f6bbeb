"""Who is signed in on our pages. The only writer of `sessions`; the table holds hashes, never a cookie."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from server import clock, tokens
from server.store.schema import sessions

LIFE_MS = 30 * clock.DAY

_PERSON = select(sessions.c.person_id).where(
    sessions.c.hash == bindparam("token_hash"), sessions.c.expires_at > bindparam("at")
)


def open(tx: Connection, person_id: int, now: int) -> str:
    """Sign the person in for 30 days; the token for their cookie. Their sessions that are over are swept away."""
    tx.execute(delete(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_at <= now))
    token = tokens.random_token()
    row = {"hash": tokens.token_hash(token), "person_id": person_id, "created_at": now, "seen_at": now}
    tx.execute(insert(sessions), row | {"expires_at": now + LIFE_MS})
    return token


def person_of(tx: Connection, token: str, now: int) -> int | None:
    """The id of the person whose session this is, while it lasts. Reads only."""
    if not tokens.is_token(token):
        return None
    return tx.execute(_PERSON, {"token_hash": tokens.token_hash(token), "at": now}).scalar()


def close(tx: Connection, token: str) -> None:
    """Sign out; nothing happens if there is no such session."""
    tx.execute(delete(sessions).where(sessions.c.hash == tokens.token_hash(token)))


def merge(tx: Connection, gone: int, into: int) -> None:
    """Who is signed in as the one person is signed in as the other."""
    tx.execute(update(sessions).where(sessions.c.person_id == gone).values(person_id=into))
