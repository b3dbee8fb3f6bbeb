"""The bridge against a real homeserver, both ways."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from urllib.parse import quote

import nio

from bridges.matrix.tests.samples import picture, png, post, reply, said
from bridges.matrix.tests.world import World
from server.bridge import (
    Edit,
    EditItem,
    Join,
    Leave,
    NewPost,
    PostItem,
    Proof,
    Reaction,
    ReactionItem,
    Ref,
    Retract,
    RetractionItem,
    StateItem,
)
from tests.fakes import forum


async def test_a_room_stands_in_its_space_and_says_where_words_go(world: World) -> None:
    visitor = await world.visitor()
    path = f"/_matrix/client/v3/rooms/{quote(world.room)}/state"
    state: Any = await asyncio.to_thread(world.synapse.call, "GET", path, None, visitor.token)
    found = {(event["type"], event["state_key"]): event["content"] for event in state}
    assert "mail" in found["m.room.topic", ""]["topic"]
    assert world.forum.url in found["m.room.topic", ""]["topic"]
    assert found["m.room.canonical_alias", ""]["alias"] == f"#_junto_{world.forum.slug}:hs.test"
    assert found["m.room.join_rules", ""] == {"join_rule": "public"}
    assert found["m.room.power_levels", ""]["events"]["m.room.encryption"] > 100
    assert ("m.room.encryption", "") not in found
    (space,) = [key for kind, key in found if kind == "m.space.parent"]
    answer = await asyncio.to_thread(
        world.synapse.call, "GET", f"/_matrix/client/v1/rooms/{quote(space)}/hierarchy", None, visitor.token
    )
    assert world.room in [room["room_id"] for room in answer["rooms"]]


async def test_making_a_room_again_changes_nothing_and_a_new_title_is_taken_over(world: World) -> None:
    await world.say(StateItem(world.forum))
    assert list(world.house.rooms) == [world.room]
    await world.say(StateItem(forum(world.forum.slug, title="Low tide")))
    visitor = await world.visitor()
    name = await asyncio.to_thread(
        world.synapse.call,
        "GET",
        f"/_matrix/client/v3/rooms/{quote(world.room)}/state/m.room.name",
        None,
        visitor.token,
    )
    assert name == {"name": "Low tide"}


async def test_a_mail_thread_is_a_matrix_thread_by_named_ghosts(world: World) -> None:
    visitor = await world.visitor()
    opener = post(world.forum)
    sent = await world.say(PostItem(opener))
    opener = said(opener, *(ref.name for ref in sent.refs))
    answer = reply(opener, fresh_text="How many?", fresh_html="<p>How <em>many</em>?</p>")
    answered = await world.say(PostItem(answer))

    first = await world.event(visitor, sent.refs[0].name)
    assert first["sender"] == "@_junto_kq3ana7rw2:hs.test"
    assert first["content"]["body"] == "Limpets on the north wall\n\nThey are back."
    assert first["content"]["external_url"] == opener.url
    assert first["content"]["net.junto.post"] == {"id": opener.id, "message_id": opener.message_id}
    assert first["origin_server_ts"] == opener.written_at
    second = await world.event(visitor, answered.refs[0].name)
    assert second["content"]["formatted_body"] == "<p>How <em>many</em>?</p>"
    assert second["content"]["m.relates_to"] == {
        "rel_type": "m.thread",
        "event_id": sent.refs[0].name,
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": sent.refs[0].name},
    }
    profile = await asyncio.to_thread(
        world.synapse.call, "GET", "/_matrix/client/v3/profile/@_junto_kq3ana7rw2:hs.test", None, visitor.token
    )
    assert profile["displayname"] == "Ana Ferreira"


async def test_what_a_user_says_in_a_thread_reaches_the_house_with_its_parents(world: World) -> None:
    visitor = await world.visitor()
    joined = await world.heard(Join)
    assert joined.author.address == visitor.user_id
    sent = await world.say(PostItem(post(world.forum)))
    root = sent.refs[0].name
    thread = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    event = await world.send(
        visitor,
        body="Forty, I counted.",
        format="org.matrix.custom.html",
        formatted_body="Forty, I <b>counted</b>.",
        **{"m.relates_to": thread},
    )
    heard = await world.heard(NewPost)
    assert heard.refs == (Ref("matrix", event),)
    assert heard.parents == (Ref("matrix", root),)
    assert heard.forum == world.forum.slug
    assert heard.author.address == visitor.user_id
    assert heard.author.name == visitor.user_id[1:].partition(":")[0]
    assert heard.author.proof is Proof.HOMESERVER
    assert (heard.text, heard.html, heard.subject) == ("Forty, I counted.", "Forty, I <b>counted</b>.", None)
    assert heard.gather
    assert [post for post in world.house.accepted if isinstance(post, NewPost)] == [heard]


async def test_the_same_lot_after_a_restart_of_the_homeserver_is_one_event(world: World) -> None:
    visitor = await world.visitor()
    item = PostItem(post(world.forum, fresh_text="Once only.", fresh_html="<p>Once only.</p>"))
    before = await world.say(item, key="the-same")
    await asyncio.to_thread(world.synapse.restart)
    after = await world.say(item, key="the-same")
    assert after.refs == before.refs
    bodies = [event["content"]["body"] for event in await world.shown(visitor)]
    assert sum("Once only." in body for body in bodies) == 1


async def test_what_was_said_while_we_were_away_is_heard_once_as_soon_as_we_are_back(world: World) -> None:
    visitor = await world.visitor()
    await world.heard(Join)
    await world.stop()
    for number in range(3):
        await world.send(visitor, body=f"while away {number}")
    await asyncio.sleep(0.5)  # the homeserver has tried in vain and waits now
    await world.start()
    await world.heard(NewPost, lambda post: post.text == "while away 2")
    texts = [post.text for post in world.house.accepted if isinstance(post, NewPost)]
    assert texts == [f"while away {number}" for number in range(3)]


async def test_a_stock_client_sees_the_thread_and_its_answer_is_heard(world: World) -> None:
    opener = post(world.forum)
    root = (await world.say(PostItem(opener))).refs[0].name
    answered = await world.say(PostItem(reply(said(opener, root), fresh_text="How many?")))
    account = await world.visitor()
    client = nio.AsyncClient(world.synapse.url, account.user_id)
    try:
        assert isinstance(await client.login(account.password), nio.LoginResponse)
        synced = await client.sync(timeout=0, full_state=True)
        assert isinstance(synced, nio.SyncResponse)
        shown = [found async for found in client.room_get_event_relations(world.room, root)]
        assert [found.event_id for found in shown] == [answered.refs[0].name]
        assert shown[0].body == "How many?"
        assert client.rooms[world.room].user_name(shown[0].sender) == "Ana Ferreira"
        content = {"msgtype": "m.text", "body": "Forty", "m.relates_to": {"rel_type": "m.thread", "event_id": root}}
        await client.room_send(world.room, "m.room.message", content)
        assert (await world.heard(NewPost)).parents == (Ref("matrix", root),)
    finally:
        await client.close()


async def test_pictures_go_down_and_up(world: World) -> None:
    visitor = await world.visitor()
    data = png(3, 2)
    world.house.blobs["f00d"] = data
    sent = await world.say(PostItem(post(world.forum, files=(picture(size=len(data)),))))
    assert [ref.part for ref in sent.refs] == [0, 1]
    shown = (await world.event(visitor, sent.refs[1].name))["content"]
    assert shown["msgtype"] == "m.image"
    assert shown["info"] == {"mimetype": "image/png", "size": len(data), "w": 3, "h": 2}
    assert shown["m.relates_to"]["event_id"] == sent.refs[0].name

    file = {"msgtype": "m.image", "filename": "anemone.png", "info": {"mimetype": "image/png"}, "url": shown["url"]}
    await world.send(visitor, body="An anemone", **file)
    heard = await world.heard(NewPost)
    assert heard.text == "An anemone"
    (attachment,) = heard.attachments
    assert (attachment.filename, attachment.media_type, attachment.data) == ("anemone.png", "image/png", data)


async def test_an_edit_a_sign_and_a_deletion_of_the_house_are_seen_in_the_room(world: World) -> None:
    visitor = await world.visitor()
    opener = post(world.forum)
    sent = await world.say(PostItem(opener))
    event = sent.refs[0].name
    opener = said(opener, event)
    await world.say(
        EditItem(said(post(world.forum, id=opener.id, revision=1, fresh_text="They left.", fresh_html=""), event))
    )
    edited = await world.event(visitor, event)
    newest = edited["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]
    assert newest["body"].endswith("They left.")

    sign = ReactionItem(opener, opener.writer, "🐚", removed=False)
    await world.say(sign)
    await world.say(sign)
    annotations = f"/_matrix/client/v1/rooms/{quote(world.room)}/relations/{quote(event)}/m.annotation"
    seen = await asyncio.to_thread(world.synapse.call, "GET", annotations, None, visitor.token)
    assert [found["content"]["m.relates_to"]["key"] for found in seen["chunk"]] == ["🐚"]
    await world.say(ReactionItem(opener, opener.writer, "🐚", removed=True))
    seen = await asyncio.to_thread(world.synapse.call, "GET", annotations, None, visitor.token)
    assert seen["chunk"] == []

    await world.say(RetractionItem(opener))
    assert (await world.event(visitor, event))["content"] == {}


async def test_edits_signs_deletions_and_leaving_in_the_room_reach_the_house(world: World) -> None:
    visitor = await world.visitor()
    event = await world.send(visitor, body="First words")
    fresh = {"msgtype": "m.text", "body": "Better words"}
    relation = {"rel_type": "m.replace", "event_id": event}
    await world.send(visitor, body="* Better words", **{"m.new_content": fresh, "m.relates_to": relation})
    edit = await world.heard(Edit)
    assert (edit.target, edit.text) == (Ref("matrix", event), "Better words")

    stranger = await world.visitor()
    await world.send(stranger, body="* Not mine", **{"m.new_content": fresh, "m.relates_to": relation})
    room, sign = quote(world.room), secrets.token_hex(4)
    annotation = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": "👍"}}

    def put(path: str, body: dict[str, Any]) -> dict[str, Any]:
        return world.synapse.call("PUT", f"/_matrix/client/v3/rooms/{room}/{path}", body, visitor.token)

    reacted = await asyncio.to_thread(put, f"send/m.reaction/{sign}", annotation)
    assert (await world.heard(Reaction)).key == "👍"
    await asyncio.to_thread(put, f"redact/{quote(reacted['event_id'])}/r{sign}", {})
    assert (await world.heard(Reaction, lambda r: r.removed)).target == Ref("matrix", event)
    await asyncio.to_thread(put, f"redact/{quote(event)}/d{sign}", {})
    assert (await world.heard(Retract)).target == Ref("matrix", event)
    assert len([found for found in world.house.accepted if isinstance(found, Edit)]) == 1
    await asyncio.to_thread(world.synapse.call, "POST", f"/_matrix/client/v3/rooms/{room}/leave", {}, visitor.token)
    left = await world.heard(Leave)
    assert left.author is not None
    assert left.author.address == visitor.user_id


async def test_an_answer_to_something_that_cannot_be_a_root_still_arrives(world: World) -> None:
    visitor = await world.visitor()
    first = await world.send(visitor, body="A root")
    thread = {"rel_type": "m.thread", "event_id": first}
    second = await world.send(visitor, body="In the thread", **{"m.relates_to": thread})
    sent = await world.say(PostItem(reply(said(post(world.forum), second))))
    shown = await world.event(visitor, sent.refs[0].name)
    assert shown["content"]["m.relates_to"] == {"m.in_reply_to": {"event_id": second}}


async def test_the_pulse_is_well(world: World) -> None:
    assert world.house.health == (True, "")
    assert world.house.nudges == 1
