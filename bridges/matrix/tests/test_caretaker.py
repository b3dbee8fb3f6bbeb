"""What is heard of rooms themselves, and what is done about it; faults of the homeserver included."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Asked, Homeserver, error
from server.bridge import Duplicate, Held, Inbound, Join, Leave, Result
from server.errors import Rejected
from tests.fakes import RecordingHouse, forum

BOT, ANA = "@_junto_bot:hs.test", "@ana:hs.test"


@pytest.fixture
def house() -> RecordingHouse:
    found = RecordingHouse(forum())
    found.rooms["!room"] = "tides"
    return found


async def hear(bridge: MatrixBridge, house: RecordingHouse, **event: Any) -> None:
    """One event, worked off; then it is not waiting any more, unless the test says otherwise."""
    name = f"$e{len(house.rows.inbox)}"
    whole = {"event_id": name, "room_id": "!room", "sender": ANA, "origin_server_ts": 1, "content": {}} | event
    house.rows.keep(name, json.dumps(whole).encode())
    await bridge._listener.work_off()


def member(user: str, now: str, **content: Any) -> dict[str, Any]:
    return {"type": "m.room.member", "state_key": user, "content": {"membership": now, **content}}


def done(homeserver: Homeserver, verb: str) -> list[Any]:
    """What was asked of the homeserver by that word."""
    return [asked.body for asked in homeserver.asked if asked.path.endswith(f"/{verb}")]


async def test_a_knock_is_a_wish_with_its_words(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.answer = lambda inbound: Held("", "a moderator decides")
    await hear(bridge, house, **member(ANA, "knock", displayname="Ana", reason="I count\n limpets"))
    (wish,) = house.accepted
    assert isinstance(wish, Join)
    assert (wish.author.address, wish.author.name, wish.words) == (ANA, "Ana", "I count limpets")
    assert done(homeserver, "invite") == []


async def test_a_member_who_knocks_is_asked_in(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.answer = lambda inbound: Duplicate()
    await hear(bridge, house, **member(ANA, "knock"))
    assert done(homeserver, "invite") == [{"user_id": ANA}]


async def test_who_may_not_ask_is_told_why(bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse) -> None:
    def refuse(inbound: Inbound) -> Result:
        raise Rejected("5.7.1", "You are shut out.")

    house.answer = refuse
    await hear(bridge, house, **member(ANA, "knock"))
    assert done(homeserver, "kick") == [{"user_id": ANA, "reason": "You are shut out."}]


async def test_machines_knock_in_vain(bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse) -> None:
    await hear(bridge, house, **member("@_irc_ana:hs.test", "knock"), sender="@_irc_ana:hs.test")
    assert house.accepted == []


@pytest.mark.parametrize("now", ["leave", "ban"])
async def test_whom_we_put_out_did_not_leave(bridge: MatrixBridge, house: RecordingHouse, now: str) -> None:
    await hear(bridge, house, **member(ANA, now), sender=BOT, unsigned={"prev_content": {"membership": "join"}})
    assert house.accepted == []
    await hear(bridge, house, **member(ANA, "leave"), unsigned={"prev_content": {"membership": "join"}})
    assert [type(inbound) for inbound in house.accepted] == [Leave]


async def test_a_bot_that_was_put_out_says_so_until_it_is_in_again(bridge: MatrixBridge, house: RecordingHouse) -> None:
    await hear(bridge, house, **member(BOT, "leave"))
    bar = await bridge._barred.of("!room")
    assert bar is not None
    assert ANA in bar.why
    await hear(bridge, house, **member(BOT, "join"), sender=BOT)
    assert await bridge._barred.of("!room") is None
    assert house.nudges == 1


async def test_an_access_list_closes_a_room_and_opens_it(bridge: MatrixBridge, house: RecordingHouse) -> None:
    acl = {"type": "m.room.server_acl", "state_key": ""}
    await hear(bridge, house, **acl, content={"allow": ["*"], "deny": ["hs.test"]})
    assert await bridge._barred.of("!room") is not None
    await hear(bridge, house, **acl, content={"allow": ["*"]})
    assert await bridge._barred.of("!room") is None


async def test_an_invitation_waits_for_the_homeserver(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.in_charge[ANA] = ("tides",)
    homeserver.before = lambda asked: error(502, "M_UNKNOWN") if "/join/" in asked.path else None
    await hear(bridge, house, **member(BOT, "invite"), room_id="!theirs")
    ((_row, _data, state, attempts),) = house.rows.inbox.values()
    assert (state, attempts) == ("new", 1)


async def test_only_who_is_in_charge_invites_the_bot(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    await hear(bridge, house, **member(BOT, "invite"), room_id="!theirs")
    assert len(done(homeserver, "leave")) == 1
    house.in_charge[ANA] = ("tides",)
    await hear(bridge, house, **member(BOT, "invite"), room_id="!theirs")
    assert len(done(homeserver, "leave")) == 1
    assert homeserver.count("/join/!theirs") == 1


async def test_a_tombstone_that_leads_nowhere_is_not_followed(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    for content in ({}, {"replacement_room": 7}, {"replacement_room": "!room"}, {"replacement_room": "!other"}):
        await bridge._barred.forget("!room")
        await hear(bridge, house, type="m.room.tombstone", state_key="", content=content)
        assert house.rooms == {"!room": "tides"}
        assert await bridge._barred.of("!room") is not None


async def test_a_room_that_replaces_ours_and_is_closed_is_taken_once_the_bot_is_invited(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    from aiohttp import web

    def closed(asked: Asked) -> web.StreamResponse | None:
        if "/join/!new" in asked.path:
            return error(403, "M_FORBIDDEN")
        if "/!new/state/m.room.create" in asked.path:
            return web.json_response({"room_version": "11", "predecessor": {"room_id": "!room"}})
        return None

    homeserver.before = closed
    await hear(bridge, house, type="m.room.tombstone", state_key="", content={"replacement_room": "!new"})
    bar = await bridge._barred.of("!room")
    assert bar is not None
    assert "invite @_junto_bot:hs.test there" in bar.why
    homeserver.before = lambda asked: None if "/join/" in asked.path else closed(asked)
    await hear(bridge, house, **member(BOT, "invite"), room_id="!new", sender="@owner:hs.test")
    await hear(bridge, house, **member(BOT, "join"), room_id="!new", sender=BOT)
    assert house.rooms == {"!new": "tides"}
    assert await bridge._barred.all() == {}


async def test_the_command_is_words_like_others_in_a_forum_s_room_and_in_a_direct_one(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    house.in_charge[ANA] = ("tides",)
    house.rows.put("direct-room", "!direct", json.dumps([BOT, ANA]))
    said = {"type": "m.room.message", "content": {"msgtype": "m.text", "body": "!junto link tides"}}
    for room in ("!room", "!direct"):
        await hear(bridge, house, **said, room_id=room)
    assert house.rooms == {"!room": "tides"}
