"""A member with the SDK of Element Web (matrix-js-sdk): what it shows of a forum's room, and what becomes of what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import sqlalchemy as sa

from server.bridge import Author, Edit, Proof, Ref
from server.store.schema import posts
from tests.peers.jsclient import JsClient
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, Synapse
from tests.stories.test_changes_walk import page
from tests.stories.test_room_walk import in_room, message, shore
from tests.stories.town import Town, letter, read

__all__ = ["shore"]  # the fixture: a town with a room
SignIn = Callable[[Synapse, Account], Awaitable[JsClient]]


async def seen(town: Town, client: JsClient, room: str, words: str, within: str = "", **how: Any) -> dict[str, Any]:
    """The message with these words in the room or the thread, once it is shown as said in `how`."""

    async def look() -> dict[str, Any] | None:
        shown = await client.ask("timeline", room=room, thread=within)
        found = [m for m in shown if words in m["body"] and all(m[name] == value for name, value in how.items())]
        assert len(found) <= 1, f"twice: {found}"
        return found[0] if found else None

    found = await town.until(look, f"“{words}” in the client")
    assert found is not None
    return found


async def test_a_thread_of_mails_is_a_thread(shore: Town, postfix: Postfix, synapse: Synapse, element: SignIn) -> None:
    """With its opener, its answers counted, its authors by name, and the words as they were set."""
    ana, dora = [f"{name}@{postfix.member_domain()}" for name in ("ana", "dora")]
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", dora, "Dora")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    place = await in_room(shore, synapse, bruno, "pools")
    asked = letter(f"Ana <{ana}>", pools, "Red blob", "What is this?\n", "<ask@ana.test>")
    await asyncio.to_thread(postfix.send, asked, ana, pools)
    await message(shore, synapse, bruno, place, "What is this?")
    told = letter(
        f"Dora <{dora}>", pools, "Re: Red blob", "A beadlet, see https://x.test/equina\n", "<told@dora.test>",
        In_Reply_To="<ask@ana.test>",
    )  # fmt: skip
    await asyncio.to_thread(postfix.send, told, dora, pools)
    await message(shore, synapse, bruno, place, "A beadlet")

    client = await element(synapse, bruno)
    room = await client.ask("join", alias=f"#_junto_pools:{synapse.server_name}")
    root = await seen(shore, client, room, "What is this?")
    assert root["name"] == "Ana"
    assert "<strong>Red blob</strong>" in root["html"]
    (thread,) = await client.ask("threads", room=room)
    assert thread["root"]["id"] == root["id"]
    assert thread["answers"] == 1
    assert (thread["latest"]["name"], thread["joined"]) == ("Dora", False)
    answer = await seen(shore, client, room, "A beadlet", root["id"], thread=root["id"])
    assert 'href="https://x.test/equina"' in answer["html"]


async def test_what_it_says_in_a_thread_is_an_answer_and_can_be_changed(
    shore: Town, postfix: Postfix, synapse: Synapse, element: SignIn
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    client = await element(synapse, bruno)
    asked = letter(ana, pools, "Low tide", "When is it?\n", "<1@a.test>")
    await asyncio.to_thread(postfix.send, asked, ana, pools)
    root = (await seen(shore, client, room, "When is it?"))["id"]

    first = await client.ask("say", room=room, thread=root, text="At nine, I heard")
    mails = await asyncio.to_thread(postfix.mailbox(ana).wait_for, 1)
    assert read(mails[0])["In-Reply-To"] == "<1@a.test>"
    await client.ask("answer", room=room, thread=root, to=first, text="No: at ten, it says here")
    mails = await asyncio.to_thread(postfix.mailbox(ana).wait_for, 2)
    assert read(mails[1])["In-Reply-To"] == read(mails[0])["Message-ID"]
    rows = await shore.rows(sa.select(posts.c.id, posts.c.parent_id).order_by(posts.c.seq))
    assert [row.parent_id for row in rows] == [None, rows[0].id, rows[1].id]
    await seen(shore, client, room, "at ten", root, answers=first)

    await client.ask("edit", room=room, thread=root, event=first, text="At half past nine")
    await page(shore, 2, "At half past nine")
    await client.ask("react", room=room, event=root, key="🦀")
    await page(shore, 1, "🦀")
    await seen(shore, client, room, "When is it?", signs={"🦀": 1})
    await client.ask("redact", room=room, event=first)
    await page(shore, 2, "At half past nine", there=False)


async def test_what_is_changed_elsewhere_is_changed_in_it(
    shore: Town, postfix: Postfix, synapse: Synapse, element: SignIn
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    ana_id = await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    client = await element(synapse, bruno)
    sent = letter(ana, pools, "Low tide", "At nine.\n", "<1@a.test>")
    await asyncio.to_thread(postfix.send, sent, ana, pools)
    root = await seen(shore, client, room, "At nine.", edited=False)

    by = Author("web", str(ana_id), "Ana", Proof.SESSION)
    change = Edit("pools", by, Ref("post", "1"), Ref("form", "e1"), text="At *ten*.", text_format="markdown")
    await shore.home.accept(change)
    edited = await seen(shore, client, room, "At *ten*.", edited=True)
    assert edited["id"] == root["id"]
    assert "<em>ten</em>" in edited["html"]
