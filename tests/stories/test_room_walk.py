"""The whole walk over three channels on real peers: a mail becomes a room thread, a room answer a mail that threads, a web reply both."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import Author, NewPost, Proof, Ref
from server.store.schema import addresses, deliveries, inbox, posts
from tests.peers.forward import Forwarder
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, MatrixError, Synapse
from tests.stories.town import Town, letter, read, town

LOOKED_UP = "At half past ten: I looked it up"


@pytest.fixture
async def shore(tmp_path: Path, database: str, postfix: Postfix, synapse: Synapse) -> AsyncIterator[Town]:
    synapse.reset()
    domain, listen = postfix.list_domain(), free_port()
    with Forwarder(synapse.port) as line:
        sections = {
            "email": {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}"},
            "matrix": {
                "homeserver": f"http://127.0.0.1:{line.port}",
                "server_name": synapse.server_name,
                "listen": f"127.0.0.1:{listen}",
                "registration": str(synapse.registration),
            },
        }
        synapse.route_to(listen)
        async with town(tmp_path, database, sections) as place:
            postfix.route(domain, place.ports["lmtp"])
            place.line = line  # type: ignore[attr-defined]
            yield place


async def in_room(shore: Town, synapse: Synapse, user: Account, slug: str) -> str:
    """The user in the forum's room; its id."""

    made = sa.select(deliveries).where(deliveries.c.item_kind == "state", deliveries.c.state == "sent")
    await shore.until(lambda: shore.rows(made), "the room", 60)
    (room,) = await shore.rows(sa.select(addresses.c.address).where(addresses.c.person_id.is_(None)))
    joined = await asyncio.to_thread(synapse.join, user, f"#_junto_{slug}:{synapse.server_name}")
    assert joined == room.address
    return joined


async def message(shore: Town, synapse: Synapse, user: Account, room: str, words: str) -> dict[str, Any]:
    """The room's message with these words, as the user sees it."""

    async def look() -> dict[str, Any] | None:
        found = await asyncio.to_thread(synapse.messages, user, room)
        matching = [e for e in found if words in e.get("content", {}).get("body", "") and e["type"] == "m.room.message"]
        assert len(matching) <= 1, f"twice: {matching}"
        return matching[0] if matching else None

    return await shore.until(look, f"“{words}” in the room")


def in_thread(root: str, text: str, **more: Any) -> dict[str, Any]:
    relation = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    return {"msgtype": "m.text", "body": text, "m.mentions": {}, "m.relates_to": relation, **more}


async def test_five_posts_of_one_thread(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    members = postfix.member_domain()
    ana, dora = f"ana@{members}", f"dora@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    dora_id = await shore.member("pools", dora, "Dora")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")

    asked = letter(f"Ana <{ana}>", pools, "Red blob", "What is *this*?\n", "<ask@ana.test>")
    await asyncio.to_thread(postfix.send, asked, ana, pools)
    root = await message(shore, synapse, bruno, room, "What is")
    assert root["sender"].startswith("@_junto_")
    assert ana not in str(root)
    assert root["content"]["net.junto.post"]["message_id"] == "<ask@ana.test>"
    assert root["content"]["external_url"] == f"{shore.url}/f/pools/1"
    profile = await asyncio.to_thread(
        synapse.call, "GET", f"/_matrix/client/v3/profile/{root['sender']}", None, bruno.token
    )
    assert profile["displayname"] == "Ana"

    formatted = {"format": "org.matrix.custom.html", "formatted_body": "<strong>Actinia</strong>, a beadlet"}
    content = in_thread(root["event_id"], "**Actinia**, a beadlet", **formatted)
    await asyncio.to_thread(synapse.send, bruno, room, content)
    raw = (await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1))[0]
    got = read(raw)
    assert got["In-Reply-To"] == "<ask@ana.test>"
    assert "<ask@ana.test>" in got["References"]
    assert got["Subject"] == "Re: Red blob"
    assert re.match(r"bruno.* <pools-via\+[a-z2-7]{26}@", str(got["From"]).replace('"', ""))
    assert got["To"].split("<")[-1].strip(">") == pools
    assert got["Reply-To"].split("<")[-1].strip(">") == pools
    assert got["X-Junto-Channel"] == "matrix"
    assert got.get_content_type() == "multipart/alternative"
    assert "<strong>Actinia</strong>" in got.get_body(("html",)).get_content()
    assert "Actinia" in await shore.page("/f/pools/2")

    by = Author("web", str(dora_id), "Dora", Proof.SESSION)
    reply = NewPost(
        "pools", by, (Ref("form", "f1"),), (Ref("post", "2"),), text="See `Actinia equina`.", text_format="markdown"
    )
    await shore.home.accept(reply)
    from_web = await message(shore, synapse, bruno, room, "See")
    assert from_web["content"]["m.relates_to"]["event_id"] == root["event_id"]
    assert "<code>Actinia equina</code>" in from_web["content"]["formatted_body"]
    web_mail = read((await asyncio.to_thread(postfix.mailbox(ana).wait_for, 2))[-1])
    assert web_mail["In-Reply-To"] == got["Message-ID"]

    thanks = letter(
        f"Ana <{ana}>", pools, "Re: Red blob", "Thank you both!\n", "<thx@ana.test>",
        In_Reply_To=str(web_mail["Message-ID"]), References=f"<ask@ana.test> {got['Message-ID']} {web_mail['Message-ID']}",
    )  # fmt: skip
    await asyncio.to_thread(postfix.send, thanks, ana, pools)
    last = await message(shore, synapse, bruno, room, "Thank you both!")
    assert last["content"]["m.relates_to"]["rel_type"] == "m.thread"
    assert last["content"]["m.relates_to"]["event_id"] == root["event_id"]

    await asyncio.to_thread(synapse.send, bruno, room, in_thread(root["event_id"], "Any time."))
    await asyncio.to_thread(postfix.mailbox(ana).wait_for, 3)
    await shore.settled()
    rows = await shore.rows(sa.select(posts.c.thread_id, posts.c.channel).order_by(posts.c.seq))
    assert [row.channel for row in rows] == ["email", "matrix", "web", "email", "matrix"]
    assert len({row.thread_id for row in rows}) == 1
    page = await shore.page("/f/pools/1")
    assert all(words in page for words in ("What is", "beadlet", "Actinia equina", "Thank you both!", "Any time."))
    assert len(postfix.mailbox(ana).messages()) == 3  # hers do not come back


