"""One person in room and mailbox: both are linked from either side, a private word goes to a ghost and its answer back, commands act."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from server.desk import forums
from server.people import membership
from server.store.schema import addresses, deliveries, people, posts, subscriptions, thread_marks
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, Synapse
from tests.stories.test_room_walk import in_room, in_thread, message
from tests.stories.town import Town, arrived, letter, read, send, town

_COUNT = itertools.count(1)


@pytest.fixture
async def shore(tmp_path: Path, database: str, postfix: Postfix, synapse: Synapse) -> AsyncIterator[Town]:
    """A town whose mail server vouches for who writes."""
    synapse.reset()
    domain, listen = postfix.list_domain(), free_port()
    relay = f"smtp://127.0.0.1:{postfix.port}"
    sections = {
        "email": {"domain": domain, "relay": relay, "trusted_networks": ["127.0.0.0/8"]},
        "matrix": {
            "homeserver": synapse.url,
            "server_name": synapse.server_name,
            "listen": f"127.0.0.1:{listen}",
            "registration": str(synapse.registration),
        },
    }
    synapse.route_to(listen)
    async with town(tmp_path, database, sections) as place:
        postfix.route(domain, place.ports["lmtp"])
        yield place


async def told(shore: Town, synapse: Synapse, user: Account, words: str) -> dict[str, Any]:
    """The direct message with these words; the user comes into each room that they are asked into."""

    async def look() -> dict[str, Any] | None:
        # a homeserver keeps the answer to a sync for some time: each of ours asks for something else
        wish = quote(json.dumps({"room": {"timeline": {"limit": next(_COUNT)}}}))
        path = f"/_matrix/client/v3/sync?filter={wish}"
        synced = (await asyncio.to_thread(synapse.call, "GET", path, None, user.token)).get("rooms", {})
        for room in synced.get("invite", {}):
            await asyncio.to_thread(synapse.join, user, room)
        for room in synced.get("join", {}):
            for event in await asyncio.to_thread(synapse.messages, user, room):
                if words in event["content"].get("body", "") and event["sender"] != user.user_id:
                    return event | {"room_id": room}
        return None

    return await shore.until(look, f"“{words}” in a direct message")


async def say(synapse: Synapse, user: Account, room: str, text: str, **more: Any) -> str:
    return await asyncio.to_thread(synapse.send, user, room, {"msgtype": "m.text", "body": text, **more})


async def nth(postfix: Postfix, address: str, count: int) -> EmailMessage:
    return read((await arrived(postfix, address, count))[count - 1])


async def answer(postfix: Postfix, by: str, asked: EmailMessage, words: str) -> None:
    where = str(asked["Reply-To"] or asked["From"]).rpartition("<")[2].rstrip(">")
    raw = letter(by, where, f"Re: {asked['Subject']}", f"{words}\n", In_Reply_To=str(asked["Message-ID"]))
    await send(postfix, raw, by, where)


async def one_person(shore: Town, *of: str) -> Any:
    """Whether all these addresses are one person's."""
    theirs = sa.select(sa.func.count(sa.distinct(addresses.c.person_id))).where(addresses.c.address.in_(of))
    return (await shore.rows(theirs))[0][0] == 1


async def test_a_user_of_the_room_links_a_mailbox(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    members = postfix.member_domain()
    ana, bruno_mail = f"ana@{members}", f"bruno@{members}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    await shore.member("pools", bruno_mail, "Bruno Costa")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")

    await say(synapse, bruno, room, f"!junto link {bruno_mail}")
    await told(shore, synapse, bruno, f"{bruno_mail} is asked whether that is you")
    question = await nth(postfix, bruno_mail, 1)
    assert bruno.user_id in question.get_content()
    assert bruno_mail in question.get_content()
    await answer(postfix, bruno_mail, question, "yes")
    await told(shore, synapse, bruno, "are one person now")
    assert await one_person(shore, bruno.user_id, bruno_mail)

    await say(synapse, bruno, room, "Low tide is at ten")  # under the one name, and to Ana alone
    heard = await nth(postfix, ana, 1)
    assert "Bruno Costa" in heard["From"]
    await shore.settled()
    assert len(await arrived(postfix, bruno_mail, 2)) == 2  # the question, and that it is done
    await send(postfix, letter(f"Bruno <{bruno_mail}>", pools, "Nets", "By mail.\n", "<n@x.test>"), bruno_mail, pools)
    shown = await message(shore, synapse, bruno, room, "By mail.")
    assert shown["sender"].startswith("@_junto_")
    assert not [row for row in await shore.rows(sa.select(posts)) if "!junto" in row.subject]
    assert "!junto" not in await shore.page("/f/pools")


