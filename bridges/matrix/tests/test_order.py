"""Bans, kicks and silence in a forum's room, as the house hears of them."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Homeserver
from bridges.matrix.tests.test_hear import USER, event, keep, work_off
from server.bridge import Accepted, Discipline, Inbound, Join, Leave, Proof, Result
from server.errors import Rejected
from tests.fakes import RecordingHouse, forum

MOD, BOT = "@mod:hs.test", "@_junto_bot:hs.test"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse()
    house.rooms["!room"] = "tides"
    for user, name in ((USER, "Bruno"), (MOD, "Mod")):
        house.rows.put("name", user, name)
    return house


def member(
    was: str | None, now: str, user: str = USER, by: str = MOD, number: int = 1, **content: Any
) -> dict[str, Any]:
    before = {"prev_content": {"membership": was}} if was is not None else {}
    said = {"membership": now, **content}
    return event(f"${number}", type="m.room.member", state_key=user, sender=by, content=said, unsigned=before)


def levels(was: dict[str, Any], now: dict[str, Any], by: str = MOD) -> dict[str, Any]:
    unsigned = {"prev_content": was}
    return event("$1", type="m.room.power_levels", state_key="", sender=by, content=now, unsigned=unsigned)


def heard(house: RecordingHouse) -> list[tuple[str, str, str, str]]:
    return [(d.verb, d.address, d.author.address, d.reason) for d in house.accepted if isinstance(d, Discipline)]


@pytest.mark.parametrize(
    ("was", "now", "verb"),
    [
        ("join", "ban", "ban"),
        (None, "ban", "ban"),
        ("leave", "ban", "ban"),
        ("ban", "leave", "unban"),
        ("join", "leave", "kick"),
        ("knock", "leave", "kick"),
        ("knock", "invite", "admit"),
        ("invite", "leave", None),
        ("leave", "invite", None),
        ("ban", "ban", None),
    ],
)
async def test_what_somebody_does_to_somebody_else(
    bridge: MatrixBridge, house: RecordingHouse, was: str | None, now: str, verb: str | None
) -> None:
    keep(house, member(was, now, reason="Enough."))
    await work_off(bridge)
    assert heard(house) == ([(verb, USER, MOD, "Enough.")] if verb else [])
    assert [inbound for inbound in house.accepted if not isinstance(inbound, Discipline)] == []


async def test_what_people_do_themselves_is_theirs(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, member(None, "join", by=USER), member("join", "leave", by=USER, number=2))
    await work_off(bridge)
    assert [type(inbound) for inbound in house.accepted] == [Join, Leave]


@pytest.mark.parametrize(
    ("options", "kicked"), [({}, True), ({"join_policy": "invite"}, False), ({"state": "closed"}, False)]
)
async def test_who_is_shut_out_of_the_forum_is_put_out_of_its_room(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, options: dict[str, str], kicked: bool
) -> None:
    def refuses(inbound: Inbound) -> Result:
        raise Rejected("5.7.1", "You are shut out.")

    house.answer = refuses
    house.forums["tides"] = forum(**options)
    keep(house, member(None, "join", by=USER))
    await work_off(bridge)
    acts = [asked.body for asked in homeserver.asked if asked.path.endswith("/kick")]
    assert acts == ([{"user_id": USER, "reason": "You are shut out."}] if kicked else [])


async def test_our_own_acts_and_what_is_done_to_our_ghosts_are_no_news(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    keep(
        house,
        member("join", "ban", by=BOT),
        member("join", "leave", by=BOT, number=2),
        member("join", "ban", user="@_junto_abc:hs.test", number=3),
        member("join", "leave", user="@_other_abc:hs.test", number=4),
    )
    await work_off(bridge)
    assert house.accepted == []


async def test_an_act_of_a_machine_proves_nobody(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, member("join", "ban", by="@_mjolnir_1:hs.test"))
    await work_off(bridge)
    (act,) = house.accepted
    assert isinstance(act, Discipline)
    assert act.author.proof is Proof.NONE


@pytest.mark.parametrize(
    ("was", "now", "wanted"),
    [
        ({}, {"users": {USER: -1}}, ["mute"]),
        ({"users": {USER: -1}}, {"users": {}}, ["unmute"]),
        ({"users": {USER: 10}}, {"users": {}}, []),
        ({}, {"events_default": 50}, []),
        ({"events_default": 50}, {"events_default": 50, "users": {USER: 50}}, ["unmute"]),
        ({"events": {"m.room.message": 10}, "users": {USER: 10}}, {"events": {"m.room.message": 10}}, ["mute"]),
        ({"users": {USER: "much"}}, {"users": {USER: None}}, []),
        ({}, {"users": [USER]}, []),
    ],
)
async def test_a_level_of_their_own_silences(
    bridge: MatrixBridge, house: RecordingHouse, was: dict[str, Any], now: dict[str, Any], wanted: list[str]
) -> None:
    keep(house, levels(was | {"state_default": 50}, now))
    await work_off(bridge)
    assert [verb for verb, *_ in heard(house)] == wanted


async def test_levels_that_we_set_are_no_news(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, levels({"state_default": 50}, {"users": {USER: -1}}, by=BOT))
    await work_off(bridge)
    assert house.accepted == []


async def test_who_did_what_cannot_be_is_told_so(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    def refuses(inbound: Inbound) -> Result:
        if isinstance(inbound, Discipline):
            raise Rejected("5.7.1", "They look after it.")
        return Accepted()

    house.answer = refuses
    keep(house, member("join", "ban"))
    await work_off(bridge)
    assert [content["body"] for content in homeserver.sent()] == ["They look after it."]
