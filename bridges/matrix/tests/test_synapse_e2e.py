"""An encrypted room of a bot, with another client that encrypts, on a real homeserver."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nio
import pytest_asyncio

from bridges.matrix.cipher import DIRECTORY
from bridges.matrix.notices import OPEN_ELSEWHERE
from bridges.matrix.tests.botworld import BotWorld
from bridges.matrix.tests.samples import post
from server.bridge import Edit, NewPost, PostItem, Ref
from tests.peers.synapse import Account


class Reader:
    """Somebody whose client encrypts."""

    def __init__(self, world: BotWorld, who: Account, place: Path) -> None:
        self.who = who
        self.client = nio.AsyncClient(world.synapse.url, who.user_id, store_path=str(place))
        self.client.restore_login(who.user_id, who.device_id, who.token)
        self.bodies: list[str] = []
        self.client.add_event_callback(self._said, nio.RoomMessageText)
        self.client.add_event_callback(self._said, nio.RoomMessageNotice)

    async def _said(self, room: Any, event: Any) -> None:
        self.bodies.append(event.body)

    async def sync(self) -> None:
        assert isinstance(await self.client.sync(timeout=100, full_state=not self.client.next_batch), nio.SyncResponse)
        if self.client.should_upload_keys:
            await self.client.keys_upload()
        if self.client.should_query_keys:
            await self.client.keys_query()
        await self.client.send_to_device_messages()

    async def sees(self, words: str) -> None:
        async with asyncio.timeout(20):
            while not any(words in body for body in self.bodies):
                await self.sync()

    async def say(self, room: str, **content: object) -> str:
        await self.sync()
        sent = await self.client.room_send(
            room, "m.room.message", {"msgtype": "m.text", **content}, ignore_unverified_devices=True
        )
        assert isinstance(sent, nio.RoomSendResponse)
        return str(sent.event_id)


@pytest_asyncio.fixture
async def reader(botworld: BotWorld, tmp_path: Path) -> AsyncIterator[Reader]:
    """The reader of an encrypted room that they made the forum's."""
    who = await asyncio.to_thread(botworld.synapse.register)
    place = tmp_path / "reader"
    place.mkdir()
    found = Reader(botworld, who, place)
    levels = {"users": {who.user_id: 100, botworld.us.user_id: 100}}
    encryption = {"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    wish = {
        "room_version": "11",
        "preset": "private_chat",
        "initial_state": [encryption],
        "power_level_content_override": levels,
        "invite": [botworld.us.user_id],
    }
    botworld.house.in_charge[who.user_id] = (botworld.forum.slug,)
    made = await asyncio.to_thread(botworld.synapse.call, "POST", "/_matrix/client/v3/createRoom", wish, who.token)
    botworld.room = made["room_id"]
    path = f"/_matrix/client/v3/rooms/{botworld.room}/joined_members"
    async with asyncio.timeout(20):
        while True:
            members = await asyncio.to_thread(botworld.synapse.call, "GET", path, None, who.token)
            if botworld.us.user_id in members["joined"]:
                break
            await asyncio.sleep(0.05)
    await found.say(botworld.room, body=f"!junto link {botworld.forum.slug}")
    async with asyncio.timeout(20):
        while botworld.room not in botworld.house.rooms:
            await asyncio.sleep(0.05)
    yield found
    await found.client.close()


async def test_an_encrypted_room_is_a_forum_s_and_says_that_mail_is_not_encrypted(
    botworld: BotWorld, reader: Reader
) -> None:
    await reader.sees(OPEN_ELSEWHERE)
    event = await reader.say(botworld.room, body="Forty limpets.")
    heard = await botworld.heard(NewPost)
    assert (heard.text, heard.refs) == ("Forty limpets.", (Ref("matrix", event),))
    assert heard.original is not None
    assert b"Forty limpets." in heard.original
    root = (await botworld.say(PostItem(post(botworld.forum, fresh_text="How many?", fresh_html="")))).refs[0].name
    await reader.sees("Ana Ferreira (mail): ")
    shown = await botworld.event(reader.who, root)
    assert shown["type"] == "m.room.encrypted"
    assert "How many?" not in str(shown)
    fresh = {"msgtype": "m.text", "body": "Fifty limpets."}
    relation = {"rel_type": "m.replace", "event_id": event}
    await reader.say(botworld.room, body="* Fifty limpets.", **{"m.new_content": fresh, "m.relates_to": relation})
    edit = await botworld.heard(Edit)
    assert (edit.target, edit.text) == (Ref("matrix", event), "Fifty limpets.")
    directory = Path(botworld.house.data_dir) / DIRECTORY
    assert directory.stat().st_mode & 0o077 == 0


async def test_keys_outlive_a_restart_and_what_was_said_meanwhile_is_read(botworld: BotWorld, reader: Reader) -> None:
    await reader.say(botworld.room, body="before")
    await botworld.heard(NewPost)
    await botworld.stop()
    for number in range(3):
        await reader.say(botworld.room, body=f"meanwhile {number}")
    await botworld.start()
    await botworld.heard(NewPost, lambda post: post.text == "meanwhile 2")
    assert botworld.texts() == ["before", *(f"meanwhile {number}" for number in range(3))]
    await botworld.say(PostItem(post(botworld.forum, fresh_text="After it.", fresh_html="")), secrets.token_hex(4))
    await reader.sees("After it.")


async def test_an_encrypted_file_is_opened(botworld: BotWorld, reader: Reader) -> None:
    from nio.crypto.attachments import encrypt_attachment

    shut, keys = encrypt_attachment(b"a tide table")
    uploaded, _none = await reader.client.upload(lambda *_: shut, "application/octet-stream", filesize=len(shut))
    file = {**keys, "url": uploaded.content_uri, "mimetype": "text/plain"}
    await reader.say(
        botworld.room, msgtype="m.file", body="tides.txt", file=file, info={"mimetype": "text/plain", "size": 12}
    )
    (attachment,) = (await botworld.heard(NewPost)).attachments
    assert (attachment.filename, attachment.data) == ("tides.txt", b"a tide table")
