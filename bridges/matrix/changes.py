"""What somebody in a room does to what was said: edits, redactions, signs. Handed to the house by the name of what they mean.

A change whose target is not known yet is parked, and made when that arrives: after a gap events come in another order, and a message
that a moderator has yet to release has no name in the house.
"""

from __future__ import annotations

import json

from bridges.matrix import parse
from bridges.matrix.compose import SPACE
from bridges.matrix.fetch import Fetch
from bridges.matrix.notices import Notices
from bridges.matrix.whole import Completer
from server import log
from server.bridge import Accepted, Author, Edit, Forum, House, Kept, Reaction, Ref, Result, Retract, Rows
from server.errors import Rejected

PARKED = 10  # changes that wait for one event; of more the first ones
UNKNOWN = "5.5.0"  # how the house says that it has no such post
_log = log.get("matrix.changes")


class Changes:
    """Edits, redactions and signs of one homeserver's rooms."""

    def __init__(self, house: House, fetch: Fetch, complete: Completer, notices: Notices) -> None:
        self._house, self._fetch, self._complete, self._notices = house, fetch, complete, notices

    async def made(
        self,
        row: Kept,
        event: parse.Event,
        room: str,
        forum: Forum,
        author: Author,
        change: parse.Edited | parse.Redacted | parse.Reacted,
    ) -> None:
        """Hand the change over, or park it. A refusal is logged only: the room shows by itself what became of it there."""
        try:
            match change:
                case parse.Edited():
                    await self._edited(row, event, room, forum, author, change)
                case parse.Redacted():
                    await self._redacted(row, event, room, forum, author, change)
                case parse.Reacted(target, key):
                    await self._house.accept(Reaction(forum.slug, author, _ref(target), _ref(row.name), key))
                    await self._house.write(lambda rows: rows.put("reaction", row.name, json.dumps([target, key])))
        except Rejected as refusal:
            _log.info("refused", kind=type(change).__name__, code=refusal.code, reason=refusal.reason)
            if refusal.code == UNKNOWN:
                await self._park(change.target, event)

    async def parked(self, target: str) -> list[parse.Event]:
        """What waits until this event arrives, in the order in which it was said."""
        stored = await self._house.write(lambda rows: rows.get("parked", target))
        waiting: list[parse.Event] = json.loads(stored) if stored is not None else []
        return sorted(waiting, key=_said_at)

    async def unpark(self, target: str) -> None:
        """It was made."""
        await self._house.write(lambda rows: rows.drop("parked", target))

    async def _park(self, target: str, event: parse.Event) -> None:
        def put(rows: Rows) -> None:
            waiting = json.loads(rows.get("parked", target) or "[]")
            if len(waiting) < PARKED and all(each["event_id"] != event["event_id"] for each in waiting):
                rows.put("parked", target, json.dumps([*waiting, event]))

        await self._house.write(put)

    async def _edited(
        self, row: Kept, event: parse.Event, room: str, forum: Forum, author: Author, edited: parse.Edited
    ) -> None:
        """An edit counts only by the sender of what it replaces, and only of a message that is no edit (C-S API 11.3.7)."""
        before = await self._fetch.event(room, edited.target)
        relation = before.get("content", {}).get("m.relates_to") if before else None
        is_edit = isinstance(relation, dict) and relation.get("rel_type") == "m.replace"
        if before is None or before.get("sender") != event["sender"] or is_edit:
            return
        text, html = await self._complete.words(edited.text, edited.html, edited.people, room, row.attempts)
        edit = Edit(forum.slug, author, _ref(edited.target), _ref(row.name), text, html, original=row.data)
        await self._house.accept(edit)
        await self._house.write(lambda rows: rows.put("edit", row.name, edited.target))

    async def _redacted(
        self, row: Kept, event: parse.Event, room: str, forum: Forum, author: Author, redacted: parse.Redacted
    ) -> None:
        def look(rows: Rows) -> tuple[str | None, str | None]:
            return rows.get("reaction", redacted.target), rows.get("edit", redacted.target)

        reaction, edit = await self._house.write(look)
        gone = _ref(redacted.target)
        if reaction is not None:
            target, key = json.loads(reaction)
            await self._house.accept(Reaction(forum.slug, author, _ref(target), gone, key, removed=True))
        elif edit is not None:
            await self._restored(row, room, forum, author, edit)
        else:
            result: Result = await self._house.accept(Retract(forum.slug, author, gone))
            if isinstance(result, Accepted) and result.reply:  # in how many mailboxes it already is
                await self._notices.answer(room, row.name, event["sender"], None, result.reply)

    async def _restored(self, row: Kept, room: str, forum: Forum, author: Author, target: str) -> None:
        """Taking an edit back brings the text before it back; the homeserver says which one that is."""
        now = await self._fetch.event(room, target)
        said = parse.current(now) if now is not None else None
        if said is not None:
            text, html = await self._complete.words(said.text, said.html, said.people, room, row.attempts)
            await self._house.accept(
                Edit(forum.slug, author, _ref(target), _ref(row.name), text, html, original=row.data)
            )


def _ref(event: str) -> Ref:
    return Ref(SPACE, event)


def _said_at(event: parse.Event) -> int:
    at = event.get("origin_server_ts")
    return at if isinstance(at, int) else 0
