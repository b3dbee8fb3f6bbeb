"""What the homeserver tells an ordinary account: its sync, stored as it comes. Understands nothing of what it stores.

The events of a sync and the token for the next one are one transaction: nothing that was told is lost, and nothing is heard twice.
Where a sync leaves out what came before its last events, that is fetched and stored first, in its order.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from bridges.matrix.appservice import kept
from bridges.matrix.names import escaped, is_id
from bridges.matrix.voice import OneVoice
from bridges.matrix.wire import Trouble
from server import log, metrics
from server.bridge import House, Rows
from server.errors import Deferred
from server.i18n import _

WAIT_SECONDS, ANSWER_SECONDS = 25.0, 60.0
ANSWER_BYTES = 32 * 1024 * 1024
TIMELINE, PAGE = 50, 50  # events of a room in one answer
TOKEN_CHARS = 4096
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
Event = dict[str, Any]
_log = log.get("matrix.sync")


class _Moved(Exception):
    """Somebody else has stored this sync."""


class Sync:
    """Hears for one account. Rows: `sync`, the token to go on from; `synced`, a room that we heard from before."""

    def __init__(
        self,
        house: House,
        voices: OneVoice,
        arrived: Callable[[], None],
        well: Callable[[], Awaitable[None]],
        doubt: Callable[[str], None],
    ) -> None:
        self._house, self._voices = house, voices
        self._arrived, self._well, self._doubt = arrived, well, doubt
        self.timeline, self.wait = TIMELINE, WAIT_SECONDS

    async def run(self) -> None:
        """Until cancelled. An outage is waited out; coming back from one, everything that waits is tried at once."""
        pause, was_away, most = SHORTEST_PAUSE, True, self.timeline
        while True:
            try:
                await self.once(0.0 if was_away else self.wait)
                await self._well()
                if was_away:
                    self._house.nudge()
                pause, was_away, self.timeline = SHORTEST_PAUSE, False, most
                continue
            except Trouble as trouble:
                self._doubt(str(trouble))
                _log.warning("homeserver away", problem=str(trouble))
                was_away = True
                self.timeline = max(1, self.timeline // 2)  # what was too much at once comes in smaller answers
                wait = max(pause, (trouble.retry_after_ms or 0) / 1000)
            except Deferred as later:
                _log.warning("waiting", problem=later.reason)
                wait = pause
            except Exception as problem:  # noqa: BLE001  a loop's edge
                metrics.LOOP_ERRORS.labels("matrix.sync").inc()
                _log.error("the loop failed", problem=repr(problem), exc_info=True)
                wait = pause
            await asyncio.sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def once(self, wait: float = 0.0) -> int:
        """One sync, stored; answers how many events were new. Raises Trouble, and Deferred."""
        since = await self._house.write(lambda rows: rows.get("sync", "token"))
        answer = await self._ask(since, wait)
        token = answer.get("next_batch")
        if not isinstance(token, str) or not 0 < len(token) <= TOKEN_CHARS:
            raise Trouble(502, "", "a sync without a token")
        await self._voices.cipher.hear(answer)
        rooms = _object(answer, "rooms")
        found: list[Event] = []
        joined = {room: _object(of) for room, of in _object(rooms, "join").items() if is_id(room, "!")}
        for room, of in joined.items():
            found += await self._told(room, of, since)
        gone = {room: _object(of) for room, of in _object(rooms, "leave").items() if is_id(room, "!")}
        for room, of in gone.items():
            found += [event | {"room_id": room} for event in _timeline(of)]
        for room, of in _object(rooms, "invite").items():
            if is_id(room, "!"):
                found += self._invitation(room, _object(of), token)
        try:
            new = await self._house.write(lambda rows: _store(rows, since, token, found, joined, gone))
        except _Moved:
            raise Trouble(409, "", _("another process has heard this already")) from None
        if new:
            self._arrived()
        return new

    async def _ask(self, since: str | None, wait: float) -> Event:
        nothing: Event = {"types": []}
        room = {
            "timeline": {"limit": self.timeline, "lazy_load_members": True},
            "state": {"types": ["m.room.encryption"]},
            "ephemeral": nothing,
            "account_data": nothing,
        }
        wish = {"presence": nothing, "account_data": nothing, "room": room}
        query = {"filter": json.dumps(wish), "timeout": str(int(wait * 1000)), "set_presence": "offline"}
        if since is not None:
            query["since"] = since
        path = f"/_matrix/client/v3/sync?{urlencode(query)}"
        bot = await self._voices.bot()
        return await bot.call("GET", path, seconds=ANSWER_SECONDS + wait, most=ANSWER_BYTES)

    async def _told(self, room: str, of: Event, since: str | None) -> list[Event]:
        """A room's events to be stored with the token; what the sync left out before them is stored now.

        What was said before we came is not ours to hear. At the very first sync only rooms of ours count: those made a moment ago.
        """
        timeline = [event | {"room_id": room} for event in _timeline(of)]
        if since is None:
            return timeline if await self._house.forum_of(room) is not None else []
        known = await self._house.write(lambda rows: rows.get("synced", room)) is not None
        came = self._came(timeline)
        if not known and came is not None:
            return timeline[came:]
        before = _object(of, "timeline").get("prev_batch")
        if _object(of, "timeline").get("limited") is True and isinstance(before, str):
            await self._fill(room, since, before, known)
        return timeline

    def _came(self, events: list[Event]) -> int | None:
        """Where among them the one is by which we came into the room."""
        for number, event in enumerate(events):
            before = _object(_object(event, "unsigned"), "prev_content").get("membership")
            is_ours = event.get("type") == "m.room.member" and event.get("state_key") == self._voices.bot_id
            if is_ours and _object(event, "content").get("membership") == "join" and before != "join":
                return number
        return None

    async def _fill(self, room: str, since: str, end: str, known: bool) -> None:
        """Store what lies between two syncs, page by page (C-S API 6.3.2: a sync's token is where a page may begin)."""
        path = f"/_matrix/client/v3/rooms/{escaped(room)[0]}/messages"
        bot, start = await self._voices.bot(), since
        filter = json.dumps({"lazy_load_members": True})
        while True:
            query = {"dir": "f", "from": start, "to": end, "limit": str(PAGE), "filter": filter}
            try:
                answer = await bot.call("GET", f"{path}?{urlencode(query)}", most=ANSWER_BYTES)
            except Trouble as trouble:
                if trouble.away or trouble.limited:
                    raise
                _log.error("a gap stays", room=room, problem=str(trouble))
                return
            page = [event | {"room_id": room} for event in _events(answer.get("chunk"))]
            if not known:
                came = self._came(page)
                page, known = page[came:] if came is not None else [], came is not None
            await self._house.write(lambda rows, page=page: [rows.keep(*kept(event)) for event in page])  # type: ignore[misc]
            following = answer.get("end")
            if not answer.get("chunk") or not isinstance(following, str) or following in (start, end):
                return
            start = following

    def _invitation(self, room: str, of: Event, token: str) -> list[Event]:
        """The event that asks us in. It comes without an id, and may come again another time."""
        for event in _events(_object(of, "invite_state").get("events")):
            if event.get("type") == "m.room.member" and event.get("state_key") == self._voices.bot_id:
                name = hashlib.sha256(f"{room} {token}".encode()).hexdigest()
                return [event | {"room_id": room, "event_id": f"$invitation-{name}"}]
        return []


def _store(
    rows: Rows, since: str | None, token: str, events: list[Event], joined: Mapping[str, Any], gone: Mapping[str, Any]
) -> int:
    if rows.get("sync", "token") != since:
        raise _Moved
    new = sum(rows.keep(*kept(event)) for event in events)
    for room in joined:
        rows.put("synced", room, "")
    for room in gone:
        rows.drop("synced", room)
    rows.put("sync", "token", token)
    return new


def _timeline(of: Event) -> list[Event]:
    return _events(_object(of, "timeline").get("events"))


def _events(value: object) -> list[Event]:
    return [event for event in value if isinstance(event, dict)] if isinstance(value, list) else []


def _object(of: object, key: str | None = None) -> Event:
    value = of.get(key) if key is not None and isinstance(of, dict) else of
    return value if isinstance(value, dict) else {}
