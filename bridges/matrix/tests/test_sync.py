"""What a sync becomes in the inbox: everything once, in order, with the token, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from bridges.matrix import BotBridge
from bridges.matrix.sync import Sync
from bridges.matrix.tests.homeserver import Asked
from bridges.matrix.tests.told import ROOM, USER, Told, event, joining, synced
from bridges.matrix.voice import OneVoice
from bridges.matrix.wire import Trouble
from server.bridge import NewPost
from server.errors import StoreUnavailable
from tests.fakes import RecordingHouse


@pytest.fixture
def sync(bot: BotBridge, house: RecordingHouse) -> Sync:
    assert isinstance(bot._ghosts, OneVoice)
    return Sync(house, bot._ghosts, bot._listener.wake, bot._well, lambda _: None)


def stored(house: RecordingHouse) -> list[str]:
    return [kept.name for kept in house.rows.take(1000)]


async def test_the_events_of_a_sync_are_stored_with_the_token_for_the_next(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    told.syncs[""] = synced("s1", event("one"))
    told.syncs["s1"] = synced("s2", event("two"), event("three"))
    assert await sync.once() == 1
    assert await sync.once() == 2
    assert stored(house) == ["$one", "$two", "$three"]
    assert house.rows.get("sync", "token") == "s2"
    assert json.loads(house.rows.take(1)[0].data)["room_id"] == ROOM


async def test_a_database_that_fails_while_a_sync_is_stored_leaves_neither_events_nor_token(
    sync: Sync, told: Told, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.syncs[""] = synced("s1", event("one"))
    told.syncs["s1"] = synced("s2", event("two"), event("three"))
    await sync.once()
    put = house.rows.put

    def breaks(kind: str, key: str, value: str) -> None:
        if (kind, value) == ("sync", "s2"):
            raise StoreUnavailable
        put(kind, key, value)

    monkeypatch.setattr(house.rows, "put", breaks)
    with pytest.raises(StoreUnavailable):
        await sync.once()
    assert stored(house) == ["$one"]
    assert house.rows.get("sync", "token") == "s1"
    monkeypatch.undo()
    await sync.once()
    assert stored(house) == ["$one", "$two", "$three"]


async def test_what_a_sync_left_out_is_stored_before_it_in_its_order(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    told.syncs[""] = synced("s1", event("one"))
    told.syncs["s1"] = synced("s2", event("five"), limited=True)
    told.pages["s1"] = {"chunk": [event("two"), event("three")], "end": "p1"}
    told.pages["p1"] = {"chunk": [event("four"), event("five")], "end": "before-s2"}
    await sync.once()
    assert await sync.once() == 0  # the page had it
    assert stored(house) == ["$one", "$two", "$three", "$four", "$five"]
    asked = [asked.query for asked in told.homeserver.asked if asked.path.endswith("/messages")]
    assert [(query["dir"], query["from"], query["to"]) for query in asked] == [
        ("f", "s1", "before-s2"),
        ("f", "p1", "before-s2"),
    ]


async def test_a_homeserver_that_goes_away_within_a_gap_is_asked_again_for_all_of_it(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    told.syncs[""] = synced("s1", event("one"))
    told.syncs["s1"] = synced("s2", event("four"), limited=True)
    told.pages["s1"] = {"chunk": [event("two")], "end": "p1"}
    told.pages["p1"] = {"status": 502}
    await sync.once()
    with pytest.raises(Trouble):
        await sync.once()
    assert house.rows.get("sync", "token") == "s1"
    told.pages["p1"] = {"chunk": [event("three")]}
    await sync.once()
    assert stored(house) == ["$one", "$two", "$three", "$four"]


async def test_a_gap_that_may_not_be_read_does_not_stop_the_rest(sync: Sync, told: Told, house: RecordingHouse) -> None:
    told.syncs[""] = synced("s1", event("one"))
    told.syncs["s1"] = synced("s2", event("three"), limited=True)
    told.pages["s1"] = {"status": 403}
    await sync.once()
    await sync.once()
    assert stored(house) == ["$one", "$three"]


async def test_what_was_said_in_a_room_before_we_came_is_not_heard(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    told.syncs[""] = {"next_batch": "s1"}
    told.syncs["s1"] = synced("s2", event("old"), joining(), event("new"), limited=True)
    told.syncs["s2"] = synced("s3", event("later"), limited=True, room="!other")
    told.pages["s2"] = {"chunk": [event("older"), joining() | {"event_id": "$here"}, event("newer")]}
    for _ in range(3):
        await sync.once()
    assert stored(house) == ["$came", "$new", "$here", "$newer", "$later"]


async def test_the_first_sync_of_an_old_account_brings_no_history_of_other_rooms(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    told.syncs[""] = synced("s1", event("chat"), limited=True, room="!elsewhere")
    await sync.once()
    assert stored(house) == []


async def test_a_sync_that_another_process_has_stored_is_not_stored_again(
    sync: Sync, told: Told, house: RecordingHouse
) -> None:
    def meanwhile(asked: Asked) -> web.StreamResponse | None:
        house.rows.put("sync", "token", "s9")
        return told.answer(asked)

    told.syncs[""] = synced("s1", event("one"))
    told.homeserver.before = meanwhile
    with pytest.raises(Trouble, match="another process"):
        await sync.once()
    assert stored(house) == []
    assert house.rows.get("sync", "token") == "s9"


@pytest.mark.parametrize("answer", [{}, {"next_batch": 3}, {"next_batch": ""}, {"next_batch": "x" * 5000}])
async def test_a_sync_without_a_token_is_no_sync(sync: Sync, told: Told, answer: dict[str, Any]) -> None:
    told.syncs[""] = answer
    with pytest.raises(Trouble):
        await sync.once()


async def test_a_malformed_sync_breaks_nothing(sync: Sync, told: Told, house: RecordingHouse) -> None:
    rooms = {"join": {"?": {}, ROOM: {"timeline": {"events": [3, event("one"), {"type": 4}]}}, "!b": []}, "invite": []}
    told.syncs[""] = {"next_batch": "s1", "rooms": rooms}
    await sync.once()
    assert "$one" in stored(house)


async def test_an_invitation_is_heard_each_time_it_comes(sync: Sync, told: Told, house: RecordingHouse) -> None:
    asks = {"type": "m.room.member", "state_key": USER, "sender": "@ana:x.org", "content": {"membership": "invite"}}
    for since, token in (("", "s1"), ("s1", "s2")):
        invited = {"invite_state": {"events": [{"type": "m.room.name"}, asks]}}
        told.syncs[since] = {"next_batch": token, "rooms": {"invite": {"!asked": invited}}}
        await sync.once()
    assert len(stored(house)) == 2
    assert json.loads(house.rows.take(1)[0].data)["room_id"] == "!asked"


async def test_it_runs_hears_and_reports(bot: BotBridge, told: Told, house: RecordingHouse) -> None:
    told.syncs[""] = {"next_batch": "s1"}
    told.syncs["s1"] = synced("s2", event("hello"), event("mine", sender=USER), event("hello"))
    told.syncs["s2"] = {"next_batch": "s2"}
    running = asyncio.create_task(bot.run())
    async with asyncio.timeout(10):
        while not house.accepted:
            await asyncio.sleep(0.01)
    assert house.health == (True, "")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [heard.text for heard in house.accepted if isinstance(heard, NewPost)] == ["hello"]
