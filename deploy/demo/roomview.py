"""What a stock client would show of the rooms: read by /sync and /messages as an ordinary user, kept in memory only."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from nio.responses import RoomMessagesError, SyncError

from deploy.demo.mailread import archived
from deploy.demo.roomuser import TEMPORARY, RoomUser

HISTORY = 2000
"""Events read back of each room at the start."""

REMOVED = "removed"
"""The kind of a message that was redacted."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a client knows it. `page` and `message_id` come with what Junto posts; a member's own has neither.

    `answers` is the event that it is a reply to; `quotes`: its author chose that event, else it is only named for clients without threads.
    """

    id: str
    room: str
    sender: str
    at: float
    seen: float
    body: str
    formatted: str = ""
    kind: str = "m.text"
    media: str = ""
    filename: str = ""
    root: str = ""
    answers: str = ""
    quotes: bool = False
    size: int = 0
    shape: tuple[int, int] | None = None
    page: tuple[str, int] | None = None
    message_id: str = ""
    edited: bool = False

    def holds(self, media: str) -> bool:
        """Whether that media address is its file, or a picture in its text."""
        return bool(media) and (media == self.media or f'"{media}"' in self.formatted)


@dataclass(slots=True)
class Room:
    """Messages in the homeserver's order, and the members' names."""

    id: str
    messages: dict[str, Message] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    signs: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    _signed: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    _early: dict[str, Message] = field(default_factory=dict)

    def sign(self, event: str, target: str, key: str, user: str) -> None:
        """A reaction: the user put the key on the target."""
        self._signed[event] = (target, key, user)
        self.signs.setdefault(target, {}).setdefault(key, set()).add(user)

    def redact(self, event: str) -> None:
        """A reaction is gone; of a message its place is left."""
        if taken := self._signed.pop(event, None):
            target, key, user = taken
            users = self.signs[target][key]
            users.discard(user)
            if not users:
                del self.signs[target][key]
        elif message := self.messages.get(event):
            self.messages[event] = replace(message, kind=REMOVED, body="", formatted="", media="")

    def edit(self, target: str, words: Message) -> None:
        """Other words for a message, also for one that is read back later."""
        message = self.messages.get(target)
        if message is None:
            self._early[target] = words
        elif message.sender == words.sender and message.kind != REMOVED:
            self.messages[target] = replace(message, body=words.body, formatted=words.formatted, edited=True)

    def add(self, message: Message) -> bool:
        """Whether it is new."""
        if message.id in self.messages:
            return False
        self.messages[message.id] = message
        if words := self._early.pop(message.id, None):
            self.edit(message.id, words)
        return True

    def threads(self) -> list[tuple[Message, list[Message]]]:
        """(root, answers) in the order of the roots."""
        answers: dict[str, list[Message]] = {}
        for message in self.messages.values():
            if message.root:
                answers.setdefault(message.root, []).append(message)
        roots = [message for message in self.messages.values() if not message.root]
        return [(root, answers.get(root.id, [])) for root in roots if root.kind != REMOVED or root.id in answers]

    def thread(self, root: str) -> tuple[Message, list[Message]] | None:
        """The thread of that root event."""
        return next((found for found in self.threads() if found[0].id == root), None)

    def name(self, user: str) -> str:
        """The display name, else the id."""
        return self.names.get(user) or user


Seen = Callable[[Message], None]


class RoomView:
    """Follows all rooms that one user is in, until cancelled. `seen` is called for each new message."""

    def __init__(self, user: RoomUser, seen: Seen) -> None:
        self.user = user
        self.seen = seen
        self.rooms: dict[str, Room] = {}
        self.aliases: dict[str, str] = {}
        self._since: str | None = None
        self._gaps: dict[str, str] = {}

    def room(self, alias: str) -> Room | None:
        """The joined room behind the alias."""
        return self.rooms.get(self.aliases.get(alias, ""))

    async def enter(self, alias: str, patience: float) -> Room:
        """Joins and reads back what was said before."""
        room = await self.user.join(alias, patience)
        self.aliases[alias] = room
        while room not in self.rooms:
            await self.step(0)
        if start := self._gaps.pop(room, None):
            await self._read_back(self.rooms[room], start)
        return self.rooms[room]

    async def follow(self) -> None:
        """Long-polls /sync for ever; an outage is waited out."""
        while True:
            try:
                await self.step(20_000)
            except TEMPORARY:
                await asyncio.sleep(0.5)

    async def step(self, wait_ms: int) -> None:
        """One /sync. Raises ConnectionError and what the transport raises."""
        answer = await self.user.client.sync(
            timeout=wait_ms, since=self._since, sync_filter={"room": {"timeline": {"limit": 100}}}
        )
        if isinstance(answer, SyncError):
            raise ConnectionError(answer.message)
        first = self._since is None
        for room_id, news in answer.rooms.join.items():
            known = room_id in self.rooms
            room = self.rooms.setdefault(room_id, Room(room_id))
            for event in news.state:
                self._state(room, event.source)
            if news.timeline.limited:
                if known:
                    await self._read_back(room, news.timeline.prev_batch)
                else:
                    self._gaps[room_id] = news.timeline.prev_batch
            for event in news.timeline.events:
                self._take(room, event.source, tell=not first)
        self._since = answer.next_batch

    async def _read_back(self, room: Room, start: str) -> None:
        older: list[dict[str, Any]] = []
        while len(older) < HISTORY:
            answer = await self.user.client.room_messages(room.id, start=start, limit=200)
            if isinstance(answer, RoomMessagesError) or not answer.chunk:
                break
            older += [event.source for event in answer.chunk]
            if answer.end is None or any(source["event_id"] in room.messages for source in older[-len(answer.chunk) :]):
                break
            start = answer.end
        late, room.messages = room.messages, {}
        for source in reversed(older):
            if source["event_id"] not in late:
                self._take(room, source, tell=False)
        room.messages |= late

    def _state(self, room: Room, source: dict[str, Any]) -> None:
        if source.get("type") == "m.room.member" and "state_key" in source:
            with contextlib.suppress(AttributeError):
                room.names[source["state_key"]] = str(source["content"].get("displayname") or source["state_key"])

    def _take(self, room: Room, source: dict[str, Any], tell: bool) -> None:
        self._state(room, source)
        content = source.get("content")
        if not isinstance(content, dict):
            return
        if source.get("type") == "m.room.redaction":
            room.redact(str(content.get("redacts") or source.get("redacts")))
            return
        relation = content.get("m.relates_to")
        relation = relation if isinstance(relation, dict) else {}
        target = str(relation.get("event_id"))
        if source.get("type") == "m.reaction":
            if relation.get("rel_type") == "m.annotation" and "key" in relation:
                room.sign(str(source["event_id"]), target, str(relation["key"]), str(source["sender"]))
            return
        message = read(source, room.id)
        if message is None:
            return
        if relation.get("rel_type") == "m.replace":
            room.edit(target, message)
        elif room.add(message) and tell and message.kind != REMOVED:
            self.seen(message)

    def all(self) -> Iterator[Message]:
        """Every message of every room."""
        for room in self.rooms.values():
            yield from room.messages.values()


def read(source: dict[str, Any], room: str) -> Message | None:
    """A message from an event's JSON; None if it is no message."""
    content = source["content"]
    if source.get("type") != "m.room.message":
        return None
    if "msgtype" not in content:
        return _removed(source, room)
    relation = content.get("m.relates_to")
    relation = relation if isinstance(relation, dict) else {}
    edit = content.get("m.new_content")
    words = edit if relation.get("rel_type") == "m.replace" and isinstance(edit, dict) else content
    post = content.get("net.junto.post")
    answers = relation.get("m.in_reply_to")
    threaded = relation.get("rel_type") == "m.thread"
    info = content.get("info")
    size, width, height = (info.get(name) if isinstance(info, dict) else None for name in ("size", "w", "h"))
    html = words.get("formatted_body") if words.get("format") == "org.matrix.custom.html" else ""
    return Message(
        id=str(source["event_id"]),
        room=room,
        sender=str(source["sender"]),
        at=float(source.get("origin_server_ts", 0)) / 1000,
        seen=time.time(),
        body=str(words.get("body", "")),
        formatted=str(html or ""),
        kind=str(content["msgtype"]),
        media=str(content.get("url", "")),
        filename=str(content.get("filename") or content.get("body", "")),
        root=str(relation.get("event_id", "")) if threaded else "",
        answers=str(answers.get("event_id", "")) if isinstance(answers, dict) else "",
        quotes=isinstance(answers, dict) and not (threaded and relation.get("is_falling_back") is True),
        size=size if isinstance(size, int) else 0,
        shape=(width, height) if isinstance(width, int) and isinstance(height, int) else None,
        page=archived(str(content.get("external_url", ""))),
        message_id=str(post.get("message_id", "")) if isinstance(post, dict) else "",
    )


def _removed(source: dict[str, Any], room: str) -> Message | None:
    """What was redacted before we came: who and when is left of it."""
    unsigned = source.get("unsigned")
    if not isinstance(unsigned, dict) or "redacted_because" not in unsigned:
        return None
    at = float(source.get("origin_server_ts", 0)) / 1000
    return Message(str(source["event_id"]), room, str(source["sender"]), at, time.time(), "", kind=REMOVED)
