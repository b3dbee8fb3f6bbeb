"""How far the reading of each file of old messages has come, so that a run that was killed goes on. The only writer of `imports`.

A file that was read to its end has no row: reading it again reads all of it, and finds everything here already.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, delete, select

from server.store.schema import imports
from server.store.upsert import insert_or_set

_COUNTS = ("imported", "duplicate", "rejected")


@dataclass(frozen=True, slots=True)
class Progress:
    """What became of the messages before `position`."""

    position: int = 0
    imported: int = 0
    duplicate: int = 0
    rejected: int = 0

    def on(self, position: int, imported: int, duplicate: int, rejected: int) -> Progress:
        """So far, and so many more up to that position."""
        return replace(
            self,
            position=position,
            imported=self.imported + imported,
            duplicate=self.duplicate + duplicate,
            rejected=self.rejected + rejected,
        )


def so_far(tx: Connection, forum_id: int, source: str) -> Progress:
    """How far an earlier run came with that file."""
    mine = (imports.c.forum_id == forum_id) & (imports.c.source == source)
    row = tx.execute(select(imports).where(mine)).first()
    return Progress(row.position, row.imported, row.duplicate, row.rejected) if row is not None else Progress()


def note(tx: Connection, forum_id: int, source: str, done: Progress, now: int) -> None:
    """In the transaction that takes the messages in."""
    values = {"forum_id": forum_id, "source": source, "position": done.position, "updated_at": now}
    values |= {name: getattr(done, name) for name in _COUNTS}
    insert_or_set(tx, imports, values, ["forum_id", "source"], ["position", "updated_at", *_COUNTS])


def finished(tx: Connection, forum_id: int, source: str) -> None:
    """The file was read to its end."""
    tx.execute(delete(imports).where((imports.c.forum_id == forum_id) & (imports.c.source == source)))
