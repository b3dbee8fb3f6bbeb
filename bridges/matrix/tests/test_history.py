"""What was said before the room was there: in order, with its times, while the door is closed."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from bridges.matrix.tests.samples import Outcomes, lot, post, reply
from bridges.matrix.tests.world import World
from server.bridge import HistoryItem, Later, Outcome, Post, Sent, StateItem, Writer
from tests.fakes import RecordingHouse, forum
from tests.peers.synapse import Synapse

ROOM = "!room"
BEN = Writer("ben7rw2kq3", "Ben Okafor")


def archive() -> tuple[Post, ...]:
    """Two threads; nobody in them has an event yet."""
    first = post(written_at=1_500_000_000_000)
    answer = reply(first, fresh_text="How many?", written_at=1_500_000_100_000, writer=BEN)
    again = reply(answer, first, fresh_text="Forty.", written_at=1_500_000_200_000)
    again = Post(**{name: getattr(again, name) for name in Post.__dataclass_fields__} | {
        "references": (first.message_id, answer.message_id)
    })  # fmt: skip
    return first, answer, again, post(subject="Terns", written_at=1_500_000_050_000)


async def tell(bridge: MatrixBridge, *posts: Post) -> Outcome:
    outcomes = Outcomes()
    await bridge.deliver(lot(HistoryItem(7, forum(), posts), ROOM), outcomes)
    return outcomes.only


async def test_old_posts_come_in_order_in_their_threads_and_each_is_reported(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    posts = archive()
    assert isinstance(await tell(bridge, *posts), Sent)
    first, answer, again, other = homeserver.sent()
    events = list(homeserver.events)
    assert "m.relates_to" not in first
    assert "m.relates_to" not in other
    assert answer["m.relates_to"]["event_id"] == again["m.relates_to"]["event_id"] == events[0]
    assert again["m.relates_to"]["m.in_reply_to"] == {"event_id": events[1]}
    assert [asked.query["ts"] for asked in homeserver.asked if "/send/" in asked.path] == [
        str(each.written_at) for each in posts
    ]
    assert [(number, names[0].name) for number, _revision, names, _ in house.before] == [
        (each.id, event) for each, event in zip(posts, events, strict=True)
    ]


def after(sent: int, answer: Answer) -> Any:
    """That answer once so many events were sent, for the next one, once."""
    left = [answer]

    def before(asked: Asked) -> Answer:
        nonlocal sent
        if "/send/" not in asked.path:
            return None
        sent -= 1
        return left.pop() if sent < 0 and left else None

    return before


async def test_a_rate_limit_ends_the_lot_where_it_is(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before = after(2, error(429, "M_LIMIT_EXCEEDED", after=3))
    posts = archive()
    outcome = await tell(bridge, *posts)
    assert isinstance(outcome, Later)
    assert outcome.after_ms == 3000
    assert [number for number, *_ in house.before] == [each.id for each in posts[:2]]


async def test_what_was_said_and_not_reported_is_not_said_twice(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    posts = archive()
    await tell(bridge, *posts)
    await tell(bridge, *posts)  # as after a kill before the first report
    assert len(homeserver.sent()) == len(posts)


async def test_a_post_that_the_homeserver_never_takes_is_left_out(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before = after(1, error(400, "M_BAD_JSON", "no"))
    posts = (post(), post(subject="Terns"), post(subject="Gulls"))
    assert isinstance(await tell(bridge, *posts), Sent)
    assert [bool(failure) for *_, failure in house.before] == [False, True, False]


def joined(homeserver: Homeserver, *users: str) -> Any:
    def before(asked: Asked) -> Answer:
        if asked.path.endswith("/joined_members"):
            return web.json_response({"joined": {user: {} for user in users}})
        if "/directory/room/" in asked.path:
            number = 2 if "_junto_c_" in asked.path else 1
            made = len(homeserver.made) >= number
            return web.json_response({"room_id": f"!made{number}"}) if made else error(404, "M_NOT_FOUND")
        return None

    return before


def rules(homeserver: Homeserver, house: RecordingHouse) -> list[str]:
    (room,) = house.rooms
    return [
        asked.body["join_rule"]
        for asked in homeserver.asked
        if asked.method == "PUT" and f"/{room}/state/m.room.join_rules" in asked.path
    ]


async def test_the_door_of_a_new_room_opens_when_everything_is_in(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before, house.archive = joined(homeserver, "@_junto_bot:hs.test"), True
    await bridge.deliver(lot(StateItem(forum()), ""), Outcomes())
    assert rules(homeserver, house)[-1] == "invite"
    house.filling.clear()
    await bridge.deliver(lot(StateItem(forum()), ""), Outcomes())
    assert rules(homeserver, house)[-1] == "public"


async def test_a_room_that_people_are_in_is_told_nothing_old(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before, house.archive = joined(homeserver, "@_junto_bot:hs.test", "@bruno:hs.test"), True
    await bridge.deliver(lot(StateItem(forum()), ""), Outcomes())
    assert house.filling == set()
    assert rules(homeserver, house)[-1] == "public"


@pytest.mark.usefixtures("synapse")
async def test_a_real_room_shows_the_archive_to_whoever_comes_later(synapse: Synapse, tmp_path: Path) -> None:
    place = forum(f"old{secrets.token_hex(4)}")
    house = RecordingHouse(place, data_dir=str(tmp_path))
    house.archive = True
    world = World(synapse, house, place)
    synapse.route_to(world.port)
    await world.start()
    try:
        await world.bridge.deliver(lot(StateItem(place), ""), Outcomes())
        (world.room,) = house.rooms
        visitor = await asyncio.to_thread(synapse.register)
        with pytest.raises(RuntimeError, match="M_FORBIDDEN"):
            await asyncio.to_thread(synapse.join, visitor, world.room)
        posts = archive()
        await world.say(HistoryItem(7, place, posts))
        house.filling.clear()
        await world.bridge.deliver(lot(StateItem(place), ""), Outcomes())
        await asyncio.to_thread(synapse.join, visitor, world.room)
        shown = await world.shown(visitor)
        assert [event["origin_server_ts"] for event in shown] == [each.written_at for each in posts]
        threads = await asyncio.to_thread(
            synapse.call,
            "GET",
            f"/_matrix/client/v1/rooms/{quote(world.room)}/threads?include=all",
            None,
            visitor.token,
        )
        assert [event["event_id"] for event in threads["chunk"]] == [shown[0]["event_id"]]
        await world.audit()
    finally:
        await world.stop()
