"""A message that waits has a sign of ours on it, until it is decided."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Homeserver, error
from bridges.matrix.tests.samples import Outcomes, lot
from bridges.matrix.tests.test_hear import event, keep, work_off
from server.bridge import Accepted, DecisionItem, Held, Inbound, Later, NewPost, Reaction, Ref, Result, Sent
from server.errors import Rejected
from tests.fakes import RecordingHouse, forum

ROOM = "!room"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse()
    house.rooms[ROOM] = "tides"
    house.rows.put("name", "@bruno:hs.test", "Bruno")

    def holds(inbound: Inbound) -> Result:
        return Held("H-abcd", "the first post waits") if isinstance(inbound, NewPost) else Accepted()

    house.answer = holds
    return house


def signs(homeserver: Homeserver) -> list[dict[str, Any]]:
    return [found["content"]["m.relates_to"] for found in homeserver.events.values() if found["type"] == "m.reaction"]


def redacted(homeserver: Homeserver) -> list[str]:
    return [asked.path.split("/")[-2] for asked in homeserver.asked if "/redact/" in asked.path]


async def decide(bridge: MatrixBridge, approved: bool) -> Any:
    outcomes = Outcomes()
    item = DecisionItem(forum(), "H-abcd", (Ref("matrix", "$1"), Ref("message-id", "<1@x.test>")), approved)
    await bridge.deliver(lot(item, ROOM), outcomes)
    return outcomes.only


async def test_a_message_that_waits_is_marked_and_its_author_told_its_name(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    keep(house, event("$1", "May I?"))
    await work_off(bridge)
    assert signs(homeserver) == [{"rel_type": "m.annotation", "event_id": "$1", "key": "⏳"}]
    (told,) = homeserver.sent()
    assert "H-abcd" in told["body"]
    for part in ("“May I?” in Tide pools", "The first post waits."):
        assert part in told["body"]
    spoken = [asked.path for asked in homeserver.asked if "/send/m.room.message/" in asked.path]
    assert all("!room" not in path for path in spoken)  # in private


@pytest.mark.parametrize("approved", [True, False])
async def test_decided_it_loses_its_mark_or_goes(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, approved: bool
) -> None:
    keep(house, event("$1", "May I?"))
    await work_off(bridge)
    sign = next(name for name, found in homeserver.events.items() if found["type"] == "m.reaction")
    assert isinstance(await decide(bridge, approved), Sent)
    assert redacted(homeserver) == [sign] if approved else ["$1", sign]
    assert house.rows.get("held", "$1") is None


async def test_a_decision_that_is_faster_than_the_mark_waits_for_it_a_while(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    assert isinstance(await decide(bridge, False), Later)
    assert redacted(homeserver) == []


async def test_a_mark_that_cannot_be_set_holds_nothing_up(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.before = lambda asked: error(403, "M_FORBIDDEN") if "m.reaction" in asked.path else None
    keep(house, event("$1", "May I?"), event("$2", "And this?"))
    await work_off(bridge)
    assert [inbound.text for inbound in house.accepted if isinstance(inbound, NewPost)] == ["May I?", "And this?"]
    assert isinstance(await decide(bridge, False), Sent)
    assert redacted(homeserver) == ["$1"]


async def test_a_sign_set_while_it_waits_counts_when_it_is_approved(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    relation = {"rel_type": "m.annotation", "event_id": "$1", "key": "🌊"}
    keep(house, event("$1", "May I?"), event("$2", type="m.reaction", content={"m.relates_to": relation}))
    holds = house.answer

    def unknown(inbound: Inbound) -> Result:
        if isinstance(inbound, Reaction):
            raise Rejected("5.5.0", "There is no such post here.")
        return holds(inbound)

    house.answer = unknown
    await work_off(bridge)
    house.answer = holds
    await decide(bridge, True)
    assert [inbound.key for inbound in house.accepted if isinstance(inbound, Reaction)] == ["🌊"]
