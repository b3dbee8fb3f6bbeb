"""What the doctor finds wrong with a homeserver, and what it says of it."""

from __future__ import annotations

import pytest
from aiohttp import web

from bridges.matrix import BotBridge, MatrixBridge
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from server.bridge import Check
from tests.fakes import RecordingHouse, forum

BOT = "@_junto_bot:hs.test"


def well(asked: Asked) -> Answer:
    if asked.path.endswith("/versions"):
        return web.json_response({"versions": ["v1.11", "v1.15"]})
    if asked.path.endswith("/whoami"):
        return web.json_response({"user_id": BOT})
    if asked.path.endswith("/state/m.room.power_levels/"):
        return web.json_response({"users": {BOT: 100}})
    return None


async def look(bridge: MatrixBridge) -> dict[str, Check]:
    return {check.name: check for check in await bridge.checks([forum()], {})}


async def test_all_is_well(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before, homeserver.upload_size = well, 100 * 2**20
    found = await look(bridge)
    assert [(name, check.ok) for name, check in found.items()] == [
        ("homeserver", True),
        ("registration", True),
        ("homeserver to us", None),  # nothing listens for it in this test
        ("files", True),
        ("room of tides", True),
    ]
    assert found["homeserver"].detail.endswith("speaks v1.15")
    assert found["files"].detail == "the homeserver takes 100 MiB"


@pytest.mark.parametrize(
    ("path", "answer", "name", "words"),
    [
        ("/versions", error(502, ""), "homeserver", "502"),
        ("/whoami", error(401, "M_UNKNOWN_TOKEN", "who are you"), "registration", "does not know us"),
        ("/whoami", web.json_response({"user_id": "@_junto_bot:other.test"}), "registration", "other.test"),
        ("/joined_rooms", web.json_response({"joined_rooms": []}), "room of tides", "not in it"),
        ("/m.room.power_levels/", web.json_response({"users": {BOT: 50}}), "room of tides", "power level 50"),
    ],
)
async def test_what_is_wrong_is_named_with_what_to_do(
    bridge: MatrixBridge, homeserver: Homeserver, path: str, answer: web.Response, name: str, words: str
) -> None:
    homeserver.before = lambda asked: answer if asked.path.endswith(path) else well(asked)
    found = (await look(bridge))[name]
    assert found.ok is False
    assert words in found.detail
    assert found.fix


async def test_a_room_that_is_closed_to_us_or_not_made_is_told(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    homeserver.before = lambda asked: error(404, "M_NOT_FOUND") if "/directory/" in asked.path else well(asked)
    assert (await look(bridge))["room of tides"].ok is None
    homeserver.before = well
    await bridge._barred.bar("!room", "It is encrypted.", for_good=True)
    found = (await look(bridge))["room of tides"]
    assert (found.ok, found.detail) == (False, "It is encrypted.")
    assert "!junto link tides" in found.fix


def test_who_is_elsewhere_cannot_enter_a_room_that_does_not_federate(bridge: MatrixBridge) -> None:
    closed = forum(federate=False)
    assert bridge.refuses("@ana:hs.test", closed) is None
    assert bridge.refuses("@ana:far.test", forum()) is None
    why_not = bridge.refuses("@ana:far.test", closed)
    assert why_not is not None
    assert "@ana:far.test" in why_not


async def test_an_account_is_looked_at_as_one(bot: BotBridge, homeserver: Homeserver) -> None:
    def before(asked: Asked) -> Answer:
        if asked.path.endswith("/whoami"):
            return web.json_response({"user_id": bot._ghosts.bot_id})
        if asked.path.endswith("/state/m.room.power_levels/"):
            return web.json_response({"users": {bot._ghosts.bot_id: 150}})
        return well(asked)

    homeserver.before = before
    found = {check.name: check.ok for check in await bot.checks([forum()], {})}
    assert found == {"homeserver": True, "account": True, "files": True, "room of tides": True}
    bot.token_path.unlink()
    bot._account = None
    (missing,) = await bot.checks([forum()], {})
    assert (missing.ok, missing.fix) == (False, "Run `junto matrix login`.")
