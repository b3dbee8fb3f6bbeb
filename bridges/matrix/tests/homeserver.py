"""A homeserver that never fails unless told to, and always remembers: for the answers that a real one gives too rarely."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bridges.matrix.tests import schemas

Answer = web.StreamResponse | None


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    authorization: str = ""


@dataclass
class Homeserver:
    """`before` may answer a request instead of the homeserver; None lets it through. What has a word of `slow` in its path waits.

    Whatever would become an event is held against the schemas; `wrong` has what did not pass, and a test ends badly by it.
    """

    asked: list[Asked] = field(default_factory=list)
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    media: dict[str, bytes] = field(default_factory=dict)
    before: Callable[[Asked], Answer] = lambda asked: None
    mute: bool = False
    slow: set[str] = field(default_factory=set)
    devices: bool = True
    upload_size: int = 1000
    url: str = ""
    made: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    rooms: list[str] = field(default_factory=lambda: ["!room"])  # that the bot is in
    _transactions: dict[str, str] = field(default_factory=dict)

    def sent(self) -> list[dict[str, Any]]:
        """The contents of the messages in the room, in order."""
        return [event["content"] for event in self.events.values() if event["type"] == "m.room.message"]

    def count(self, word: str) -> int:
        return sum(word in asked.path for asked in self.asked)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        is_json = request.content_type == "application/json" and raw
        body = json.loads(raw) if is_json else raw
        token = request.headers.get("Authorization", "")
        asked = Asked(request.method, request.path, dict(request.query), body, token)
        self.asked.append(asked)
        try:
            _check(asked)
        except schemas.Wrong as problem:
            self.wrong.append(str(problem))
        while self.mute or any(word in asked.path for word in self.slow):
            await asyncio.sleep(0.01)
        return self.before(asked) or self._answer(asked)

    def _answer(self, asked: Asked) -> web.Response:
        path = asked.path
        if "/devices/" in path:
            return web.json_response({}, status=201) if self.devices else error(404, "M_NOT_FOUND")
        if "/send/" in path:
            return web.json_response({"event_id": self._event(asked)})
        if "/redact/" in path:
            return web.json_response({"event_id": "$redaction"})
        if path.endswith("/upload"):
            name = f"m{len(self.media)}"
            self.media[name] = asked.body
            return web.json_response({"content_uri": f"mxc://hs.test/{name}"})
        if "/media/download/" in path:
            found = self.media.get(path.rpartition("/")[2])
            return web.Response(body=found) if found is not None else error(404, "M_NOT_FOUND")
        if path.endswith("/keys/upload"):
            return web.json_response({"one_time_key_counts": {"signed_curve25519": 50}})
        if path.endswith("/media/config"):
            return web.json_response({"m.upload.size": self.upload_size})
        if path.endswith("/createRoom"):
            self.made.append(asked.body)
            return web.json_response({"room_id": f"!made{len(self.made)}"})
        if path.endswith("/joined_rooms"):
            return web.json_response({"joined_rooms": self.rooms})
        if "/join/" in path or "/directory/room/" in path:
            return web.json_response({"room_id": "!room"})
        if "/event/" in path:
            found_event = self.events.get(path.rpartition("/")[2])
            return web.json_response(found_event) if found_event else error(404, "M_NOT_FOUND")
        return web.json_response({})

    def _event(self, asked: Asked) -> str:
        # Synapse keeps the transaction ids of all ghosts of an application service in one space.
        known = self._transactions.get(asked.path)
        if known is None:
            known = f"$event{len(self.events)}"
            self._transactions[asked.path] = known
            kind = asked.path.split("/")[-2]
            sender = asked.query.get("user_id", "")
            self.events[known] = {"event_id": known, "type": kind, "sender": sender, "content": asked.body}
        return known


def _check(asked: Asked) -> None:
    parts = asked.path.split("/")
    if asked.method == "PUT" and "/send/" in asked.path:
        schemas.check(parts[-2], asked.body)
    elif asked.method == "PUT" and "/redact/" in asked.path:
        schemas.check("m.room.redaction", asked.body)
    elif asked.method == "PUT" and "/state/" in asked.path:
        schemas.check(parts[parts.index("state") + 1], asked.body)
    elif asked.path.endswith("/createRoom"):
        schemas.created(asked.body)


def error(status: int, code: str, words: str = "", **more: Any) -> web.Response:
    headers = {"Retry-After": str(more.pop("after"))} if "after" in more else {}
    return web.json_response({"errcode": code, "error": words, **more}, status=status, headers=headers)
