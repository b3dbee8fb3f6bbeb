"""A forum for members only, and one whose moderators decide who joins, with a real homeserver: nobody else sees or hears anything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.bridge import WEB, Author, NewPost, Proof, Ref
from server.desk import entry, forums
from server.people import identity, membership
from server.store.schema import addresses, memberships, posts, subscriptions
from server.store.schema import forums as forums_table
from tests.peers.net import free_port
from tests.peers.synapse import Account, MatrixError, Synapse
from tests.stories.town import Town, town


@pytest.fixture
async def shore(tmp_path: Path, database: str, synapse: Synapse) -> AsyncIterator[Town]:
    synapse.reset()
    listen = free_port()
    matrix = {"homeserver": synapse.url, "server_name": synapse.server_name, "listen": f"127.0.0.1:{listen}"}
    sections = {"email": {"domain": "shore.test"}, "matrix": matrix | {"registration": str(synapse.registration)}}
    synapse.route_to(listen)
    async with town(tmp_path, database, sections) as place:
        yield place


async def belongs(shore: Town, slug: str, address: str, name: str, state: str = "active", **values: Any) -> int:
    """As `junto member add` or `junto member set state=…`; the person's id."""

    def work(tx: Connection) -> int:
        forum, now = forums.get(tx, slug), shore.home.now()
        known = identity.ensure(tx, "matrix", address, name, now, verified=True)
        membership.join(tx, forum.id, known.person_id, None, now, **values)
        if state != "active":
            membership.set_member(tx, forum.id, known.person_id, {"state": state})
        forums.changed(tx, forum.id, "member", known.person_id, now)
        return known.person_id

    return await shore.home.store.write(work)


async def says(shore: Town, slug: str, person: int, words: str) -> None:
    author = Author(WEB, str(person), "Ana", Proof.SESSION)
    await shore.home.accept(NewPost(slug, author, (Ref("form", words),), subject=words, text=words))


async def room_of(shore: Town, slug: str, but: str = "") -> str:
    """The room that gets the forum's posts now."""
    there = sa.select(addresses.c.address).join_from(subscriptions, addresses).where(addresses.c.person_id.is_(None))
    query = there.join(forums_table, forums_table.c.id == subscriptions.c.forum_id).where(forums_table.c.slug == slug)

    async def look() -> str:
        rows = await shore.rows(query.where(subscriptions.c.state == "active"))
        return next((row.address for row in rows if row.address != but), "")

    return await shore.until(look, f"the room of {slug}")


async def place_of(synapse: Synapse, who: Account, room: str) -> str:
    """What somebody is in the room, as the bot sees it."""
    token = json.loads(synapse.registration.read_text())["as_token"]
    path = f"/_matrix/client/v3/rooms/{quote(room)}/state/m.room.member/{quote(who.user_id)}"
    return str((await asyncio.to_thread(synapse.call, "GET", path, None, token))["membership"])


async def bodies(synapse: Synapse, who: Account, room: str) -> list[str]:
    events = await asyncio.to_thread(synapse.messages, who, room)
    return [event["content"].get("body", "") for event in events if event["type"] == "m.room.message"]


async def test_what_members_say_is_theirs_and_a_forum_that_closes_leaves_its_open_room(
    shore: Town, synapse: Synapse
) -> None:
    ana, bo, eve = [await asyncio.to_thread(synapse.register, name) for name in ("ana", "bo", "eve")]
    await shore.forum("pools")
    ana_id = await belongs(shore, "pools", ana.user_id, "Ana")
    open_room = await room_of(shore, "pools")
    await says(shore, "pools", ana_id, "For all to read")
    await shore.settled()
    await asyncio.to_thread(synapse.join, eve, open_room)

    await shore.option("pools", visibility="members", join="invite")
    closed = await room_of(shore, "pools", but=open_room)
    await says(shore, "pools", ana_id, "For members alone")
    await shore.settled()
    assert any("For all to read" in body for body in await bodies(synapse, eve, open_room))
    assert not any("For members alone" in body for body in await bodies(synapse, eve, open_room))
    with pytest.raises(MatrixError):
        await asyncio.to_thread(synapse.join, eve, closed)
    assert await place_of(synapse, ana, closed) == "invite"
    await asyncio.to_thread(synapse.join, ana, closed)
    seen = await bodies(synapse, ana, closed)
    assert [words in " ".join(seen) for words in ("For all to read", "For members alone")] == [True, True]

    await belongs(shore, "pools", bo.user_id, "Bo")
    await shore.settled()
    assert await place_of(synapse, bo, closed) == "invite"
    await asyncio.to_thread(synapse.join, bo, closed)
    await asyncio.to_thread(synapse.send, bo, closed, {"msgtype": "m.text", "body": "I am one of you"})

    async def heard() -> list[Any]:
        return await shore.rows(sa.select(posts.c.id).where(posts.c.channel == "matrix"))

    await shore.until(heard, "Bo's words")
    await shore.page("/f/pools", 404)
    await belongs(shore, "pools", bo.user_id, "Bo", state="left")
    await shore.settled()
    assert await place_of(synapse, bo, closed) == "leave"


async def test_who_knocks_comes_in_when_a_moderator_says_so(shore: Town, synapse: Synapse) -> None:
    await shore.forum("kelp", join_policy="approval")
    room = await room_of(shore, "kelp")
    await shore.settled()
    bo, eve = [await asyncio.to_thread(synapse.register, name) for name in ("bo", "eve")]
    for who in (bo, eve):
        path = f"/_matrix/client/v3/knock/{quote(room)}"
        await asyncio.to_thread(synapse.call, "POST", path, {"reason": "I count limpets"}, who.token)

    async def asked() -> bool:
        return len(await shore.rows(sa.select(memberships.c.id).where(memberships.c.state == "pending"))) == 2

    await shore.until(asked, "two who ask to be let in")

    def decide(tx: Connection, who: Account, let_in: bool) -> bool:
        forum, known = forums.get(tx, "kelp"), identity.find(tx, "matrix", who.user_id)
        assert known is not None
        if let_in:
            return entry.admit(tx, shore.home.desk, forum, known.person_id, "command")
        return entry.turn_away(tx, shore.home.desk, forum, known.person_id, "command", "")

    assert await shore.home.store.write(decide, bo, True)
    assert await shore.home.store.write(decide, eve, False)

    async def decided() -> bool:
        return [await place_of(synapse, who, room) for who in (bo, eve)] == ["invite", "leave"]

    await shore.until(decided, "an invitation, and a no")
    await asyncio.to_thread(synapse.join, bo, room)
    await asyncio.to_thread(synapse.send, bo, room, {"msgtype": "m.text", "body": "Thank you"})

    async def heard() -> list[Any]:
        return await shore.rows(sa.select(posts.c.id).where(posts.c.channel == "matrix"))

    await shore.until(heard, "Bo's words")
