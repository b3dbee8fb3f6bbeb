"""Bot mode alone: the account and its file, who may hear, and what it says for others."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web

from bridges.matrix import BotBridge, Settings, account
from bridges.matrix.account import Account
from bridges.matrix.aliases import Aliases
from bridges.matrix.lease import Lease
from bridges.matrix.tests.homeserver import Asked, Homeserver, error
from bridges.matrix.tests.samples import Outcomes, lot, picture, post, said
from bridges.matrix.tests.told import ROOM, USER, Told
from bridges.matrix.wire import Trouble
from server.bridge import EditItem, Outbound, Outcome, PostItem, ReactionItem, RetractionItem, Sent
from server.errors import CommandError, ConfigError
from tests.fakes import RecordingHouse, forum


# Saying
async def say(bot: BotBridge, item: Outbound, key: str = "one") -> Outcome:
    outcomes = Outcomes()
    await bot.deliver(lot(item, ROOM, key), outcomes)
    return outcomes.only


async def test_a_message_says_whose_words_it_is(bot: BotBridge, homeserver: Homeserver) -> None:
    await say(bot, PostItem(post(channel="email", fresh_html="<p>They <em>are</em> back.</p>", opens_thread=False)))
    content = homeserver.sent()[0]
    assert content["body"].startswith("Ana Ferreira (mail): ")
    assert content["formatted_body"].startswith("<p><strong data-mx-profile-fallback>Ana Ferreira (mail): </strong>")
    profile = content["com.beeper.per_message_profile"]
    assert profile == {"id": post().writer.key, "displayname": "Ana Ferreira (mail)", "has_fallback": True}
    assert all("user_id" not in asked.query and "ts" not in asked.query for asked in homeserver.asked)
    assert {asked.authorization for asked in homeserver.asked} == {"Bearer t0k3n"}


async def test_a_file_has_its_author_as_its_caption(
    bot: BotBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.blobs[picture().hash] = b"x" * picture().size
    await say(bot, PostItem(post(channel="email", files=(picture(),))))
    content = homeserver.sent()[1]
    assert content["body"] == f"Ana Ferreira (mail): {content['filename']}"
    assert content["formatted_body"].endswith(content["filename"])


async def test_an_edit_keeps_the_name_in_what_it_shows(bot: BotBridge, homeserver: Homeserver) -> None:
    await say(bot, EditItem(said(post(channel="web", revision=1, fresh_text="Better.", fresh_html=""), "$event0")))
    content = homeserver.sent()[0]
    assert content["body"].startswith("* Ana Ferreira (web): ")
    assert content["m.new_content"]["body"].startswith("Ana Ferreira (web): ")
    assert content["m.new_content"]["com.beeper.per_message_profile"]["displayname"] == "Ana Ferreira (web)"


async def test_a_sign_of_somebody_becomes_nothing_and_a_retraction_a_redaction(
    bot: BotBridge, homeserver: Homeserver
) -> None:
    ours = said(post(channel="email"), "$event0")
    assert isinstance(await say(bot, ReactionItem(ours, ours.writer, "👍", removed=False)), Sent)
    assert homeserver.count("m.reaction") == 0
    assert isinstance(await say(bot, RetractionItem(ours)), Sent)
    assert homeserver.count("/redact/") == 1


async def test_a_lot_that_is_tried_again_is_the_same_transaction(bot: BotBridge, homeserver: Homeserver) -> None:
    item = PostItem(post(channel="email"))
    await say(bot, item, "the-same")
    await say(bot, item, "the-same")
    assert len(homeserver.sent()) == 1


async def test_without_a_token_what_is_to_be_said_waits(bot: BotBridge) -> None:
    bot.token_path.unlink()
    outcome = await say(bot, PostItem(post(channel="email")))
    assert "junto matrix login" in str(outcome)
    assert not isinstance(outcome, Sent)


# The account
async def test_who_is_logged_in_is_kept_and_the_password_is_not(
    bot: BotBridge, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> web.StreamResponse | None:
        if not asked.path.endswith("/login"):
            return None
        if asked.body["password"] != "limpet":
            return error(403, "M_FORBIDDEN")
        device = asked.body.get("device_id", "NEW")
        return web.json_response({"user_id": USER, "device_id": device, "access_token": "fresh"})

    homeserver.before = answer
    monkeypatch.setattr(account, "_password", lambda user: "limpet")
    words = await bot.commands()["login"]()
    assert "HERE" in words  # the device of before
    assert json.loads(bot.token_path.read_text())["access_token"] == "fresh"
    assert stat.S_IMODE(bot.token_path.stat().st_mode) == 0o600
    assert "limpet" not in bot.token_path.read_text() + words
    bot.token_path.unlink()
    assert "NEW" in await bot.commands()["login"]()
    monkeypatch.setattr(account, "_password", lambda user: "wrong")
    with pytest.raises(CommandError, match="by this password"):
        await bot.commands()["login"]()


def _open_to_all(path: Path) -> None:
    path.chmod(0o644)


def _of_another(path: Path) -> None:
    account.write(path, Account("@other:hs.test", "HERE", "t0k3n"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "not there yet"),
        (_open_to_all, "chmod 600"),
        (_of_another, "is of @other:hs.test"),
        (lambda path: path.write_text("t0k3n"), "not as we wrote it"),
        (lambda path: path.write_bytes(b"\xff"), "cannot be read"),
    ],
)
async def test_a_token_file_that_cannot_be_ours_is_named_with_what_to_do(
    bot: BotBridge, told: Told, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(bot.token_path)
    with pytest.raises(ConfigError, match=words):
        await bot.run()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: web.json_response({"user_id": "@other:hs.test"}), "is of @other:hs.test"),
        (lambda: web.json_response({"user_id": USER, "device_id": "THERE"}), "device THERE"),
        (lambda: error(401, "M_UNKNOWN_TOKEN"), "does not take the token"),
    ],
)
async def test_a_homeserver_that_knows_us_as_somebody_else_ends_the_start(
    bot: BotBridge, homeserver: Homeserver, answer: Callable[[], web.Response], words: str
) -> None:
    homeserver.before = lambda asked: answer()
    with pytest.raises(ConfigError, match=words):
        await bot.run()


def test_a_bot_needs_its_user_and_has_its_server() -> None:
    values = {"homeserver": "https://hs.test", "mode": "bot"}
    with pytest.raises(ValueError, match="user is needed"):
        Settings.model_validate(values)
    with pytest.raises(ValueError, match=r"user is of hs\.test"):
        Settings.model_validate(values | {"user": USER, "server_name": "other.test"})
    assert Settings.model_validate(values | {"user": USER}).server_name == "hs.test"


# Who may hear
async def test_only_one_of_two_processes_hears_and_the_other_takes_over(house: RecordingHouse) -> None:
    first, second = Lease(house, "sync"), Lease(house, "sync", "elsewhere", 7)
    for lease in (first, second):
        lease.renewed = 0.01
    working: list[str] = []

    async def work(who: str) -> None:
        working.append(who)
        try:
            await asyncio.Event().wait()
        finally:
            working.remove(who)

    one = asyncio.create_task(first.run(lambda: work("first")))
    await asyncio.sleep(0.05)
    two = asyncio.create_task(second.run(lambda: work("second")))
    await asyncio.sleep(0.05)
    assert working == ["first"]
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    async with asyncio.timeout(5):
        while working != ["second"]:
            await asyncio.sleep(0.01)
    two.cancel()
    await asyncio.gather(two, return_exceptions=True)


async def test_who_lost_the_lease_stops(house: RecordingHouse) -> None:
    lease = Lease(house, "sync")
    lease.renewed = 0.01
    stopped = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = asyncio.create_task(lease.run(work))
    await asyncio.sleep(0.05)
    house.rows.put("lease", "sync", json.dumps(["other", "elsewhere", 7, 2**60]))
    async with asyncio.timeout(5):
        await stopped.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert json.loads(house.rows.get("lease", "sync") or "")[0] == "other"


async def test_nobody_waits_for_a_process_of_this_machine_that_has_ended(house: RecordingHouse) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert await house.write(Lease(house, "sync", process=ended.pid).take)
    assert await house.write(Lease(house, "sync").take)
    assert not await house.write(Lease(house, "sync", process=os.getppid()).take)


# Rooms
async def test_a_room_whose_alias_is_refused_has_none_and_is_found_again(
    bot: BotBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    def refuse(asked: Asked) -> web.StreamResponse | None:
        if "/directory/room/" in asked.path:
            return error(404, "M_NOT_FOUND")
        if asked.path.endswith("/createRoom") and "room_alias_name" in asked.body:
            return error(400, "M_EXCLUSIVE")
        return None

    homeserver.before = refuse
    aliases = Aliases(house, free=True)
    us = await bot._ghosts.bot()
    room = await aliases.made(us, "#junto_tides:hs.test", {"name": "Tide pools"})
    assert homeserver.made[-1] == {"name": "Tide pools"}
    assert await aliases.room(us, "#junto_tides:hs.test") == room
    with pytest.raises(Trouble):
        await Aliases(house, free=False).made(us, "#_junto_tides:hs.test", {"name": "Tide pools"})


async def test_an_alias_that_somebody_else_has_taken_leads_to_no_room_of_ours(
    bot: BotBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    def taken(asked: Asked) -> web.StreamResponse | None:
        if "/directory/room/" in asked.path:
            return web.json_response({"room_id": "!theirs"})
        if asked.path.endswith("/joined_rooms"):
            return web.json_response({"joined_rooms": ["!ours"]})
        if asked.path.endswith("/createRoom") and "room_alias_name" in asked.body:
            return error(400, "M_ROOM_IN_USE")
        return None

    homeserver.before = taken
    aliases, us = Aliases(house, free=True), await bot._ghosts.bot()
    assert await aliases.room(us, "#junto_tides:hs.test") is None
    assert await aliases.made(us, "#junto_tides:hs.test", {}) == "!made1"
    assert await aliases.room(us, "#junto_tides:hs.test") == "!made1"


# The doctor
async def test_the_doctor_asks_for_the_account_and_makes_no_registration(
    bot: BotBridge, told: Told, house: RecordingHouse
) -> None:
    checks = {check.name: check for check in await bot.checks([forum()], {})}
    assert checks["account"].ok
    assert "homeserver to us" not in checks
    assert not bot.registration_path.exists()
    bot.token_path.unlink()
    bot._account = None
    (missing,) = await bot.checks([forum()], {})
    assert (missing.ok, missing.fix) == (False, "Run `junto matrix login`.")
