"""Rooms on a real homeserver: who gets in, what they may do there, and what becomes of a room when its forum changes."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from bridges.matrix.rooms import Rooms
from bridges.matrix.tests.samples import Outcomes, lot, post
from bridges.matrix.tests.world import World
from server.bridge import Forum, Held, Join, PostItem, Sent, StateItem
from tests.fakes import forum
from tests.peers.synapse import Account, MatrixError


class Place:
    """A forum of the world, its room, and the homeserver as its people see it."""

    def __init__(self, world: World, place: Forum) -> None:
        self.world, self.forum, self.room = world, place, ""
        world.house.forums[place.slug] = place

    async def keep(self, **who: Any) -> StateItem:
        """Tell the bridge of the forum's state; its room is `room` then."""
        item = StateItem(self.forum, **who)
        outcomes = Outcomes()
        await self.world.bridge.deliver(lot(item, ""), outcomes)
        assert isinstance(outcomes.only, Sent), outcomes.only
        self.room = outcomes.only.detail
        return item

    def becomes(self, **changes: Any) -> None:
        import dataclasses

        self.forum = dataclasses.replace(self.forum, **changes)
        self.world.house.forums[self.forum.slug] = self.forum

    async def say(self, text: str = "They are back.") -> str:
        sent = await self.world_say(PostItem(post(self.forum, fresh_text=text, fresh_html="")))
        return sent.refs[0].name

    async def world_say(self, item: Any) -> Sent:
        outcomes = Outcomes()
        await self.world.bridge.deliver(lot(item, self.room, secrets.token_hex(4)), outcomes)
        assert isinstance(outcomes.only, Sent), outcomes.only
        return outcomes.only

    async def call(self, method: str, path: str, body: object = None, by: Account | None = None) -> dict[str, Any]:
        token = by.token if by is not None else self.world.bridge._registration.as_token
        return await asyncio.to_thread(self.world.synapse.call, method, f"/_matrix/client/v3{path}", body, token)

    async def state(self, kind: str, key: str = "", room: str = "") -> dict[str, Any]:
        try:
            return await self.call("GET", f"/rooms/{quote(room or self.room)}/state/{kind}/{quote(key)}")
        except MatrixError as error:
            if error.status == 404:
                return {}
            raise

    async def membership(self, who: Account, room: str = "") -> str:
        return str((await self.state("m.room.member", who.user_id, room)).get("membership", ""))

    async def does(self, who: Account, verb: str, body: object = None, room: str = "") -> dict[str, Any]:
        return await self.call("POST", f"/rooms/{quote(room or self.room)}/{verb}", body or {}, who)

    async def until(self, look: Callable[[], Any]) -> None:
        async with asyncio.timeout(20):
            while not look():
                await asyncio.sleep(0.02)

    async def user(self) -> Account:
        return await asyncio.to_thread(self.world.synapse.register)


def made(world: World, **changes: Any) -> Place:
    return Place(world, forum(f"f{secrets.token_hex(4)}", **changes))


