"""The door for the homeserver: who may come in, and that 200 means committed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestClient, TestServer

from bridges.matrix import MatrixBridge
from bridges.matrix.appservice import Endpoint
from bridges.matrix.tests.homeserver import Homeserver
from bridges.matrix.tests.samples import Outcomes, lot, post
from server.bridge import PostItem
from server.errors import StoreUnavailable
from tests.fakes import RecordingHouse

APP = "/_matrix/app/v1"
EVENT = {"event_id": "$one", "room_id": "!room", "type": "m.room.message", "sender": "@u:hs.test", "content": {}}


class Door:
    def __init__(self, client: TestClient[Any, Any], token: str) -> None:
        self.client, self.token, self.arrived = client, token, 0

    async def ask(self, method: str, path: str, **more: Any) -> tuple[int, Any]:
        headers = more.pop("headers", {"Authorization": f"Bearer {self.token}"})
        async with self.client.request(method, path, headers=headers, **more) as response:
            return response.status, await response.json()

    async def push(self, transaction: str, *events: object) -> tuple[int, Any]:
        return await self.ask("PUT", f"{APP}/transactions/{transaction}", json={"events": list(events)})


@pytest_asyncio.fixture
async def door(bridge: MatrixBridge, house: RecordingHouse) -> AsyncIterator[Door]:
    endpoint = Endpoint(house, bridge._ghosts, lambda: bridge._registration, lambda: None)
    async with TestClient(TestServer(endpoint.app())) as client:
        yield Door(client, bridge._registration.hs_token)


async def test_events_are_kept_once_in_order_before_the_answer(door: Door, house: RecordingHouse) -> None:
    second = EVENT | {"event_id": "$two"}
    assert await door.push("7", EVENT, second) == (200, {})
    assert await door.push("7", EVENT, second) == (200, {})
    assert await door.push("8", second) == (200, {})
    assert list(house.rows.inbox) == ["$one", "$two"]
    assert json.loads(house.rows.inbox["$one"][1]) == EVENT


@pytest.mark.parametrize("bad", ["$" + "x" * 255, "$a\0", "$\ud800", "sha256:0", 7])
async def test_an_event_without_a_usable_id_is_named_after_its_bytes(
    door: Door, house: RecordingHouse, bad: object
) -> None:
    assert await door.push("7", EVENT | {"event_id": bad}, EVENT) == (200, {})
    nameless, named = house.rows.inbox
    assert (nameless.startswith("sha256:"), len(nameless), named) == (True, 71, "$one")


async def test_a_homeserver_that_counts_from_one_again_loses_nothing(door: Door, house: RecordingHouse) -> None:
    await door.push("1", EVENT)
    await door.push("1", EVENT | {"event_id": "$after-its-restart"})
    assert list(house.rows.inbox) == ["$one", "$after-its-restart"]


async def test_a_database_that_is_away_makes_the_homeserver_come_again(
    door: Door, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(work: object) -> object:
        raise StoreUnavailable

    with monkeypatch.context() as broken:
        broken.setattr(house, "write", away)
        status, _body = await door.push("7", EVENT)
        assert status == 500
    assert await door.push("7", EVENT) == (200, {})
    assert list(house.rows.inbox) == ["$one"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[]", b'{"events": 3}', b"[" * 200_000], ids=lambda body: repr(body[:12])
)
async def test_what_is_no_transaction_is_kept_whole_and_does_not_block(
    door: Door, house: RecordingHouse, body: bytes
) -> None:
    assert await door.ask("PUT", f"{APP}/transactions/9", data=body) == (200, {})
    ((_id, kept, _state, _attempts),) = house.rows.inbox.values()
    assert kept == body


async def test_odd_events_in_a_transaction_do_not_take_the_good_ones_with_them(
    door: Door, house: RecordingHouse
) -> None:
    assert await door.push("7", 3, EVENT, {"event_id": ["$x"]}, {"event_id": "$é" * 200}) == (200, {})
    assert len(house.rows.inbox) == 4
    assert "$one" in house.rows.inbox


async def test_only_the_homeserver_comes_in(door: Door, house: RecordingHouse) -> None:
    path, body = f"{APP}/transactions/7", {"events": [EVENT]}
    status, answer = await door.ask("PUT", path, json=body, headers={})
    assert (status, answer["errcode"]) == (401, "M_UNAUTHORIZED")
    status, answer = await door.ask("PUT", path, json=body, headers={"Authorization": "Bearer wrong"})
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    status, answer = await door.ask("PUT", f"{path}?access_token=wrong", json=body)
    assert (status, answer["errcode"]) == (403, "M_FORBIDDEN")
    assert house.rows.inbox == {}
    status, answer = await door.ask("PUT", f"{path}?access_token={door.token}", json=body)
    assert status == 200


async def test_unknown_paths_and_methods_are_unrecognized(door: Door) -> None:
    status, answer = await door.ask("GET", "/_matrix/app/v1/nothing")
    assert (status, answer["errcode"]) == (404, "M_UNRECOGNIZED")
    status, answer = await door.ask("POST", f"{APP}/transactions/7")
    assert (status, answer["errcode"]) == (405, "M_UNRECOGNIZED")


async def test_ping_and_the_older_paths_work_and_nobody_is_listed(door: Door) -> None:
    assert await door.ask("POST", f"{APP}/ping", json={"transaction_id": "x"}) == (200, {})
    assert await door.ask("PUT", "/transactions/1", json={"events": []}) == (200, {})
    assert await door.ask("GET", f"{APP}/thirdparty/user?userid=@u:hs.test") == (200, [])
    status, answer = await door.ask("GET", f"{APP}/rooms/%23_junto_none:hs.test")
    assert (status, answer["errcode"]) == (404, "M_NOT_FOUND")


async def test_a_user_exists_once_we_have_made_it(door: Door, bridge: MatrixBridge, homeserver: Homeserver) -> None:
    ghost = f"{APP}/users/@_junto_kq3ana7rw2:hs.test"
    status, _answer = await door.ask("GET", ghost)
    assert status == 404
    await bridge.deliver(lot(PostItem(post()), "!room"), Outcomes())
    assert await door.ask("GET", ghost) == (200, {})


async def test_nobody_looks_for_a_user_who_cannot_be_ours(
    door: Door, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(RecordingHouse, "write")  # a NUL in a question is an error to PostgreSQL
    for nobody in ("@ana:hs.test", "@_junto_%00:hs.test", "%00"):
        status, answer = await door.ask("GET", f"{APP}/users/{nobody}")
        assert (status, answer["errcode"]) == (404, "M_NOT_FOUND")


async def test_the_door_opens_with_the_bridge_and_a_taken_port_is_named(bridge: MatrixBridge) -> None:
    import asyncio

    from server.errors import ConfigError

    running = asyncio.create_task(bridge.run())
    url = f"http://{bridge._settings.listen}{APP}/ping"
    headers = {"Authorization": f"Bearer {bridge._registration.hs_token}"}
    try:
        async with asyncio.timeout(10), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.post(url, headers=headers) as response:
                        assert response.status == 200
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.01)
        second = MatrixBridge(bridge._house, bridge._settings)
        with pytest.raises(
            ConfigError, match=r"^\[matrix\] listen = 127\.0\.0\.1:\d+: address already in use: end"
        ) as caught:
            await second.run()
        assert "\n" not in str(caught.value)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
