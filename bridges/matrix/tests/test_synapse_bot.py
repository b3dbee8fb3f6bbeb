"""Bot mode against a real homeserver: an ordinary account, both ways, with what goes wrong in between."""

from __future__ import annotations

import asyncio
from typing import Any

from bridges.matrix import BotBridge, account
from bridges.matrix.tests.botworld import BotWorld
from bridges.matrix.tests.samples import post, reply, said
from server.bridge import EditItem, Join, NewPost, PostItem, ReactionItem, Ref, RetractionItem


async def test_a_conversation_goes_both_ways_by_one_account(botworld: BotWorld) -> None:
    visitor = await botworld.visitor()
    assert (await botworld.heard(Join)).author.address == visitor.user_id
    opener = post(botworld.forum, channel="email")
    root = (await botworld.say(PostItem(opener))).refs[0].name
    shown = await botworld.event(visitor, root)
    assert shown["sender"] == botworld.us.user_id
    assert shown["content"]["body"].startswith("Ana Ferreira (mail): ")
    thread = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    event = await botworld.send(visitor, body="Forty, I counted.", **{"m.relates_to": thread})
    heard = await botworld.heard(NewPost)
    assert (heard.refs, heard.parents) == ((Ref("matrix", event),), (Ref("matrix", root),))
    answer = reply(said(opener, root), channel="web", fresh_text="How many?")
    second = await botworld.event(visitor, (await botworld.say(PostItem(answer))).refs[0].name)
    assert second["content"]["body"] == "Ana Ferreira (web): How many?"
    assert second["content"]["m.relates_to"]["event_id"] == root
    assert botworld.texts() == ["Forty, I counted."]


async def test_edits_and_deletions_of_the_house_are_seen_and_signs_are_not(botworld: BotWorld) -> None:
    visitor = await botworld.visitor()
    opener = post(botworld.forum, channel="email")
    event = (await botworld.say(PostItem(opener))).refs[0].name
    opener = said(opener, event)
    fresh = post(botworld.forum, channel="email", id=opener.id, revision=1, fresh_text="They left.", fresh_html="")
    await botworld.say(EditItem(said(fresh, event)))
    edited: dict[str, Any] = await botworld.event(visitor, event)
    newest = edited["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]
    assert newest["body"].startswith("Ana Ferreira (mail): ")
    assert newest["body"].endswith("They left.")
    await botworld.say(ReactionItem(opener, opener.writer, "🐚", removed=False))
    await botworld.say(RetractionItem(opener))
    assert (await botworld.event(visitor, event))["content"] == {}


async def test_thirty_messages_while_it_was_down_are_heard_once_and_in_order(botworld: BotWorld) -> None:
    visitor = await botworld.visitor()
    await botworld.heard(Join)
    await botworld.stop()
    for number in range(30):
        await botworld.send(visitor, body=f"while away {number}")
    await start_with_timeline(botworld, 5)
    await botworld.heard(NewPost, lambda post: post.text == "while away 29")
    assert botworld.texts() == [f"while away {number}" for number in range(30)]
    await botworld.stop()
    await botworld.start()
    await botworld.send(visitor, body="and now")
    await botworld.heard(NewPost, lambda post: post.text == "and now")
    assert botworld.texts() == [*(f"while away {number}" for number in range(30)), "and now"]


async def test_a_lot_after_a_restart_of_bridge_and_homeserver_is_one_event(botworld: BotWorld) -> None:
    visitor = await botworld.visitor()
    item = PostItem(post(botworld.forum, channel="email", fresh_text="Once only.", fresh_html="<p>Once only.</p>"))
    before = await botworld.say(item, key="the-same")
    await botworld.stop()
    await asyncio.to_thread(botworld.synapse.restart)
    await botworld.start()
    botworld.house.rows.facts = {
        fact: value for fact, value in botworld.house.rows.facts.items() if fact[0] not in ("progress", "root")
    }
    after = await botworld.say(item, key="the-same")
    assert after.refs == before.refs
    bodies = [event["content"]["body"] for event in await botworld.shown(visitor)]
    assert sum("Once only." in body for body in bodies) == 1


async def test_the_account_logs_in_with_its_password_and_keeps_its_device(botworld: BotWorld) -> None:
    assert isinstance(botworld.bridge, BotBridge)
    path = botworld.bridge.token_path
    account._password, before = (lambda user: botworld.us.password), account._password
    try:
        assert botworld.us.device_id in await botworld.bridge.commands()["login"]()
    finally:
        account._password = before
    fresh = account.read(path, botworld.us.user_id)
    assert fresh.device_id == botworld.us.device_id
    assert fresh.access_token != botworld.us.token
    await botworld.stop()
    await botworld.start()
    assert botworld.house.health == (True, "")


async def start_with_timeline(world: BotWorld, events: int) -> None:
    """A start whose syncs have so few events of a room that a gap is left."""
    from bridges.matrix import sync

    before, sync.TIMELINE = sync.TIMELINE, events
    try:
        await world.start()
    finally:
        sync.TIMELINE = before
