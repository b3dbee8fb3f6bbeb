"""What the house is given of a message that points elsewhere: files and pictures of its own, names instead of ids."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from bridges.matrix import MatrixBridge, downloads, wire
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver
from bridges.matrix.tests.samples import ANA, png
from bridges.matrix.tests.test_hear import USER, event, keep, states, work_off
from bridges.matrix.wire import may_follow
from server.bridge import Edit, NewPost
from tests.fakes import RecordingHouse, forum

ABC = "mxc://hs.test/abc"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse(forum(max_size=1000))
    house.rooms["!room"] = "tides"
    house.rows.put("name", USER, "Bruno")
    return house


async def said(bridge: MatrixBridge, house: RecordingHouse, name: str = "$1", **content: Any) -> NewPost:
    keep(house, event(name, content={"msgtype": "m.text", "body": "Look"} | content))
    await work_off(bridge)
    assert states(house)[name] == "done"
    post = house.accepted[-1]
    assert isinstance(post, NewPost)
    return post


def rich(markup: str) -> dict[str, str]:
    return {"format": "org.matrix.custom.html", "formatted_body": markup}


async def test_a_picture_in_the_middle_is_a_file_of_the_post(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media["abc"] = png()
    post = await said(bridge, house, **rich(f'<p>Look: <img src="{ABC}" alt="limpet"></p>'))
    (file,) = post.attachments
    assert (file.filename, file.media_type, file.data, file.inline) == ("limpet.png", "image/png", png(), True)
    assert post.html == f'<p>Look: <img src="cid:{file.content_id}" alt="limpet"></p>'


async def test_a_picture_that_is_none_or_is_nowhere_leaves_its_words(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media["abc"] = b"<svg/>"
    for name, mxc in (("$1", ABC), ("$2", "mxc://hs.test/gone")):
        post = await said(bridge, house, name, **rich(f'<img src="{mxc}" alt="limpet">'))
        assert post.attachments == ()
        assert 'alt="limpet"' in (post.html or "")
        assert "mxc" not in (post.html or "")


async def test_all_files_of_a_message_share_the_forum_s_limit(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media |= {"one": png() + bytes(700), "two": png() + bytes(700)}
    pictures = "".join(f'<img src="mxc://hs.test/{name}" alt="{name}">' for name in ("one", "two"))
    post = await said(bridge, house, **rich(pictures))
    assert [file.filename for file in post.attachments] == ["one.png"]


async def test_a_file_that_says_it_is_too_large_is_not_asked_for(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    post = await said(bridge, house, msgtype="m.file", body="tides.csv", url=ABC, info={"size": 1001})
    assert post.text == "[tides.csv is too large to be kept here]"
    assert homeserver.count("/download/") == 0


async def test_a_file_that_is_larger_than_it_says_is_not_read_to_its_end(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media["abc"] = bytes(5_000_000)
    post = await said(bridge, house, msgtype="m.file", body="tides.csv", url=ABC, info={"size": 5})
    assert (post.text, post.attachments) == ("[tides.csv is too large to be kept here]", ())


async def test_what_has_a_description_and_no_name_gets_an_ending(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media["abc"] = png()
    post = await said(bridge, house, msgtype="m.audio", body="Voice message", url=ABC, info={"mimetype": "audio/mpeg"})
    assert [file.filename for file in post.attachments] == ["Voice message.mp3"]


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/x", "http://example.org/x", "https://127.0.0.1/x", "/_matrix/other"]
)
async def test_a_redirect_to_where_we_do_not_look_is_not_followed(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, place: str
) -> None:
    def before(asked: Asked) -> Answer:
        return web.Response(status=307, headers={"Location": place}) if "/download/" in asked.path else None

    homeserver.before = before
    post = await said(bridge, house, msgtype="m.file", body="tides.csv", url=ABC)
    assert post.text == "[tides.csv could not be fetched]"
    assert homeserver.count("/_matrix/other") == 0


async def test_a_redirect_is_followed_without_our_token(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "may_follow", lambda place: True)  # nobody speaks TLS here
    homeserver.media["there"] = b"1,2"

    def before(asked: Asked) -> Answer:
        elsewhere = web.Response(status=307, headers={"Location": "/store/media/download/there"})
        return elsewhere if asked.path.endswith("/abc") else None

    homeserver.before = before
    post = await said(bridge, house, msgtype="m.file", body="tides.csv", url=ABC)
    assert [file.data for file in post.attachments] == [b"1,2"]
    asked = {one.path: one.authorization for one in homeserver.asked}
    assert asked["/store/media/download/there"] == ""
    assert asked["/_matrix/client/v1/media/download/hs.test/abc"].startswith("Bearer ")


@pytest.mark.parametrize(
    ("place", "may"),
    [
        ("https://cdn.example.org/ab/c1?x=y", True),
        ("https://[2606:2800:220:1::1]/x", True),
        ("http://cdn.example.org/x", False),
        ("https://localhost/x", False),
        ("https://169.254.169.254/latest", False),
        ("https://10.0.0.7/x", False),
        ("https://[::1]/x", False),
        ("https://us:er@cdn.example.org/x", False),
        ("file:///etc/passwd", False),
    ],
)
def test_where_a_redirect_may_lead(place: str, may: bool) -> None:
    assert may_follow(URL(place)) is may


async def test_people_who_are_mentioned_have_names(bridge: MatrixBridge, house: RecordingHouse) -> None:
    ghost, stranger = f"@_junto_{ANA.key}:hs.test", "@u123:hs.test"
    house.rows.put("ghost", ghost, '{"name": "Ana Ferreira", "device": "JUNTO"}')
    markup = f'<a href="https://matrix.to/#/{ghost}">{ghost}</a>: ask <a href="https://matrix.to/#/{USER}">Bruno</a>'
    mentions: dict[str, Any] = {"m.mentions": {"user_ids": [ghost, USER, stranger]}}
    post = await said(bridge, house, body=f"{ghost}: ask Bruno or {stranger}", **rich(markup), **mentions)
    assert post.text == "Ana Ferreira: ask Bruno or u123"
    assert post.html == "Ana Ferreira: ask Bruno"


async def test_a_mention_as_some_clients_write_it_in_plain_words_is_a_name(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    link = f"https://matrix.to/#/{USER}"
    post = await said(bridge, house, body=f"[{USER}]({link}) or [Bruno]({link}) or {link}: hi")
    assert post.text == "Bruno or Bruno or Bruno: hi"


async def test_an_edit_has_names_too(bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver) -> None:
    homeserver.events["$1"] = {"sender": USER, "content": {"msgtype": "m.text", "body": "x"}}
    fresh = {"msgtype": "m.text", "body": f"ask {USER}", "m.mentions": {"user_ids": [USER]}}
    relation = {"rel_type": "m.replace", "event_id": "$1"}
    content = {"msgtype": "m.text", "body": "* x", "m.new_content": fresh, "m.relates_to": relation}
    keep(house, event("$2", content=content))
    await work_off(bridge)
    (edit,) = house.accepted
    assert isinstance(edit, Edit)
    assert edit.text == "ask Bruno"


async def test_a_file_that_takes_long_makes_its_own_room_wait_and_comes_once(
    bridge: MatrixBridge, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "WAIT_SECONDS", 0.05)
    house = bridge._house
    assert isinstance(house, RecordingHouse)
    house.forums["kelp"], house.rooms["!kelp"] = forum("kelp"), "kelp"
    homeserver.media |= {"quick": png(), "slow": png(3, 2)}
    homeserver.slow.add("/slow")
    markup = '<img src="mxc://hs.test/quick" alt="quick"><img src="mxc://hs.test/slow" alt="slow">'
    first = event("$1", content={"msgtype": "m.text", "body": "Look", **rich(markup)})
    keep(house, first, event("$2", "after it"), event("$3", "elsewhere", room_id="!kelp"))
    clock = iter(range(0, 10_000, 100))
    bridge._listener.clock = lambda: float(next(clock))
    for _attempt in range(2):
        await work_off(bridge)
    assert states(house) == {"$1": "new", "$2": "new", "$3": "done"}
    homeserver.slow.clear()
    for _attempt in range(3):
        await work_off(bridge)
    assert states(house)["$2"] == "done"
    (post,) = [post for post in house.accepted if isinstance(post, NewPost) and post.refs[0].name == "$1"]
    assert [file.filename for file in post.attachments] == ["quick.png", "slow.png"]
    assert (homeserver.count("/quick"), homeserver.count("/slow")) == (1, 1)
