"""Long and rich posts, and files, against a real homeserver (Synapse), both ways."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import urllib.request
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import nio
import pytest
import pytest_asyncio

from bridges.matrix.tests import schemas
from bridges.matrix.tests.samples import ANA, picture, png, post
from bridges.matrix.tests.world import World
from server.bridge import Edit, EditItem, File, NewPost, PostItem
from tests.peers.synapse import Account

OGG = b"OggS" + bytes(400)
RICH = (
    '<p>Count:</p><pre><code class="language-python">for wall in walls:\n    count(wall)\n</code></pre>'
    "<table><thead><tr><th>wall</th><th>limpets</th></tr></thead><tbody><tr><td>north</td><td>40</td></tr></tbody></table>"
    '<ol start="3"><li>three</li></ol><details><summary>more</summary>forty</details>'
)


class Member:
    """An ordinary member with an ordinary client (matrix-nio)."""

    def __init__(self, world: World, account: Account, client: nio.AsyncClient) -> None:
        self.world, self.account, self.client = world, account, client

    async def upload(self, data: bytes, media_type: str, name: str) -> str:
        return await asyncio.to_thread(self._upload, data, media_type, name)

    def _upload(self, data: bytes, media_type: str, name: str) -> str:
        headers = {"Authorization": f"Bearer {self.account.token}", "Content-Type": media_type}
        url = f"{self.world.synapse.url}/_matrix/media/v3/upload?filename={quote(name)}"
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as answer:
            return str(json.load(answer)["content_uri"])

    async def download(self, mxc: str) -> bytes:
        answer = await self.client.download(mxc)
        assert isinstance(answer, nio.DownloadResponse), answer
        return bytes(answer.body)

    async def says(self, **content: Any) -> NewPost:
        """Say it, and what the house is given then."""
        event = await self.world.send(self.account, **content)
        return await self.world.heard(NewPost, lambda post: post.refs[0].name == event)

    async def sees(self, item: PostItem) -> list[dict[str, Any]]:
        sent = await self.world.say(item)
        return [(await self.world.event(self.account, ref.name))["content"] for ref in sent.refs]


@pytest_asyncio.fixture
async def member(world: World) -> AsyncIterator[Member]:
    account = await world.visitor()
    client = nio.AsyncClient(world.synapse.url, account.user_id)
    client.access_token, client.user_id = account.token, account.user_id
    yield Member(world, account, client)
    await client.close()


def rich(markup: str) -> dict[str, str]:
    return {"format": "org.matrix.custom.html", "formatted_body": markup}


async def test_tables_and_code_pass_both_ways_unchanged(member: Member) -> None:
    (content,) = await member.sees(PostItem(post(member.world.forum, fresh_html=RICH)))
    assert content["formatted_body"].endswith(RICH)
    heard = await member.says(body="Count", **rich(RICH))
    assert heard.html == RICH


async def test_a_picture_in_a_text_is_shown_in_it_and_heard_from_it(member: Member) -> None:
    data = png(30, 20)
    member.world.house.blobs["f00d"] = data
    html = '<p>Look: <img src="blob:f00d" alt="limpet"> there.</p>'
    item = PostItem(post(member.world.forum, fresh_html=html, files=(picture(size=len(data)),)))
    (content,) = await member.sees(item)
    _before, _src, rest = content["formatted_body"].partition('<img src="')
    mxc, _quote, rest = rest.partition('"')
    assert rest.startswith(' alt="limpet" width="30" height="20">')
    assert await member.download(mxc) == data

    heard = await member.says(body="limpet", **rich(f'<p>Here: <img src="{mxc}" alt="limpet"></p>'))
    (file,) = heard.attachments
    assert (file.filename, file.media_type, file.data, file.inline) == ("limpet.png", "image/png", data, True)
    assert heard.html == f'<p>Here: <img src="cid:{file.content_id}" alt="limpet"></p>'


async def test_sounds_films_and_files_keep_their_bytes_both_ways(member: Member) -> None:
    kinds = [
        ("call.ogg", "audio/ogg", "m.audio"),
        ("tide.mp4", "video/mp4", "m.video"),
        ("a.csv", "text/csv", "m.file"),
    ]
    files = []
    for name, media_type, _kind in kinds:
        member.world.house.blobs[name] = OGG + name.encode()
        files.append(File(name, name, media_type, len(OGG) + len(name), f"https://talk.test/blob/{name}"))
    _text, *shown = await member.sees(PostItem(post(member.world.forum, files=tuple(files))))
    assert [content["msgtype"] for content in shown] == [kind for _name, _type, kind in kinds]
    for (name, media_type, kind), content in zip(kinds, shown, strict=True):
        assert await member.download(content["url"]) == OGG + name.encode()
        mxc = await member.upload(OGG + name.encode(), media_type, name)
        info = {"mimetype": media_type, "size": len(OGG) + len(name)}
        heard = await member.says(msgtype=kind, body=name, filename=name, url=mxc, info=info)
        (file,) = heard.attachments
        assert (heard.text, file.filename, file.media_type) == ("", name, media_type)
        assert file.data == OGG + name.encode()


async def test_a_file_with_a_caption_is_words_and_a_file(member: Member) -> None:
    mxc = await member.upload(b"wall,limpets\n", "text/csv", "counts.csv")
    heard = await member.says(
        msgtype="m.file", body="All counts", filename="counts.csv", url=mxc, **rich("<b>All</b> counts")
    )
    assert (heard.text, heard.html) == ("All counts", "<b>All</b> counts")
    assert [file.data for file in heard.attachments] == [b"wall,limpets\n"]


async def test_a_voice_a_sticker_a_place_and_a_poll_are_heard(member: Member) -> None:
    voice = await member.upload(OGG, "audio/ogg", "voice")
    heard = await member.says(
        msgtype="m.audio",
        body="Voice message",
        url=voice,
        info={"mimetype": "audio/ogg", "duration": 900},
        **{"org.matrix.msc3245.voice": {}},
    )
    assert [file.filename for file in heard.attachments] in (["Voice message.oga"], ["Voice message.ogg"])
    place = await member.says(msgtype="m.location", body="The slipway", geo_uri="geo:51.5008,-0.1247")
    assert "openstreetmap.org" in (place.text or "")
    poll = {
        "m.poll": {
            "question": {"m.text": [{"body": "Which wall?"}]},
            "answers": [{"m.id": "a", "m.text": [{"body": "North"}]}],
        },
        "m.text": [{"body": "Which wall? 1. North"}],
    }
    sticker = {
        "body": "Landing",
        "url": await member.upload(png(), "image/png", "s"),
        "info": {"mimetype": "image/png"},
    }
    for kind, content in (("m.poll.start", poll), ("m.sticker", sticker)):
        await member.client.room_send(member.world.room, kind, content)
    assert await member.world.heard(NewPost, lambda found: found.text == "Poll: Which wall?\n\n1. North")
    landed = await member.world.heard(
        NewPost, lambda found: any(f.filename == "Landing.png" for f in found.attachments)
    )
    assert landed.attachments[0].data == png()


async def test_a_long_mail_is_an_excerpt_a_link_and_a_file_in_one_thread(member: Member) -> None:
    text = "\n\n".join(f"Paragraph {number}: é🐚 " + "limpet " * 60 for number in range(200))
    long = post(member.world.forum, text=text, fresh_text=text, fresh_html=f"<p>{text}</p>")
    short, whole = await member.sees(PostItem(long))
    assert short["body"].endswith(f"\n\n… full message: {long.url}")
    assert "formatted_body" not in short
    assert (await member.download(whole["url"])).decode() == text
    assert whole["m.relates_to"]["rel_type"] == "m.thread"


async def test_the_largest_content_that_we_make_is_taken(member: Member) -> None:
    # As much as stays within the budget: a server adds names, hashes and signatures to it.
    text = "é" * 29_700
    (content,) = await member.sees(PostItem(post(member.world.forum, subject="", fresh_text=text, fresh_html="")))
    assert content["body"] == text
    with pytest.raises(schemas.Wrong):
        schemas.canonical({"body": "é" * 31_000})


async def test_a_mention_of_a_ghost_is_a_name_elsewhere(member: Member) -> None:
    await member.world.say(PostItem(post(member.world.forum)))
    ghost = f"@_junto_{ANA.key}:hs.test"
    heard = await member.says(
        body=f"{ghost}: how many?",
        **rich(f'<a href="https://matrix.to/#/{ghost}">{ghost}</a>: how many?'),
        **{"m.mentions": {"user_ids": [ghost]}},
    )
    assert (heard.text, heard.html) == ("Ana Ferreira: how many?", "Ana Ferreira: how many?")


async def test_an_edit_shows_the_picture_again(member: Member) -> None:
    member.world.house.blobs["f00d"] = png(3, 2)
    html = '<p><img src="blob:f00d" alt="limpet"></p>'
    opener = post(member.world.forum, fresh_html=html, files=(picture(),))
    sent = await member.world.say(PostItem(opener))
    edited = dataclasses.replace(opener, revision=1, fresh_html=html + "<p>Forty.</p>", refs=sent.refs)
    await member.world.say(EditItem(edited))
    shown = await member.world.event(member.account, sent.refs[0].name)
    newest = shown["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]
    assert '<img src="mxc://hs.test/' in newest["formatted_body"]
    assert not [inbound for inbound in member.world.house.accepted if isinstance(inbound, Edit)]