async def test_a_mailbox_links_a_user_of_the_room(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    user = await asyncio.to_thread(synapse.register, "ana")
    request = pools.replace("@", "-request@")
    await send(postfix, letter(ana, request, f"link {user.user_id}", "", "<l@x.test>"), ana, request)
    meant = await nth(postfix, ana, 1)  # a signed mail may have been handed on by anybody
    await send(
        postfix, letter(ana, str(meant["Reply-To"]), "Re: yes", "yes\n", "<y@x.test>"), ana, str(meant["Reply-To"])
    )
    assert "is asked whether that is you" in (await nth(postfix, ana, 2)).get_content()
    question = await told(shore, synapse, user, "wants to be one person here")
    assert ana in question["content"]["body"]
    await say(synapse, user, question["room_id"], "yes")
    await told(shore, synapse, user, "are one person now")
    assert await one_person(shore, user.user_id, ana)


async def test_a_private_word_to_a_ghost_and_its_answer(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    await send(postfix, letter(f"Ana <{ana}>", pools, "Limpets", "Come!\n", "<l@x.test>"), ana, pools)
    ghost = (await message(shore, synapse, bruno, room, "Come!"))["sender"]

    wish = {"preset": "trusted_private_chat", "is_direct": True, "invite": [ghost]}
    made = await asyncio.to_thread(synapse.call, "POST", "/_matrix/client/v3/createRoom", wish, bruno.token)
    await say(synapse, bruno, made["room_id"], "May I bring my dog?")
    box = [read(raw) for raw in await arrived(postfix, ana, 1)]
    assert "May I bring my dog?" in box[0].get_content()
    assert bruno.user_id not in box[0].as_string()
    assert "bruno" in str(box[0]["From"])
    await answer(postfix, ana, box[0], "Of course.")
    back = await told(shore, synapse, bruno, "Of course.")
    assert (back["sender"], back["room_id"]) == (ghost, made["room_id"])
    assert ana not in str(back)

    carla = await asyncio.to_thread(synapse.register, "carla")
    made = await asyncio.to_thread(synapse.call, "POST", "/_matrix/client/v3/createRoom", wish, carla.token)
    await say(synapse, carla, made["room_id"], "Buy this!")
    await told(shore, synapse, carla, "Only members of")
    await shore.settled()
    letters = await shore.rows(sa.select(deliveries).where(deliveries.c.item_kind == "letter"))
    assert len(letters) == 2


async def test_commands_act_and_are_answered_in_private(shore: Town, postfix: Postfix, synapse: Synapse) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    await shore.member("pools", ana, "Ana")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    await send(postfix, letter(f"Ana <{ana}>", pools, "Limpets", "Come!\n", "<l@x.test>"), ana, pools)
    root = (await message(shore, synapse, bruno, room, "Come!"))["event_id"]

    await asyncio.to_thread(synapse.send, bruno, room, in_thread(root, "!junto mute"))
    done = await told(shore, synapse, bruno, "“Limpets” is muted")
    assert len(await shore.rows(sa.select(thread_marks))) == 1
    await asyncio.to_thread(synapse.send, bruno, room, in_thread(root, "!junto who"))
    await told(shore, synapse, bruno, "is Ana's, written by mail")
    await say(synapse, bruno, done["room_id"], "unmute 1")
    await told(shore, synapse, bruno, "is sent to you again")
    await say(synapse, bruno, done["room_id"], "help")
    await told(shore, synapse, bruno, "!junto")
    await say(synapse, bruno, room, "!junto topic Potluck\nWho brings what?")
    mailed = await nth(postfix, ana, 1)
    assert mailed["Subject"] == "Potluck"
    assert "!junto" not in mailed.as_string()
    await say(synapse, bruno, room, "!junto name Bruno Costa")
    await told(shore, synapse, bruno, "name: Bruno Costa")
    assert [row.name for row in await shore.rows(sa.select(people.c.name).order_by(people.c.id))] == [
        "Ana",
        "Bruno Costa",
    ]
    seen = await asyncio.to_thread(synapse.messages, bruno, room)
    assert not [event for event in seen if event["content"].get("msgtype") == "m.notice"]
    assert [row.mode for row in await shore.rows(sa.select(subscriptions.c.mode))]


async def test_a_ghost_that_is_named_reaches_its_author_and_goes_with_them(
    shore: Town, postfix: Postfix, synapse: Synapse
) -> None:
    ana = f"ana@{postfix.member_domain()}"
    pools = await shore.forum("pools")
    ana_id = await shore.member("pools", ana, "Ana", mode="mentions")
    bruno = await asyncio.to_thread(synapse.register, "bruno")
    room = await in_room(shore, synapse, bruno, "pools")
    await send(postfix, letter(f"Ana <{ana}>", pools, "Limpets", "Come!\n", "<l@x.test>"), ana, pools)
    ghost = (await message(shore, synapse, bruno, room, "Come!"))["sender"]

    await say(synapse, bruno, room, "!junto topic Nets\nFor nobody in particular")
    pill = f'<a href="https://matrix.to/#/{ghost}">Ana</a>'
    more = {"format": "org.matrix.custom.html", "formatted_body": f"{pill}, bring a net"}
    await say(synapse, bruno, room, "!junto topic Buckets\nno name")
    topic = await say(synapse, bruno, room, "Ana, bring a net", **more, **{"m.mentions": {"user_ids": [ghost]}})
    named = await nth(postfix, ana, 1)
    assert "bring a net" in named.get_body(("plain",)).get_content()
    assert topic

    def leaves(tx: sa.Connection) -> None:
        forum = forums.get(tx, "pools")
        membership.leave(tx, forum.id, ana_id)
        forums.changed(tx, forum.id, "member", ana_id, shore.home.now())

    await shore.home.store.write(leaves)
    path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.member/{quote(ghost)}"

    async def gone() -> bool:
        return (await asyncio.to_thread(synapse.call, "GET", path, None, bruno.token))["membership"] == "leave"

    await shore.until(gone, "the ghost to leave")
    profile = f"/_matrix/client/v3/profile/{ghost}"

    async def renamed_too() -> bool:
        known = await asyncio.to_thread(synapse.call, "GET", profile, None, bruno.token)
        return bool(known["displayname"] == "A former member")

    await shore.until(renamed_too, "the ghost's new name")
    assert await gone()
    assert len(await arrived(postfix, ana, 1)) == 1
