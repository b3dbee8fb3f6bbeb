"""Rooms on a real homeserver: who gets in, what they may do there, and what becomes of a room when its forum changes."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest

from bridges.matrix.tests.place import Place
from bridges.matrix.tests.world import World
from server.bridge import Held, Join
from tests.peers.synapse import MatrixError


async def test_a_room_for_members_is_seen_by_nobody_else(world: World, version: str) -> None:
    place = Place(world, visibility="members", federate=False)
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
    assert await place.membership(ana.user_id) == "leave"
    with pytest.raises(MatrixError):
        await asyncio.to_thread(world.synapse.join, ana, place.room)


async def test_a_public_room_is_listed(world: World) -> None:
    place = Place(world)
    await place.keep()
    listed = await place.call("GET", f"/directory/list/room/{quote(place.room)}")
    assert listed["visibility"] == "public"


async def test_who_knocks_waits_for_the_forum_and_comes_in_or_is_told(world: World, version: str) -> None:
    place = Place(world, join_policy="approval")
    await place.keep()
    assert await place.state("m.room.join_rules") == {"join_rule": "knock"}
    bo, eve = await place.user(), await place.user()
    world.house.answer = lambda inbound: Held("", "a moderator decides")
    for who in (bo, eve):
        await place.call("POST", f"/knock/{quote(place.room)}", {"reason": "Let me in"}, by=who)
        joined = await world.heard(Join, lambda join, who=who: join.author.address == who.user_id)  # type: ignore[misc]
        assert (joined.forum, joined.words) == (place.forum.slug, "Let me in")
    await place.keep(asking=(bo.user_id, eve.user_id))
    assert await place.membership(bo.user_id) == "knock"
    await place.keep(members=(bo.user_id,), asking=())
    assert await place.membership(bo.user_id) == "invite"
    turned_away = await place.state("m.room.member", eve.user_id)
    assert turned_away["membership"] == "leave"
    assert "did not let you in" in turned_away["reason"]


async def test_levels_and_bans_follow_the_forum(world: World, version: str) -> None:
    place = Place(world)
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
    assert await place.membership(eve.user_id) == "ban"
    assert (await place.state("m.room.member", "@never:far.test"))["membership"] == "ban"
    await place.keep(moderators=(ana.user_id,))
    assert await place.membership(eve.user_id) == "leave"


async def test_a_forum_that_becomes_members_only_gets_another_room_and_back(world: World, version: str) -> None:
    place = Place(world)
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
    assert await place.membership(ana.user_id) == "invite"
    with pytest.raises(MatrixError):
        await place.call("GET", f"/directory/room/{quote(alias)}", by=ana)
    assert "another room now" in (await place.seen(ana, open_room))[-1]

    place.becomes(visibility="public")
    await place.keep()
    assert place.room not in (open_room, closed_room)
    assert (await place.call("GET", f"/directory/room/{quote(alias)}", by=ana))["room_id"] == place.room
    assert ("detach", closed_room) in world.house.told


async def test_a_room_for_members_is_found_again_when_it_is_forgotten(world: World) -> None:
    place = Place(world, visibility="members")
    await place.keep()
    room = place.room
    world.house.rows.drop("room", place.forum.slug)
    await place.keep()
    assert place.room == room
