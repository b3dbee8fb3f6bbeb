"""Held posts, reports and bans where people use a room: on a real homeserver, with mail through a real Postfix."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from server.desk import linking, shutting
from server.people import identity, membership
from server.store.schema import bridge_rows
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, MatrixError, Synapse
from tests.stories.test_room_walk import in_room, message, shore
from tests.stories.town import Town, letter, read

__all__ = ["shore"]  # the fixture: a town with a room


class Hall:
    """A forum with a room, its moderator Mona, who is in it, and Ana, who gets mail. First posts wait."""

    def __init__(self, town: Town, postfix: Postfix, synapse: Synapse) -> None:
        self.town, self.postfix, self.synapse = town, postfix, synapse
        self.ana = f"ana@{postfix.member_domain()}"

    async def open(self, **options: str) -> None:
        self.list = await self.town.forum("pools")
        await self.town.member("pools", self.ana, "Ana")
        self.mona = await asyncio.to_thread(self.synapse.register)
        self.room = await in_room(self.town, self.synapse, self.mona, "pools")
        await self.town.settled()
        await self.town.member("pools", self.mona.user_id, "Mona", "matrix", role="moderator")
        await self.town.option("pools", **options)  # a change: the room hears who looks after the forum
        self.hall = await self.town.until(self._let_in, "the moderators' room")

    async def _let_in(self) -> str:
        """The moderators' room, once Mona, who is invited, is in it."""
        for row in await self.town.rows(sa.select(bridge_rows.c.value).where(bridge_rows.c.kind == "moderators")):
            with contextlib.suppress(MatrixError):
                return await asyncio.to_thread(self.synapse.join, self.mona, row.value)
        return ""

    async def visitor(self) -> Account:
        account = await asyncio.to_thread(self.synapse.register)
        await asyncio.to_thread(self.synapse.join, account, self.room)
        return account

    async def says(self, who: Account, text: str, room: str = "", **more: Any) -> str:
        content = {"msgtype": "m.text", "body": text, **more}
        return await asyncio.to_thread(self.synapse.send, who, room or self.room, content)

    async def signs(self, who: Account, event: str, key: str, room: str) -> None:
        path = f"/_matrix/client/v3/rooms/{quote(room)}/send/m.reaction/{secrets.token_hex(6)}"
        content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event, "key": key}}
        await asyncio.to_thread(self.synapse.call, "PUT", path, content, who.token)

    async def announced(self, words: str) -> str:
        """The announcement with these words, as Mona sees it; its event."""
        return str((await message(self.town, self.synapse, self.mona, self.hall, words))["event_id"])

    async def marks(self, who: Account, event: str) -> list[str]:
        """The signs on a message of the room, as a client of that user sees them."""
        found = await asyncio.to_thread(self.synapse.messages, who, self.room)
        relations = [each["content"].get("m.relates_to", {}) for each in found if each["type"] == "m.reaction"]
        return [relation["key"] for relation in relations if relation.get("event_id") == event]

    async def marked(self, who: Account, event: str, keys: list[str]) -> None:
        async def look() -> bool:
            return await self.marks(who, event) == keys

        await self.town.until(look, f"{keys} on the message")

    async def is_gone(self, who: Account, event: str) -> bool:
        found = await asyncio.to_thread(self.synapse.messages, who, self.room)
        return any(each["event_id"] == event and not each["content"] for each in found)

    async def mailed(self, count: int) -> list[Any]:
        raw = await asyncio.to_thread(self.postfix.mailbox(self.ana).wait_for, count)
        return [read(each) for each in raw]

    async def last_in_hall(self, event: str) -> str:
        """What the announcement says now."""
        path = f"/_matrix/client/v3/rooms/{quote(self.hall)}/event/{quote(event)}"
        shown = await asyncio.to_thread(self.synapse.call, "GET", path, None, self.mona.token)
        newest = shown.get("unsigned", {}).get("m.relations", {}).get("m.replace", {})
        return str(newest.get("content", {}).get("m.new_content", shown["content"]).get("body", ""))


@pytest.fixture
async def hall(shore: Town, postfix: Postfix, synapse: Synapse) -> Hall:
    return Hall(shore, postfix, synapse)


async def test_a_first_message_waits_until_a_moderator_touches_a_sign(hall: Hall) -> None:
    await hall.open(first_post="hold")
    bruno, fay = await hall.visitor(), await hall.visitor()
    event = await hall.says(bruno, "A red blob on the rock.")
    await hall.marked(bruno, event, ["⏳"])
    announcement = await hall.announced("A red blob on the rock.")
    assert hall.postfix.mailbox(hall.ana).messages() == []
    await hall.town.page("/f/pools/1", 404)

    await hall.signs(hall.mona, announcement, "✅", hall.hall)
    (mail,) = await hall.mailed(1)
    assert "A red blob on the rock." in mail.get_body(("plain",)).get_content()
    await hall.marked(bruno, event, [])
    assert not await hall.is_gone(bruno, event)
    assert "red blob" in await hall.town.page("/f/pools/1")

    async def tells() -> bool:
        return "Published by" in await hall.last_in_hall(announcement)

    await hall.town.until(tells, "who decided")

    bad = await hall.says(fay, "Cheap shoes here!")
    await hall.marked(fay, bad, ["⏳"])
    answer = await hall.says(
        bruno,
        "What shoes?",
        **{"m.relates_to": {"rel_type": "m.thread", "event_id": bad, "m.in_reply_to": {"event_id": bad}}},
    )
    await hall.marked(bruno, answer, ["⏳"])
    await hall.signs(hall.mona, await hall.announced("Cheap shoes here!"), "❌", hall.hall)

    async def gone() -> bool:
        return await hall.is_gone(fay, bad)

    await hall.town.until(gone, "the redaction")
    await hall.marked(bruno, answer, [])  # what answered it goes on for itself
    mails = await hall.mailed(2)
    assert not any("Cheap shoes" in str(each.get_body(("plain",)).get_content()) for each in mails)
    assert not await hall.is_gone(bruno, answer)


