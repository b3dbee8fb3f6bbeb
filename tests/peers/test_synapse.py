import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.peers.net import free_port, wait_for
from tests.peers.synapse import Account, MatrixError, Synapse


def bodies(synapse: Synapse, reader: Account, room: str) -> list[str]:
    events = synapse.messages(reader, room)
    return [event["content"]["body"] for event in events if event["type"] == "m.room.message"]


def open_room(synapse: Synapse, owner: Account) -> str:
    answer = synapse.call("POST", "/_matrix/client/v3/createRoom", {"preset": "public_chat"}, owner.token)
    return str(answer["room_id"])


def test_two_users_exchange_messages(synapse: Synapse) -> None:
    bruno, chidi = synapse.register(), synapse.register()
    room = open_room(synapse, bruno)
    synapse.join(chidi, room)
    synapse.send(bruno, room, {"msgtype": "m.text", "body": "Is it a limpet?"})
    synapse.send(chidi, room, {"msgtype": "m.text", "body": "Yes."})
    assert bodies(synapse, bruno, room) == bodies(synapse, chidi, room) == ["Is it a limpet?", "Yes."]


def test_what_was_said_is_there_after_a_restart_and_gone_after_a_reset(synapse: Synapse) -> None:
    bruno = synapse.register("bruno-stays")
    room = open_room(synapse, bruno)
    synapse.send(bruno, room, {"msgtype": "m.text", "body": "before"})
    synapse.restart()
    assert bodies(synapse, bruno, room) == ["before"]
    synapse.reset()
    with pytest.raises(MatrixError, match="M_UNKNOWN_TOKEN"):
        synapse.messages(bruno, room)


class Listener:
    """An application service that keeps what the homeserver pushes, or answers 500 while `broken`."""

    def __init__(self) -> None:
        self.port = free_port()
        self.broken = False
        self.bodies: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.json_response({}, status=500)
        events = (await request.json())["events"]
        self.bodies += [event["content"]["body"] for event in events if event["type"] == "m.room.message"]
        return web.json_response({})


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    heard = Listener()
    app = web.Application()
    app.router.add_put("/_matrix/app/v1/transactions/{txn}", heard.take)
    app.router.add_post("/_matrix/app/v1/ping", heard.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", heard.port).start()
    yield heard
    await runner.cleanup()


def room_of_the_service(synapse: Synapse, name: str) -> str:
    token = json.loads(synapse.registration.read_text())["as_token"]
    asked = {"preset": "public_chat", "room_alias_name": f"_junto_{name}"}
    return str(synapse.call("POST", "/_matrix/client/v3/createRoom", asked, token)["room_id"])


async def test_the_application_service_hears_the_room_where_the_route_leads(
    synapse: Synapse, listener: Listener
) -> None:
    synapse.route_to(listener.port)

    def talk() -> None:
        room = room_of_the_service(synapse, f"t{listener.port}")
        bruno = synapse.register()
        synapse.join(bruno, f"#_junto_t{listener.port}:{synapse.server_name}")
        synapse.send(bruno, room, {"msgtype": "m.text", "body": "heard"})
        wait_for(lambda: "heard" in listener.bodies, "the room's message")

    await asyncio.to_thread(talk)


async def test_between_tests_what_nobody_took_is_swallowed(synapse: Synapse, listener: Listener) -> None:
    listener.broken = True
    synapse.route_to(listener.port)

    def talk() -> None:
        room = room_of_the_service(synapse, f"d{listener.port}")
        bruno = synapse.register()
        synapse.join(bruno, room)
        synapse.send(bruno, room, {"msgtype": "m.text", "body": "lost on the old route"})
        synapse.drain()
        listener.broken = False
        synapse.route_to(listener.port)
        synapse.send(bruno, room, {"msgtype": "m.text", "body": "on the new route"})
        wait_for(lambda: "on the new route" in listener.bodies, "the room's message")

    await asyncio.to_thread(talk)
    assert "lost on the old route" not in listener.bodies
