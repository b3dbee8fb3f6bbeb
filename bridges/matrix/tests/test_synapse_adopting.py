"""Rooms that change under the bridge on a real homeserver: adopted, upgraded, encrypted, closed to the bot, forgotten."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from bridges.matrix.tests.place import Place
from bridges.matrix.tests.samples import post, reply, said
from bridges.matrix.tests.world import World
from server.bridge import Failed, Later, NewPost, PostItem, Ref, Sent, StateItem
from tests.peers.synapse import Account

BOT = "@_junto_bot:hs.test"


async def a_room(place: Place, owner: Account, version: str, **wish: Any) -> str:
    """A room that somebody made, with the bot invited and an administrator."""
    levels = {"users": {BOT: 100} | ({owner.user_id: 100} if version != "12" else {})}
    body = {"preset": "public_chat", "room_version": version, "power_level_content_override": levels, "invite": [BOT]}
    return str((await place.call("POST", "/createRoom", body | wish, owner))["room_id"])


async def adopted(place: Place, owner: Account, version: str) -> str:
    """A room of somebody's that is the forum's now."""
    place.world.house.in_charge[owner.user_id] = (place.forum.slug,)
    room = await a_room(place, owner, version)

    await place.bot_comes(room)
    await asyncio.to_thread(
        place.world.synapse.send, owner, room, {"msgtype": "m.text", "body": f"!junto link {place.forum.slug}"}
    )

    async def is_ours() -> bool:
        return any("This is the room of" in body for body in await place.seen(owner, room))

    await place.until(is_ours)
    assert place.world.house.rooms[room] == place.forum.slug
    place.room = room
    return room


@pytest.mark.parametrize("version", ["11", "12"])
async def test_a_room_that_people_have_becomes_the_forum_s(world: World, version: str) -> None:
    place, owner = Place(world), await world.visitor()
    former = await place.keep()
    await place.joins(owner)
    room = await adopted(place, owner, version)
    assert ("move", place.forum.slug, former, room, False) in world.house.told
    alias = f"#_junto_{place.forum.slug}:hs.test"
    assert (await place.call("GET", f"/directory/room/{quote(alias)}"))["room_id"] == room
    assert (await place.state("m.room.tombstone", room=former))["replacement_room"] == room
    assert "matrix.to" in (await place.seen(owner, former))[-1]
    assert f"This is the room of {place.forum.title} now." in (await place.seen(owner, room))[-1]

    assert await place.keep(owners=(owner.user_id,)) == room
    assert (await place.state("m.room.name"))["name"] == place.forum.title
    assert place.forum.url in (await place.state("m.room.topic"))["topic"]
    assert await place.state("m.space.parent") == {}  # its key is the space
    await place.say("Into the room that was theirs")
    assert "Into the room that was theirs" in (await place.seen(owner))[-1]
    event = await asyncio.to_thread(world.synapse.send, owner, room, {"msgtype": "m.text", "body": "And back"})
    heard = await world.heard(NewPost, lambda new: new.refs[0].name == event)
    assert heard.forum == place.forum.slug


async def test_only_who_looks_after_a_forum_and_a_room_joins_the_two(world: World) -> None:
    place, stranger, owner = Place(world), await world.visitor(), await world.visitor()
    room = await a_room(place, stranger, "12")

    async def declined() -> bool:
        found = await place.call("GET", f"/rooms/{quote(room)}/state/m.room.member/{BOT}", by=stranger)
        return bool(found["membership"] == "leave")

    await place.until(declined)

    world.house.in_charge[owner.user_id] = (place.forum.slug,)
    refused: list[tuple[str, dict[str, Any], str]] = [
        ("level 100 in this room", {"users": {BOT: 100}}, f"!junto link {place.forum.slug}"),
        ("administrator of this room", {"users": {}}, f"!junto link {place.forum.slug}"),
        ("a forum that you are", {"users": {BOT: 100}}, f"!junto link {world.forum.slug}"),
    ]
    for words, levels, command in refused:
        who = stranger if "level 100" in words else owner
        world.house.in_charge[stranger.user_id] = (place.forum.slug,)
        room = await a_room(place, owner, "12", power_level_content_override=levels)
        if who is stranger:
            await place.joins(stranger, room)

        await place.bot_comes(room)
        await asyncio.to_thread(world.synapse.send, who, room, {"msgtype": "m.text", "body": command})

        async def answered(room: str = room, words: str = words) -> bool:
            return words in (await place.seen(owner, room))[-1]

        await place.until(answered)
        assert room not in world.house.rooms


async def test_a_room_for_members_and_an_encrypted_one_are_not_adopted(world: World) -> None:
    closed, place, owner = Place(world, visibility="members"), Place(world), await world.visitor()
    world.house.in_charge[owner.user_id] = (closed.forum.slug, place.forum.slug)
    encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    for which, wish, words in (
        (closed, {}, "for members only"),
        (place, {"initial_state": [encryption]}, "This room is encrypted"),
    ):
        room = await a_room(place, owner, "12", **wish)

        await place.bot_comes(room)
        command = {"msgtype": "m.text", "body": f"!junto link {which.forum.slug}"}
        await asyncio.to_thread(world.synapse.send, owner, room, command)

        async def answered(room: str = room, words: str = words) -> bool:
            return words in (await place.seen(owner, room))[-1]

        await place.until(answered)
        assert room not in world.house.rooms


@pytest.mark.parametrize("to", ["11", "12"])
@pytest.mark.parametrize("version", ["10", "12"])
async def test_an_upgraded_room_is_followed(world: World, version: str, to: str) -> None:
    place, owner = Place(world), await world.visitor()
    old = await adopted(place, owner, version)
    opener = post(place.forum)
    opener = said(opener, await place.say(id=opener.id, message_id=opener.message_id))
    new = str((await place.does(owner, "upgrade", {"new_version": to}))["replacement_room"])

    async def moved() -> bool:
        return world.house.rooms.get(new) == place.forum.slug

    await place.until(moved)
    assert old not in world.house.rooms
    alias = f"#_junto_{place.forum.slug}:hs.test"
    assert (await place.call("GET", f"/directory/room/{quote(alias)}"))["room_id"] == new
    assert await place.keep(moderators=(owner.user_id,)) == new
    space = (await place.call("GET", f"/directory/room/{quote('#_junto_c_shore:hs.test')}"))["room_id"]
    assert await place.state("m.space.child", old, room=space) == {}
    assert await place.state("m.space.child", new, room=space) == {"via": ["hs.test"], "suggested": True}
    first = await place.outcome(PostItem(reply(opener, fresh_text="An answer there", fresh_html="")))
    assert isinstance(first, Sent)
    second = await place.outcome(PostItem(reply(opener, fresh_text="And one more", fresh_html="")))
    assert isinstance(second, Sent)
    event = await place.call("GET", f"/rooms/{quote(new)}/event/{quote(second.refs[0].name)}")
    assert event["content"]["m.relates_to"]["event_id"] == first.refs[0].name  # the thread goes on there
    heard = await asyncio.to_thread(world.synapse.send, owner, new, {"msgtype": "m.text", "body": "Here I am"})
    await world.heard(NewPost, lambda new: new.refs[0].name == heard)


async def test_an_upgrade_that_nobody_heard_is_followed_later(world: World) -> None:
    place, owner = Place(world), await world.visitor()
    await adopted(place, owner, "11")
    await world.stop()
    new = str((await place.does(owner, "upgrade", {"new_version": "12"}))["replacement_room"])
    assert await place.keep() == new
    await world.start()


async def test_a_bot_that_was_put_out_waits_until_it_is_let_in(world: World) -> None:
    place, owner = Place(world), await world.visitor()
    room = await adopted(place, owner, "12")
    await place.does(owner, "ban", {"user_id": BOT})

    async def known() -> bool:
        return bool(await world.bridge._barred.of(room))

    await place.until(known)
    assert isinstance(await place.outcome(PostItem(post(place.forum))), Later)
    state = await place.outcome(StateItem(place.forum))
    assert isinstance(state, Later)
    assert "banned" in state.detail
    assert place.forum.slug in await world.bridge._closed()
    nudges = world.house.nudges
    await place.does(owner, "unban", {"user_id": BOT})
    await place.does(owner, "invite", {"user_id": BOT})

    async def back() -> bool:
        return world.house.nudges > nudges

    await place.until(back)
    await place.say("Back again")
    assert await world.bridge._closed() == ""


async def test_nothing_is_said_in_a_room_once_it_is_encrypted(world: World) -> None:
    place, owner = Place(world), await world.visitor()
    room = await adopted(place, owner, "12")
    before = len(await place.seen(owner))
    path = f"/rooms/{quote(room)}/state/m.room.encryption/"
    await place.call("PUT", path, {"algorithm": "m.megolm.v1.aes-sha2"}, owner)

    async def known() -> bool:
        return bool(await world.bridge._barred.of(room))

    await place.until(known)
    assert isinstance(await place.outcome(PostItem(post(place.forum))), Failed)
    assert isinstance(await place.outcome(StateItem(place.forum)), Sent)
    assert isinstance(await place.outcome(PostItem(post(place.forum))), Failed)
    (notice,) = (await place.seen(owner))[before:]
    assert notice.startswith("Encrypted messages cannot be read here")
    assert "encrypted" in await world.bridge._closed()


async def test_what_a_restored_server_has_forgotten_is_noted_and_not_said_again(world: World) -> None:
    place = Place(world)
    await place.keep()
    opener = post(place.forum)
    event = await place.say(id=opener.id, message_id=opener.message_id)
    await world.stop()
    world.house.told.clear()
    await world.start()

    async def noted() -> bool:
        return ("note", place.forum.slug, place.room, opener.id, opener.message_id, (Ref("matrix", event),)) in (
            world.house.told
        )

    await place.until(noted)


async def test_the_doctor_is_content_with_a_real_homeserver(world: World) -> None:
    found = {check.name: check for check in await world.bridge.checks([world.forum], {})}
    assert [check.ok for check in found.values()] == [True] * 5, found
    assert found["homeserver to us"].detail.startswith("it reaches us")
