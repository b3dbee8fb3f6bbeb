"""Bot mode against a real homeserver: an ordinary account, both ways, with what goes wrong in between."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bridges.matrix import BotBridge, Settings, account
from bridges.matrix.account import Account
from bridges.matrix.tests.samples import Outcomes, lot, post, reply, said
from bridges.matrix.tests.world import World
from server.bridge import EditItem, Join, NewPost, PostItem, ReactionItem, Ref, RetractionItem, Sent, StateItem
from tests.fakes import RecordingHouse, forum
from tests.peers.synapse import Synapse


class BotWorld(World):
    """The world of a bridge that is an ordinary account."""

    def __init__(self, synapse: Synapse, house: RecordingHouse, slug: str, place: Path) -> None:
        super().__init__(synapse, house, forum(slug))
        self.us = synapse.register()
        path = place / "token.json"
        account.write(path, Account(self.us.user_id, self.us.device_id, self.us.token))
        values = {"homeserver": synapse.url, "mode": "bot", "user": self.us.user_id, "token_file": str(path)}
        self.settings = Settings.model_validate(values)

    async def start(self) -> None:
        self.house.health = None
        self.bridge = BotBridge(self.house, self.settings)
        await self.bridge.prepare()
        self._running = asyncio.create_task(self.bridge.run())
        async with asyncio.timeout(20):
            while self.house.health is None:
                await asyncio.sleep(0.02)

    def texts(self) -> list[str | None]:
        return [heard.text for heard in self.house.accepted if isinstance(heard, NewPost)]


@pytest_asyncio.fixture
async def world(synapse: Synapse, tmp_path: Path) -> AsyncIterator[BotWorld]:
    house = RecordingHouse(data_dir=str(tmp_path))
    found = BotWorld(synapse, house, f"tides{secrets.token_hex(4)}", tmp_path)
    house.forums = {found.forum.slug: found.forum}
    await found.start()
    try:
        outcomes = Outcomes()
        await found.bridge.deliver(lot(StateItem(found.forum), ""), outcomes)
        assert isinstance(outcomes.only, Sent), outcomes.only
        (found.room,) = house.rooms
        yield found
    finally:
        await found.stop()


async def test_a_conversation_goes_both_ways_by_one_account(world: BotWorld) -> None:
    visitor = await world.visitor()
    assert (await world.heard(Join)).author.address == visitor.user_id
    opener = post(world.forum, channel="email")
    root = (await world.say(PostItem(opener))).refs[0].name
    shown = await world.event(visitor, root)
    assert shown["sender"] == world.us.user_id
    assert shown["content"]["body"].startswith("Ana Ferreira (mail): ")
    thread = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    event = await world.send(visitor, body="Forty, I counted.", **{"m.relates_to": thread})
    heard = await world.heard(NewPost)
    assert (heard.refs, heard.parents) == ((Ref("matrix", event),), (Ref("matrix", root),))
    answer = reply(said(opener, root), channel="web", fresh_text="How many?")
    second = await world.event(visitor, (await world.say(PostItem(answer))).refs[0].name)
    assert second["content"]["body"] == "Ana Ferreira (web): How many?"
    assert second["content"]["m.relates_to"]["event_id"] == root
    assert world.texts() == ["Forty, I counted."]


async def test_edits_and_deletions_of_the_house_are_seen_and_signs_are_not(world: BotWorld) -> None:
    visitor = await world.visitor()
    opener = post(world.forum, channel="email")
    event = (await world.say(PostItem(opener))).refs[0].name
    opener = said(opener, event)
    fresh = post(world.forum, channel="email", id=opener.id, revision=1, fresh_text="They left.", fresh_html="")
    await world.say(EditItem(said(fresh, event)))
    edited: dict[str, Any] = await world.event(visitor, event)
    newest = edited["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]
    assert newest["body"].startswith("Ana Ferreira (mail): ")
    assert newest["body"].endswith("They left.")
    await world.say(ReactionItem(opener, opener.writer, "🐚", removed=False))
    await world.say(RetractionItem(opener))
    assert (await world.event(visitor, event))["content"] == {}


async def test_thirty_messages_while_it_was_down_are_heard_once_and_in_order(world: BotWorld) -> None:
    visitor = await world.visitor()
    await world.heard(Join)
    await world.stop()
    for number in range(30):
        await world.send(visitor, body=f"while away {number}")
    await start_with_timeline(world, 5)
    await world.heard(NewPost, lambda post: post.text == "while away 29")
    assert world.texts() == [f"while away {number}" for number in range(30)]
    await world.stop()
    await world.start()
    await world.send(visitor, body="and now")
    await world.heard(NewPost, lambda post: post.text == "and now")
    assert world.texts() == [*(f"while away {number}" for number in range(30)), "and now"]


async def test_a_lot_after_a_restart_of_bridge_and_homeserver_is_one_event(world: BotWorld) -> None:
    visitor = await world.visitor()
    item = PostItem(post(world.forum, channel="email", fresh_text="Once only.", fresh_html="<p>Once only.</p>"))
    before = await world.say(item, key="the-same")
    await world.stop()
    await asyncio.to_thread(world.synapse.restart)
    await world.start()
    world.house.rows.facts = {
        fact: value for fact, value in world.house.rows.facts.items() if fact[0] not in ("progress", "root")
    }
    after = await world.say(item, key="the-same")
    assert after.refs == before.refs
    bodies = [event["content"]["body"] for event in await world.shown(visitor)]
    assert sum("Once only." in body for body in bodies) == 1


async def test_the_account_logs_in_with_its_password_and_keeps_its_device(world: BotWorld) -> None:
    assert isinstance(world.bridge, BotBridge)
    path = world.bridge.token_path
    account._password, before = (lambda user: world.us.password), account._password
    try:
        assert world.us.device_id in await world.bridge.commands()["login"]()
    finally:
        account._password = before
    fresh = account.read(path, world.us.user_id)
    assert fresh.device_id == world.us.device_id
    assert fresh.access_token != world.us.token
    await world.stop()
    await world.start()
    assert world.house.health == (True, "")


async def start_with_timeline(world: BotWorld, events: int) -> None:
    """A start whose syncs have so few events of a room that a gap is left."""
    from bridges.matrix import sync

    before, sync.TIMELINE = sync.TIMELINE, events
    try:
        await world.start()
    finally:
        sync.TIMELINE = before
