"""One event to one room, and the name of its transaction.

A homeserver keeps the transaction ids of all ghosts of an application service in one space, so an id is made of the lot, the room,
the part and its kind, and is the same at every attempt.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from bridges.matrix.ghosts import Ghosts
from bridges.matrix.wire import Ghost, Trouble, told


async def send(ghosts: Ghosts, ghost: Ghost, room: str, kind: str, content: dict[str, Any], transaction: str) -> str:
    """Send one event, and answer its id; a ghost that has lost its device or its place in the room gets it back, once."""
    try:
        answer = await told(ghost.room_send(room, kind, content, tx_id=transaction))
    except Trouble as trouble:
        if trouble.code not in ("M_UNKNOWN_DEVICE", "M_FORBIDDEN"):
            raise
        ghost = await ghosts.renew(ghost)
        if trouble.code == "M_FORBIDDEN":
            await ghosts.into(ghost, room, again=True)
        answer = await told(ghost.room_send(room, kind, content, tx_id=transaction))
    return str(answer.event_id)


def named(*parts: object) -> str:
    """A short name made of these; the same of the same."""
    digest = hashlib.sha256(json.dumps(parts).encode()).digest()
    return base64.urlsafe_b64encode(digest[:24]).decode()
