"""What changed in a forum since N: the one source for every reader with a cursor (live pages, room state, search, caches).

The only writer of `changes`. The number N is the forum's modseq, raised by `desk.forums.changed` in the transaction that makes the
change; a hint sent to the process is only a reason to look here.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, insert

from server.store import db
from server.store.schema import changes

KINDS = frozenset({"post", "edit", "retraction", "reaction", "forum", "member"})
"""What can change; `thing_id` is the id of a post (the first four), the forum or a person."""

_RECORD = insert(changes)


def record_many(tx: Connection, forum_id: int, first: int, kind: str, things: Sequence[int], now: int) -> None:
    """As `record`, for changes of one kind with modseqs from `first` on."""
    assert kind in KINDS, kind
    if things:
        common = {"forum_id": forum_id, "kind": kind, "at": now}
        tx.execute(_RECORD, [common | {"modseq": first + n, "thing_id": thing} for n, thing in enumerate(things)])
        db.after(tx, "changes")


def record(tx: Connection, forum_id: int, modseq: int, kind: str, thing_id: int, now: int) -> None:
    """Note a change under the forum's new modseq and hint at it after the commit."""
    assert kind in KINDS, kind
    row = {"forum_id": forum_id, "modseq": modseq, "kind": kind, "thing_id": thing_id, "at": now}
    tx.execute(_RECORD, row)
    db.after(tx, "changes")