async def test_a_moderators_answer_in_the_room_releases(hall: Hall) -> None:
    await hall.open(first_post="hold")
    bruno = await hall.visitor()
    event = await hall.says(bruno, "May I ask?")
    await hall.marked(bruno, event, ["⏳"])
    relation = {"rel_type": "m.thread", "event_id": event, "m.in_reply_to": {"event_id": event}}
    await hall.says(hall.mona, "Of course.", **{"m.relates_to": relation})
    both = await hall.mailed(2)  # they leave at one moment, and may pass each other
    first, second = sorted(both, key=lambda mail: mail["In-Reply-To"] is not None)
    assert second["In-Reply-To"] == first["Message-ID"]
    await hall.marked(bruno, event, [])


async def test_a_report_ends_in_a_decision_also_on_what_came_by_mail(hall: Hall) -> None:
    await hall.open(first_post="post")
    bruno = await hall.visitor()
    sent = letter(f"Ana <{hall.ana}>", hall.list, "Shoes", "Cheap shoes!\n", "<shoes@ana.test>")
    await asyncio.to_thread(hall.postfix.send, sent, hall.ana, hall.list)
    event = (await message(hall.town, hall.synapse, bruno, hall.room, "Cheap shoes!"))["event_id"]
    await hall.says(
        bruno, "!junto report It is an advertisement", **{"m.relates_to": {"m.in_reply_to": {"event_id": event}}}
    )
    announcement = await hall.announced("It is an advertisement")
    await hall.signs(hall.mona, announcement, "❌", hall.hall)

    async def gone() -> bool:
        return await hall.is_gone(bruno, str(event))

    await hall.town.until(gone, "the redaction of the ghost's message")
    assert "Cheap shoes" not in await hall.town.page("/f/pools/1")


async def test_a_moderators_redaction_takes_back_what_came_by_mail(hall: Hall) -> None:
    await hall.open(first_post="post")
    sent = letter(f"Ana <{hall.ana}>", hall.list, "Shoes", "Cheap shoes!\n", "<shoes@ana.test>")
    await asyncio.to_thread(hall.postfix.send, sent, hall.ana, hall.list)
    event = str((await message(hall.town, hall.synapse, hall.mona, hall.room, "Cheap shoes!"))["event_id"])
    path = f"/_matrix/client/v3/rooms/{quote(hall.room)}/redact/{quote(event)}/t1"
    await asyncio.to_thread(hall.synapse.call, "PUT", path, {}, hall.mona.token)

    async def gone() -> bool:
        return "Cheap shoes" not in await hall.town.page("/f/pools/1")

    await hall.town.until(gone, "an empty page")


async def test_a_ban_in_the_room_stops_the_mail_and_lifting_it_in_the_forum_opens_the_room(hall: Hall) -> None:
    await hall.open(first_post="post")
    bruno = await hall.visitor()
    mailbox = f"bruno@{hall.postfix.member_domain()}"
    await hall.town.member("pools", mailbox, "Bruno")
    await hall.says(bruno, "Hello from the room.")
    await hall.mailed(1)
    await _one_person(hall.town, bruno.user_id, mailbox)
    box = hall.postfix.mailbox(mailbox)
    before = len(box.messages())

    act = f"/_matrix/client/v3/rooms/{quote(hall.room)}"
    body = {"user_id": bruno.user_id, "reason": "Enough."}
    await asyncio.to_thread(hall.synapse.call, "POST", f"{act}/ban", body, hall.mona.token)
    await hall.town.until(lambda: _is(hall.town, bruno.user_id, "banned"), "the ban in the forum")
    await hall.says(hall.mona, "!junto topic Something else\nNow to the kelp.")
    assert len(await hall.mailed(2)) == 2
    await hall.town.settled()
    assert len(box.messages()) == before

    await hall.town.home.store.write(_let_in, bruno.user_id, hall.town.home.now())

    async def joins() -> bool:
        try:
            await asyncio.to_thread(hall.synapse.join, bruno, hall.room)
        except MatrixError:
            return False
        return True

    await hall.town.until(joins, "the open door")


async def _one_person(shore: Town, user: str, mailbox: str) -> None:
    def work(tx: Any) -> None:
        one, other = identity.find(tx, "matrix", user), identity.find(tx, "email", mailbox)
        assert one is not None
        assert other is not None
        linking.merge(tx, shore.home.desk, one.person_id, other.person_id, "command")

    await shore.home.store.write(work)


async def _is(shore: Town, user: str, state: str) -> bool:
    def look(tx: Any) -> bool:
        known = identity.find(tx, "matrix", user)
        member = membership.of(tx, known.person_id, 1) if known is not None else None
        return member is not None and member.state == state

    return await shore.home.store.read(look)


def _let_in(tx: Any, user: str, now: int) -> None:
    known = identity.find(tx, "matrix", user)
    assert known is not None
    shutting.let_in(tx, 1, known.person_id, "command", now)