async def test_a_homeserver_that_is_away_is_waited_for(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    shore.line.cut()  # type: ignore[attr-defined]
    for n in range(3):
        await asyncio.to_thread(
            postfix.send, letter(ana, pools, f"Post {n}", f"Words {n}\n", f"<{n}@a.test>"), ana, pools
        )

    async def degraded() -> bool:
        return "matrix" in await shore.page("/healthz")

    await shore.until(degraded, "the word that the homeserver is away")
    await shore.until(lambda: shore.rows(sa.select(posts).where(posts.c.seq == 3)), "the third post")
    assert "Words" in await shore.page("/f/pools/3")  # everything else goes on
    shore.line.mend()  # type: ignore[attr-defined]
    for n in range(3):
        await message(shore, synapse, bruno, room, f"Words {n}")
    await shore.settled(60)


async def test_an_event_that_is_not_one_goes_to_quarantine_and_the_room_goes_on(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    await shore.forum("pools")
    await shore.option("pools", room_messages="topics")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    odd = {"msgtype": "m.text", "body": {"not": "text"}, "m.relates_to": {"rel_type": 7}}
    await asyncio.to_thread(synapse.send, bruno, room, {"msgtype": "m.text", "body": "before"})
    with contextlib.suppress(MatrixError):  # a homeserver may refuse it at once
        await asyncio.to_thread(synapse.send, bruno, room, odd)
    await asyncio.to_thread(synapse.send, bruno, room, {"msgtype": "m.text", "body": "after"})
    await asyncio.to_thread(postfix.mailbox(ana).wait_for, 2)
    assert not await shore.rows(sa.select(inbox).where(inbox.c.state == "new"))


async def test_what_was_mailed_before_the_room_was_there_comes_into_it(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    shore.line.cut()  # type: ignore[attr-defined]
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await asyncio.to_thread(postfix.send, letter(ana, pools, "Early", "First words\n", "<e@a.test>"), ana, pools)
    shore.line.mend()  # type: ignore[attr-defined]
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    await message(shore, synapse, bruno, room, "First words")


async def test_settle_time_lets_a_post_be_changed_before_it_is_mailed(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    await shore.forum("pools", settle_ms=3_000)
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    first = await asyncio.to_thread(synapse.send, bruno, room, {"msgtype": "m.text", "body": "Lowe tide at ten"})
    edit = {
        "msgtype": "m.text",
        "body": "* Low tide at ten",
        "m.new_content": {"msgtype": "m.text", "body": "Low tide at ten"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": first},
    }
    await asyncio.to_thread(synapse.send, bruno, room, edit)
    await asyncio.to_thread(synapse.send, bruno, room, {"msgtype": "m.text", "body": "at the north end"})
    got = [read(raw) for raw in await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1)]
    await shore.settled()
    text = got[0].get_body(("plain",)).get_content()
    assert "Low tide at ten" in text
    assert "at the north end" in text  # a burst is one post
    assert len(postfix.mailbox(ana).messages()) == 1
    kinds = sa.select(deliveries.c.item_kind).where(deliveries.c.channel == "email")
    assert [row.item_kind for row in await shore.rows(kinds)] == ["post"]


async def test_talk_in_the_room_is_mailed_once_and_an_answer_to_a_line_comes_after_it(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno, carla = [await asyncio.to_thread(synapse.register, name) for name in ("bruno", "carla")]
    room = await in_room(shore, synapse, bruno, "pools")
    await asyncio.to_thread(synapse.join, carla, f"#_junto_pools:{synapse.server_name}")
    await asyncio.to_thread(synapse.send, bruno, room, {"msgtype": "m.text", "body": "When is low tide?"})
    await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1)  # a question is heard by mail at once
    line = await asyncio.to_thread(synapse.send, carla, room, {"msgtype": "m.text", "body": "At ten, I think"})
    reply = {"m.in_reply_to": {"event_id": line}}
    await asyncio.to_thread(
        synapse.send, bruno, room, {"msgtype": "m.text", "body": "Thank you!", "m.relates_to": reply}
    )
    await asyncio.to_thread(synapse.send, carla, room, in_thread(line, LOOKED_UP))
    got = {}  # two mails that leave at one moment may pass each other on their way
    for raw in await asyncio.to_thread(postfix.mailbox(ana).wait_for, 3):
        mail = read(raw)
        got[mail.get_body(("plain",)).get_content().strip()] = mail
    opener, talk, answer = got["When is low tide?"], got["carla: At ten, I think\nbruno: Thank you!"], got[LOOKED_UP]
    assert [mail["Subject"] for mail in (opener, talk, answer)] == ["When is low tide?", *["Re: When is low tide?"] * 2]
    assert answer["In-Reply-To"] == talk["Message-ID"]
    assert talk["From"].startswith("Talk in the room <pools@")
