"""Rooms where nothing may be said: noted once, tried no more, and open again when they are."""

from __future__ import annotations

import pytest

from bridges.matrix import MatrixBridge
from bridges.matrix.barred import Bar, Barred, shuts_out
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from bridges.matrix.tests.samples import Outcomes, lot, post
from server.bridge import Failed, Later, Outcome, PostItem, Sent, StateItem
from server.clock import HOUR
from tests.fakes import RecordingHouse, forum

ROOM = "!room"


async def say(bridge: MatrixBridge, item: PostItem | StateItem) -> Outcome:
    outcomes = Outcomes()
    await bridge.deliver(lot(item, ROOM if isinstance(item, PostItem) else ""), outcomes)
    return outcomes.only


def put_out(asked: Asked) -> Answer:
    return error(403, "M_FORBIDDEN") if asked.path.endswith("/invite") or "/join/" in asked.path else None


async def test_a_bot_that_was_put_out_stops_trying_until_it_is_let_in(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    await house.attach("tides", ROOM)
    homeserver.before, homeserver.rooms = put_out, []
    first = await say(bridge, PostItem(post()))
    assert isinstance(first, Later)
    assert first.after_ms == HOUR
    homeserver.asked.clear()
    again = await say(bridge, PostItem(post()))
    assert isinstance(again, Later)
    assert [told[:2] for told in house.told if told[0] == "alarm"] == [("alarm", "tides")]
    assert homeserver.asked == []
    waits = await say(bridge, StateItem(forum()))
    assert isinstance(waits, Later)
    assert waits.after_ms == 600_000
    homeserver.before, homeserver.rooms = (lambda asked: None), [ROOM]
    assert isinstance(await say(bridge, StateItem(forum())), Sent)
    assert house.nudges == 1
    assert isinstance(await say(bridge, PostItem(post())), Sent)


async def test_an_encrypted_room_is_never_written_to(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    await bridge._barred.bar(ROOM, "encrypted", for_good=True)
    await bridge._barred.bar(ROOM, "put out")
    assert not await bridge._barred.lift(ROOM)
    assert await say(bridge, PostItem(post())) == Failed("encrypted")
    assert homeserver.asked == []


async def test_what_is_closed_is_listed_once(house: RecordingHouse) -> None:
    barred = Barred(house)
    await barred.bar("!a", "one")
    await barred.bar("!a", "one more")
    await barred.bar("!b", "two", for_good=True)
    assert await barred.all() == {"!a": Bar("one"), "!b": Bar("two", True)}
    assert await barred.lift("!a")
    assert not await barred.lift("!a")
    await barred.forget("!b")
    assert await barred.all() == {}


@pytest.mark.parametrize(
    ("acl", "shut"),
    [
        ({}, False),
        ({"allow": ["*"]}, False),
        ({"allow": ["*"], "deny": ["*.evil.test"]}, False),
        ({"allow": ["*"], "deny": ["HS.te?t"]}, True),
        ({"allow": ["other.test"]}, True),
        ({"deny": []}, True),
        ({"allow": "everybody"}, True),
        ({"allow": ["*"], "deny": [7, None]}, False),
    ],
)
@pytest.mark.parametrize("server", ["hs.test", "hs.test:8448"])
def test_an_access_list_shuts_our_homeserver_out(acl: dict[str, object], shut: bool, server: str) -> None:
    assert shuts_out(acl, server) is shut


def test_an_access_list_may_refuse_addresses_in_numbers() -> None:
    for server in ("192.0.2.7", "192.0.2.7:8448", "[2001:db8::1]"):
        assert shuts_out({"allow": ["*"], "allow_ip_literals": False}, server)
        assert not shuts_out({"allow": ["*"]}, server)