@pytest.fixture(params=["11", "12"])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Rooms are made of this version, as on a homeserver that prefers it."""

    async def usual(self: Rooms, bot: object) -> str:
        return str(request.param)

    monkeypatch.setattr(Rooms, "_usual_version", usual)
    return str(request.param)


async def test_a_room_for_members_is_seen_by_nobody_else(world: World, version: str) -> None:
    place = made(world, visibility="members", federate=False)
    ana, stranger = await place.user(), await place.user()
    await place.keep(members=(ana.user_id,))
    assert (await place.state("m.room.create"))["room_version"] == version
    assert (await place.state("m.room.create"))["m.federate"] is False
    assert await place.state("m.room.join_rules") == {"join_rule": "invite"}
    assert await place.state("m.room.history_visibility") == {"history_visibility": "shared"}
    assert await place.state("m.room.canonical_alias") == {}
    assert await place.state("m.space.parent") == {}
    assert (await place.state("m.room.power_levels"))["invite"] == 50
    assert world.house.told[-1] == ("attach", place.forum.slug, place.room, True)
    listed = await place.call("GET", f"/directory/list/room/{quote(place.room)}", by=stranger)
    assert listed["visibility"] == "private"
    for path in (
        f"/directory/room/{quote(f'#_junto_{place.forum.slug}:hs.test')}",
        f"/rooms/{quote(place.room)}/state",
    ):
        with pytest.raises(MatrixError):
            await place.call("GET", path, by=stranger)
    with pytest.raises(MatrixError):
        await asyncio.to_thread(world.synapse.join, stranger, place.room)

    event = await place.say("For us alone")
    await asyncio.to_thread(world.synapse.join, ana, place.room)
    seen = await place.call("GET", f"/rooms/{quote(place.room)}/event/{quote(event)}", by=ana)
    assert "For us alone" in seen["content"]["body"]
    with pytest.raises(MatrixError):  # a member invites nobody
        await place.does(ana, "invite", {"user_id": stranger.user_id})

    room = place.room
    await place.keep(members=())
    assert place.room == room
    assert await place.membership(ana) == "leave"
    with pytest.raises(MatrixError):
        await asyncio.to_thread(world.synapse.join, ana, place.room)


async def test_a_public_room_is_listed(world: World) -> None:
    place = made(world)
    await place.keep()
    listed = await place.call("GET", f"/directory/list/room/{quote(place.room)}")
    assert listed["visibility"] == "public"


async def test_who_knocks_waits_for_the_forum_and_comes_in_or_is_told(world: World, version: str) -> None:
    place = made(world, join_policy="approval")
    await place.keep()
    assert await place.state("m.room.join_rules") == {"join_rule": "knock"}
    bo, eve = await place.user(), await place.user()
    world.house.answer = lambda inbound: Held("", "a moderator decides")
    for who in (bo, eve):
        await place.call("POST", f"/knock/{quote(place.room)}", {"reason": "Let me in"}, by=who)
        joined = await world.heard(Join, lambda join, who=who: join.author.address == who.user_id)  # type: ignore[misc]
        assert (joined.forum, joined.words) == (place.forum.slug, "Let me in")
    await place.keep(asking=(bo.user_id, eve.user_id))
    assert await place.membership(bo) == "knock"
    await place.keep(members=(bo.user_id,), asking=())
    assert await place.membership(bo) == "invite"
    turned_away = await place.state("m.room.member", eve.user_id)
    assert turned_away["membership"] == "leave"
    assert "did not let you in" in turned_away["reason"]


async def test_levels_and_bans_follow_the_forum(world: World, version: str) -> None:
    place = made(world)
    ana, bo, eve = [await place.user() for _ in range(3)]
    await place.keep()
    for who in (ana, bo, eve):
        await asyncio.to_thread(world.synapse.join, who, place.room)
    await place.keep(owners=(ana.user_id,), moderators=(bo.user_id,), muted=(eve.user_id,))
    users = (await place.state("m.room.power_levels"))["users"]
    assert [users[who.user_id] for who in (ana, bo, eve)] == [100, 50, -1]
    assert ("@_junto_bot:hs.test" in users) is (version == "11")
    with pytest.raises(MatrixError):
        await asyncio.to_thread(world.synapse.send, eve, place.room, {"msgtype": "m.text", "body": "Hm"})
    await place.does(bo, "kick", {"user_id": eve.user_id})

    await place.keep(moderators=(ana.user_id,), banned=(eve.user_id, "@never:far.test"))
    users = (await place.state("m.room.power_levels"))["users"]
    assert users.get(ana.user_id) == 50
    assert bo.user_id not in users
    assert await place.membership(eve) == "ban"
    assert (await place.state("m.room.member", "@never:far.test"))["membership"] == "ban"
    await place.keep(moderators=(ana.user_id,))
    assert await place.membership(eve) == "leave"


async def test_a_forum_that_becomes_members_only_gets_another_room_and_back(world: World, version: str) -> None:
    place = made(world)
    await place.keep()
    open_room, ana = place.room, await place.user()
    alias = f"#_junto_{place.forum.slug}:hs.test"
    await asyncio.to_thread(world.synapse.join, ana, open_room)
    place.becomes(visibility="members")
    await place.keep(members=(ana.user_id,))
    closed_room = place.room
    assert closed_room != open_room
    about = [told for told in world.house.told if place.forum.slug in told or open_room in told]
    assert about[-2:] == [("detach", open_room), ("attach", place.forum.slug, closed_room, True)]
    assert (await place.state("m.room.tombstone", room=open_room))["replacement_room"] == closed_room
    assert await place.membership(ana) == "invite"
    with pytest.raises(MatrixError):
        await place.call("GET", f"/directory/room/{quote(alias)}", by=ana)
    said = await asyncio.to_thread(world.synapse.messages, ana, open_room)
    assert (
        "another room now"
        in [event["content"].get("body", "") for event in said if event["type"] == "m.room.message"][-1]
    )

    place.becomes(visibility="public")
    await place.keep()
    assert place.room not in (open_room, closed_room)
    assert (await place.call("GET", f"/directory/room/{quote(alias)}", by=ana))["room_id"] == place.room
    assert ("detach", closed_room) in world.house.told


async def test_a_room_for_members_is_found_again_when_it_is_forgotten(world: World) -> None:
    place = made(world, visibility="members")
    await place.keep()
    room = place.room
    world.house.rows.drop("room", place.forum.slug)
    await place.keep()
    assert place.room == room
