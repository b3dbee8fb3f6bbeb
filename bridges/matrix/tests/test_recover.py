"""Which events of a room are posts of ours, whatever the room holds."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from bridges.matrix import MatrixBridge
from bridges.matrix.recover import PAGES, Recovery, said
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from server.bridge import Ref
from tests.fakes import RecordingHouse

MARK = {"id": 7, "message_id": "<7@lists.test>"}


def event(name: str, mark: object = MARK, sender: str = "@_junto_ana:hs.test", edit: object = None) -> dict[str, Any]:
    content = {"net.junto.post": mark} | ({"m.new_content": edit} if edit is not None else {})
    return {"event_id": name, "sender": sender, "type": "m.room.message", "content": content}


@pytest.mark.parametrize(
    "other",
    [
        event("$a", sender="@eve:hs.test"),
        event("$a", sender="@_junto_ana:far.test"),
        event("$a", mark=None),
        event("$a", mark={"id": "7", "message_id": "<7@lists.test>"}),
        event("$a", mark={"id": 7}),
        event("$a", edit={"body": "Better"}),
        event("a"),
        {"event_id": "$a"},
        "$a",
        None,
    ],
)
def test_only_our_own_senders_posts_count(other: object) -> None:
    assert list(said([other, event("$b")], "hs.test")) == [("$b", 7, "<7@lists.test>")]
    assert list(said(other, "hs.test")) == []


def pages(homeserver: Homeserver, *chunks: list[dict[str, Any]]) -> None:
    def before(asked: Asked) -> Answer:
        if not asked.path.endswith("/messages"):
            return None
        at = int(asked.query.get("from", "0"))
        more = {"end": str(at + 1)} if at + 1 < len(chunks) else {}
        return web.json_response({"chunk": chunks[at], **more})

    homeserver.before = before


async def noted(bridge: MatrixBridge, house: RecordingHouse) -> list[tuple[object, ...]]:
    await house.attach("tides", "!room")
    house.told.clear()
    await Recovery(house, bridge._ghosts).run()
    return house.told


async def test_what_is_unknown_is_noted_with_all_its_parts_in_order(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.refs = {Ref("matrix", "$old")}
    pages(
        homeserver,
        [event("$file"), event("$theirs", sender="@eve:hs.test")],
        [event("$text"), event("$known", {"id": 6, "message_id": "<6@lists.test>"})],
        [event("$old", {"id": 5, "message_id": "<5@lists.test>"})],
        [event("$never", {"id": 1, "message_id": "<1@lists.test>"})],
    )
    house.refs.add(Ref("matrix", "$known"))
    parts = (Ref("matrix", "$text", 0), Ref("matrix", "$file", 1))
    assert await noted(bridge, house) == [("note", "tides", "!room", 7, "<7@lists.test>", parts)]
    assert homeserver.count("/messages") == 3


async def test_a_room_without_end_is_read_so_far_and_no_further(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    pages(homeserver, *[[] for _ in range(PAGES + 5)])
    assert await noted(bridge, house) == []
    assert homeserver.count("/messages") == PAGES


async def test_a_homeserver_that_does_not_tell_stops_nothing(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before = lambda asked: error(500, "M_UNKNOWN") if "/messages" in asked.path else None
    assert await noted(bridge, house) == []
