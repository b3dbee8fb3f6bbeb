"""A forum beside the world's own, with its room on a real homeserver, as its people see it."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from bridges.matrix.tests.samples import Outcomes, lot, post
from bridges.matrix.tests.world import World
from server.bridge import Forum, Outcome, PostItem, Sent, StateItem
from tests.fakes import forum
from tests.peers.synapse import Account, MatrixError


class Place:
    """The forum, and its room once it was kept."""

    def __init__(self, world: World, **changes: Any) -> None:
        self.world, self.room = world, ""
        self.forum: Forum = forum(f"f{secrets.token_hex(4)}")
        self.becomes(**changes)

    def becomes(self, **changes: Any) -> None:
        self.forum = dataclasses.replace(self.forum, **changes)
        self.world.house.forums[self.forum.slug] = self.forum

    async def bot_comes(self, room: str) -> None:
        """Until the bot is in the room."""

        async def came() -> bool:
            return room in (await self.call("GET", "/joined_rooms"))["joined_rooms"]

        await self.until(came)

    async def keep(self, **who: Any) -> str:
        """Tell the bridge of the forum's state; its room, which is `room` then."""
        found = await self.outcome(StateItem(self.forum, **who))
        assert isinstance(found, Sent), found
        self.room = found.detail
        return self.room

    async def outcome(self, item: StateItem | PostItem) -> Outcome:
        outcomes = Outcomes()
        room = "" if isinstance(item, StateItem) else self.room
        await self.world.bridge.deliver(lot(item, room, secrets.token_hex(4)), outcomes)
        return outcomes.only

    async def say(self, text: str = "They are back.", **changes: Any) -> str:
        """A post that came by mail; its event."""
        sent = await self.outcome(PostItem(post(self.forum, fresh_text=text, fresh_html="", **changes)))
        assert isinstance(sent, Sent), sent
        return sent.refs[0].name

    async def call(self, method: str, path: str, body: object = None, by: Account | None = None) -> dict[str, Any]:
        """A request to the homeserver, as the bot if nobody is named."""
        token = by.token if by is not None else self.world.bridge._registration.as_token
        return await asyncio.to_thread(self.world.synapse.call, method, f"/_matrix/client/v3{path}", body, token)

    async def state(self, kind: str, key: str = "", room: str = "") -> dict[str, Any]:
        try:
            return await self.call("GET", f"/rooms/{quote(room or self.room)}/state/{kind}/{quote(key)}")
        except MatrixError as error:
            if error.status == 404:
                return {}
            raise

    async def membership(self, who: str, room: str = "") -> str:
        return str((await self.state("m.room.member", who, room)).get("membership", ""))

    async def does(self, who: Account, verb: str, body: object = None, room: str = "") -> dict[str, Any]:
        return await self.call("POST", f"/rooms/{quote(room or self.room)}/{verb}", body or {}, who)

    async def joins(self, who: Account, room: str = "") -> None:
        await asyncio.to_thread(self.world.synapse.join, who, room or self.room)

    async def seen(self, who: Account, room: str = "") -> list[str]:
        """The bodies of the messages in the room, as somebody sees them."""
        events = await asyncio.to_thread(self.world.synapse.messages, who, room or self.room)
        return [event["content"].get("body", "") for event in events if event["type"] == "m.room.message"]

    async def user(self) -> Account:
        return await asyncio.to_thread(self.world.synapse.register)

    async def until(self, look: Callable[[], Awaitable[Any]]) -> Any:
        """Look again and again until the answer is true."""
        async with asyncio.timeout(20):
            while not (found := await look()):
                await asyncio.sleep(0.05)
        return found
