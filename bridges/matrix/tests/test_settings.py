"""The section, the registration and the small abilities of the bridge."""

from __future__ import annotations

import asyncio
import re
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridges.matrix import MatrixBridge, Settings, create, registration
from bridges.matrix.tests.homeserver import Homeserver, error
from bridges.matrix.tests.samples import post, said
from server.errors import ConfigError
from tests.fakes import RecordingHouse, forum


def settings(**changes: str) -> Settings:
    return Settings.model_validate({"homeserver": "http://127.0.0.1:8008", "server_name": "hs.test"} | changes)


def test_without_a_homeserver_there_is_no_bridge() -> None:
    assert create(RecordingHouse(), Settings.model_validate({})) is None


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"mode": "bot"}, "user is needed"),
        ({"mode": "bot", "user": "junto"}, "must be a Matrix id"),
        ({"mode": "puppet"}, "appservice"),
        ({"server_name": ""}, "server_name is needed"),
        ({"server_name": "https://hs.test"}, "server name such as"),
        ({"homeserver": "hs.test"}, "must be an address"),
        ({"listen": "8009"}, "host:port"),
    ],
)
def test_bad_values_are_named_with_what_to_do(changes: dict[str, str], word: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(word)):
        settings(**changes)


def test_a_registration_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "registration.yaml"
    made = registration.ensure(path, settings())
    assert registration.ensure(path, settings(listen="127.0.0.1:1")) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(made.as_token) >= 43
    assert made.as_token != made.hs_token
    text = path.read_text()
    assert 'sender_localpart: "_junto_bot"' in text
    assert "rate_limited: false" in text
    assert 'url: "http://127.0.0.1:8009"' in text
    (users, aliases) = re.findall(r'regex: "(.*)"', text)
    assert users == "^@_junto_.*:hs\\\\.test$"
    assert aliases == "^#_junto_.*:hs\\\\.test$"


def test_a_registration_may_be_json_and_must_have_its_tokens(tmp_path: Path) -> None:
    path = tmp_path / "registration.yaml"
    path.write_text('{"id": "junto", "as_token": "a", "hs_token": "b"}')
    assert registration.read(path) == registration.Registration("junto", "a", "b")
    path.write_text("id: junto\nas_token: 'a' # ours\nurl: null\n")
    with pytest.raises(ConfigError, match="hs_token"):
        registration.read(path)


async def test_the_command_says_where_the_file_is_and_what_to_do(bridge: MatrixBridge) -> None:
    text = await bridge.commands()["registration"]()
    assert str(bridge.registration_path) in text
    assert "app_service_config_files" in text


def test_people_are_claimed_and_ghosts_and_mail_addresses_are_not(bridge: MatrixBridge) -> None:
    assert bridge.claims(" @Ana:Example.ORG") == "@Ana:example.org"
    assert bridge.claims("@_junto_kq3ana7rw2:hs.test") is None
    assert bridge.claims("ana@example.org") is None
    assert bridge.claims("@ana") is None


def test_ways_lead_to_the_room_and_to_the_event(bridge: MatrixBridge) -> None:
    (way,) = bridge.ways(forum(), None)
    assert way.url == "https://matrix.to/#/%23_junto_tides%3Ahs.test"
    assert way.shown == "#_junto_tides:hs.test"
    (to_event,) = bridge.ways(forum(), said(post(), "$ev"))
    assert to_event.url == "https://matrix.to/#/%23_junto_tides%3Ahs.test/%24ev"
    assert list(bridge.ways(forum(visibility="members"), None)) == []


async def test_a_homeserver_that_cannot_ping_is_asked_who_we_are(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = lambda asked: error(404, "M_UNRECOGNIZED") if "/ping" in asked.path else None
    assert (await bridge._ping()).ok
    homeserver.before = lambda asked: (
        error(404, "M_UNRECOGNIZED") if "/ping" in asked.path else error(401, "M_UNKNOWN_TOKEN", "no such token")
    )
    health = await bridge._ping()
    assert not health.ok
    assert "no such token" in health.detail


async def test_a_homeserver_that_comes_back_is_noticed_and_what_waits_is_tried(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    homeserver.before = lambda asked: error(503, "M_UNKNOWN") if "/ping" in asked.path else None
    pulse = asyncio.create_task(bridge._pulse())
    try:
        async with asyncio.timeout(20):
            while house.health is None:
                await asyncio.sleep(0.01)
            assert house.health[0] is False
            assert house.nudges == 0
            homeserver.before = lambda asked: None
            while house.nudges == 0:
                await asyncio.sleep(0.01)
        assert house.health == (True, "")
    finally:
        pulse.cancel()
