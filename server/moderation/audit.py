"""Who decided what, and when: written once, never changed. The only writer of `audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select

from server.store.schema import audit


def record(
    tx: Connection, actor: str, verb: str, thing: str, now: int, forum_id: int | None = None, detail: str = ""
) -> None:
    """Note an act. `actor` is "person:ID", "command" or "server"; `thing` names what it was done to, never by an address."""
    row = {"at": now, "forum_id": forum_id, "actor": actor, "verb": verb, "thing": thing, "detail": detail}
    tx.execute(insert(audit), row)


def latest(tx: Connection, forum_id: int, thing: str, verbs: Sequence[str]) -> Row[Any] | None:
    """The last of these acts on a thing of the forum."""
    mine = (audit.c.forum_id == forum_id, audit.c.thing == thing, audit.c.verb.in_(verbs))
    return tx.execute(select(audit).where(*mine).order_by(audit.c.id.desc()).limit(1)).first()


def last_at(tx: Connection, actor: str, verb: str, forum_id: int) -> int:
    """When somebody did that last in the forum; 0: never."""
    mine = (audit.c.actor == actor, audit.c.verb == verb, audit.c.forum_id == forum_id)
    return tx.scalar(select(func.max(audit.c.at)).where(*mine)) or 0


def count(tx: Connection, actor: str, verb: str, forum_id: int, since: int) -> int:
    """How often somebody did that in the forum since then."""
    mine = (audit.c.actor == actor, audit.c.verb == verb, audit.c.forum_id == forum_id, audit.c.at >= since)
    return tx.scalar(select(func.count()).select_from(audit).where(*mine)) or 0
