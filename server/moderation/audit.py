"""Who decided what, and when: written once, never changed. The only writer of `audit`."""

from __future__ import annotations

from sqlalchemy import Connection, insert

from server.store.schema import audit


def record(
    tx: Connection, actor: str, verb: str, thing: str, now: int, forum_id: int | None = None, detail: str = ""
) -> None:
    """Note an act. `actor` is "person:ID", "command" or "server"; `thing` names what it was done to, never by an address."""
    row = {"at": now, "forum_id": forum_id, "actor": actor, "verb": verb, "thing": thing, "detail": detail}
    tx.execute(insert(audit), row)
