"""A bridge's own rows: the implementation of `bridge.Rows`. The only writer of `inbox` and `bridge_rows`.

Every statement names the bridge, so that none can touch another's rows.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, delete, select, update

from server.bridge import Kept
from server.store.schema import bridge_rows, inbox
from server.store.upsert import insert_all_new, insert_new, insert_or_set


class BridgeRows:
    """The rows of one bridge inside one transaction; of no use after it."""

    def __init__(self, tx: Connection, bridge: str, now: int) -> None:
        self._tx, self._bridge, self._now = tx, bridge, now

    def keep(self, name: str, data: bytes) -> bool:
        """Store `data` under `name`; False if that name is known already, and nothing changes."""
        row = {"bridge": self._bridge, "name": name, "bytes": data, "created_at": self._now}
        return insert_new(self._tx, inbox, row, ["bridge", "name"])

    def keep_all(self, rows: Sequence[tuple[str, bytes]]) -> None:
        """`keep` each (name, data), in this order."""
        new = [{"bridge": self._bridge, "name": name, "bytes": data, "created_at": self._now} for name, data in rows]
        insert_all_new(self._tx, inbox, new, ["bridge", "name"])

    def take(self, limit: int, after: int = 0) -> list[Kept]:
        """The oldest new rows (those after that id), in order of arrival; they stay new until `done` or `quarantine`."""
        rows = self._tx.execute(
            select(inbox.c.id, inbox.c.name, inbox.c.bytes, inbox.c.attempts)
            .where(inbox.c.bridge == self._bridge, inbox.c.state == "new", inbox.c.id > after)
            .order_by(inbox.c.id)
            .limit(limit)
        )
        return [Kept(row.id, row.name, row.bytes, row.attempts) for row in rows]

    def done(self, row: int) -> None:
        """Its work is done: the name stays known, the bytes are let go (what became a post has its original)."""
        self._tx.execute(update(inbox).where(self._mine(row)).values(state="done", bytes=b"", error=None))

    def again(self, row: int, error: str) -> None:
        """Count one more failed try; the row stays new."""
        self._tx.execute(update(inbox).where(self._mine(row)).values(attempts=inbox.c.attempts + 1, error=error))

    def quarantine(self, row: int, error: str) -> None:
        """Keep the bytes aside for a person; never tried again by itself."""
        self._tx.execute(
            update(inbox).where(self._mine(row)).values(state="quarantined", attempts=inbox.c.attempts + 1, error=error)
        )

    def get(self, kind: str, key: str) -> str | None:
        """The value under kind and key."""
        value = self._tx.execute(select(bridge_rows.c.value).where(self._fact(kind), bridge_rows.c.key == key))
        return value.scalar()

    def put(self, kind: str, key: str, value: str) -> None:
        """Set the value under kind and key."""
        row = {"bridge": self._bridge, "kind": kind, "key": key, "value": value}
        insert_or_set(self._tx, bridge_rows, row, ["bridge", "kind", "key"], ["value"])

    def drop(self, kind: str, key: str) -> None:
        """Forget the value under kind and key; nothing happens if there is none."""
        self._tx.execute(delete(bridge_rows).where(self._fact(kind), bridge_rows.c.key == key))

    def _mine(self, row: int) -> ColumnElement[bool]:
        return (inbox.c.id == row) & (inbox.c.bridge == self._bridge)

    def _fact(self, kind: str) -> ColumnElement[bool]:
        return (bridge_rows.c.bridge == self._bridge) & (bridge_rows.c.kind == kind)
