"""What the outbox is told when the homeserver does not simply say yes, and what the room shows then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from io import BytesIO

import pytest

from bridges.matrix import MatrixBridge, wire
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from bridges.matrix.tests.samples import ANA, Outcomes, lot, picture, png, post, reply, said
from server.bridge import EditItem, Failed, Later, Outbound, Outcome, PostItem, RetractionItem, Sent, Writer
from server.errors import Deferred
from tests.fakes import RecordingHouse

ROOM = "!room"


async def say(bridge: MatrixBridge, item: Outbound, key: str = "lot") -> Outcome:
    outcomes = Outcomes()
    await bridge.deliver(lot(item, ROOM, key), outcomes)
    return outcomes.only


def once(word: str, answer: Callable[[], Answer]) -> Callable[[Asked], Answer]:
    """Answer so the first time that a path has this word."""
    left = [1]

    def before(asked: Asked) -> Answer:
        if word in asked.path and left:
            left.clear()
            return answer()
        return None

    return before


async def test_a_rate_limit_is_waited_for_as_the_header_says(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = once("/send/", lambda: error(429, "M_LIMIT_EXCEEDED", retry_after_ms=1936, after=2))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert (outcome.after_ms, outcome.down) == (2000, False)
    assert homeserver.count("/send/") == 1


async def test_without_the_header_the_body_says_how_long(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = once("/send/", lambda: error(429, "M_LIMIT_EXCEEDED", retry_after_ms=1936))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.after_ms == 1936


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failing_homeserver_is_down_and_the_house_is_told(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse, status: int
) -> None:
    homeserver.before = once("/send/", lambda: error(status, "M_UNKNOWN", "out of order"))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.down
    assert house.health is not None
    assert not house.health[0]


async def test_a_page_of_a_gateway_is_no_success(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    from aiohttp import web

    homeserver.before = once("/send/", lambda: web.Response(text="<h1>Bad gateway</h1>", content_type="text/html"))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.down


async def test_silence_is_down_and_the_repeated_event_is_there_once(
    bridge: MatrixBridge, homeserver: Homeserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = PostItem(post())
    assert isinstance(await say(bridge, item, "first"), Sent)
    monkeypatch.setattr(wire, "TIMEOUT_SECONDS", 0.2)
    homeserver.mute = True
    outcome = await say(bridge, item, "second")
    assert isinstance(outcome, Later)
    assert outcome.down
    homeserver.mute = False
    assert isinstance(await say(bridge, item, "second"), Sent)
    assert len(homeserver.sent()) == 2


async def test_a_homeserver_that_does_not_know_our_token_is_down_not_the_post_bad(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.before = once("/send/", lambda: error(401, "M_UNKNOWN_TOKEN"))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.down


async def test_a_ghost_that_was_kicked_comes_back_once(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    assert isinstance(await say(bridge, PostItem(post()), "a"), Sent)
    homeserver.before = once("/send/", lambda: error(403, "M_FORBIDDEN", "not in the room"))
    assert isinstance(await say(bridge, PostItem(post()), "b"), Sent)
    assert homeserver.count("/join/") == 2


async def test_a_ghost_that_is_banned_fails_for_good(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = lambda asked: error(403, "M_FORBIDDEN", "banned") if "/send/" in asked.path else None
    assert isinstance(await say(bridge, PostItem(post())), Failed)
    assert homeserver.count("/send/") == 2


async def test_a_forgotten_device_is_made_again(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    assert isinstance(await say(bridge, PostItem(post()), "a"), Sent)
    homeserver.before = once("/send/", lambda: error(400, "M_UNKNOWN_DEVICE"))
    assert isinstance(await say(bridge, PostItem(post()), "b"), Sent)
    assert homeserver.count("/devices/") == 2


async def test_sends_name_user_and_device_where_there_is_one(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    await say(bridge, PostItem(post()))
    (sent,) = [asked for asked in homeserver.asked if "/send/" in asked.path]
    assert sent.query["user_id"] == "@_junto_kq3ana7rw2:hs.test"
    assert sent.query["device_id"] == "JUNTO"


async def test_an_older_homeserver_without_devices_gets_no_device_id(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.devices = False
    assert isinstance(await say(bridge, PostItem(post())), Sent)
    (sent,) = [asked for asked in homeserver.asked if "/send/" in asked.path]
    assert "device_id" not in sent.query


async def test_two_ghosts_never_share_a_transaction_id(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    await say(bridge, PostItem(post()), "one")
    await say(bridge, PostItem(post(writer=Writer("bru2no", "Bruno"))), "two")
    assert len(homeserver.sent()) == 2


async def test_what_is_too_large_for_the_homeserver_is_said_shorter(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    def before(asked: Asked) -> Answer:
        too_large = "/send/" in asked.path and len(str(asked.body)) > 12_000
        return error(413, "M_TOO_LARGE") if too_large else None

    homeserver.before = before
    long = "limpet " * 4_000
    outcome = await say(bridge, PostItem(post(text=long, fresh_text=long, fresh_html=f"<p>{long}</p>")))
    assert isinstance(outcome, Sent)
    (short, *_rest) = homeserver.sent()
    assert "full message: https://talk.test/f/tides/" in short["body"]


async def test_a_refusal_of_something_else_fails_and_says_why(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = once("/send/", lambda: error(400, "M_BAD_JSON", "no floats"))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Failed)
    assert "no floats" in outcome.detail


async def test_parts_that_were_sent_are_not_sent_again_after_a_day(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.blobs["f00d"] = png()
    item = PostItem(post(files=(picture(),)))
    homeserver.before = once("/upload", lambda: error(503, "M_UNKNOWN"))
    assert isinstance(await say(bridge, item), Later)
    homeserver._transactions.clear()  # what a homeserver does with transaction ids after a day
    outcome = await say(bridge, item)
    assert isinstance(outcome, Sent)
    assert [ref.part for ref in outcome.refs] == [0, 1]
    assert [content["msgtype"] for content in homeserver.sent()] == ["m.text", "m.image"]
    assert [key for kind, key in house.rows.facts if kind == "progress"] == []


async def test_files_that_cannot_be_given_are_named_with_their_page(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    files = (picture("large", size=5000), picture("lost"))
    assert isinstance(await say(bridge, PostItem(post(files=files))), Sent)
    bodies = [content["body"] for content in homeserver.sent()[1:]]
    assert len(bodies) == 2
    assert files[0].url in bodies[0]
    assert files[1].url in bodies[1]


async def test_an_answer_whose_root_has_no_event_starts_a_thread_that_later_ones_join(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    root = post()
    first = reply(root)
    sent = await say(bridge, PostItem(first), "first")
    assert isinstance(sent, Sent)
    second = reply(said(first, sent.refs[0].name), root)
    await say(bridge, PostItem(second), "second")
    third = reply(said(second, "$event1"), root)
    await say(bridge, PostItem(third), "third")
    one, two, three = homeserver.sent()
    assert "m.relates_to" not in one
    assert one["body"].startswith("Re: Limpets")
    assert two["m.relates_to"]["event_id"] == sent.refs[0].name
    assert three["m.relates_to"]["event_id"] == sent.refs[0].name
    assert three["m.relates_to"]["m.in_reply_to"] == {"event_id": "$event1"}
    assert three["m.relates_to"]["is_falling_back"] is False


async def test_a_member_s_own_message_is_taken_away_by_the_bot_and_not_edited_by_a_ghost(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    born_here = said(post(channel="matrix"), "$theirs")
    assert isinstance(await say(bridge, EditItem(born_here)), Failed)
    assert isinstance(await say(bridge, RetractionItem(born_here)), Sent)
    (redaction,) = [asked for asked in homeserver.asked if "/redact/" in asked.path]
    assert redaction.query["user_id"] == "@_junto_bot:hs.test"


async def test_every_event_of_a_post_is_taken_back(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    gone = dataclasses.replace(said(post(), "$a", "$b"), text="", fresh_text="")
    assert isinstance(await say(bridge, RetractionItem(gone)), Sent)
    redacted = [asked.path.split("/")[-2] for asked in homeserver.asked if "/redact/" in asked.path]
    assert redacted == ["$a", "$b"]


async def test_a_new_name_of_the_author_is_the_ghost_s(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    await say(bridge, PostItem(post()), "a")
    await say(bridge, PostItem(post(writer=Writer(ANA.key, "Ana F."))), "b")
    names = [asked.body["displayname"] for asked in homeserver.asked if asked.path.endswith("/displayname")]
    assert names == ["Ana Ferreira", "Ana F."]
    assert homeserver.count("/register") == 1


PICTURED = '<p>Look: <img src="blob:f00d" alt="limpet"></p>'


async def test_a_picture_in_a_text_is_given_to_the_homeserver_and_shown_there(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.blobs["f00d"] = png(3, 2)
    outcome = await say(bridge, PostItem(post(fresh_html=PICTURED, files=(picture(),))))
    assert isinstance(outcome, Sent)
    (text,) = homeserver.sent()
    assert '<img src="mxc://hs.test/m0" alt="limpet" width="3" height="2">' in text["formatted_body"]
    assert homeserver.media["m0"] == png(3, 2)


async def test_what_was_uploaded_is_not_uploaded_again_when_the_event_must_wait(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.blobs |= {"f00d": png(3, 2), "b0a7": b"1,2"}
    item = PostItem(post(fresh_html=PICTURED, files=(picture(), picture("b0a7", media_type="text/csv"))))
    for _attempt in range(2):
        homeserver.before = once("/send/", lambda: error(429, "M_LIMIT_EXCEEDED", after=1))
        assert isinstance(await say(bridge, item), Later)
    homeserver.before = lambda asked: None
    outcome = await say(bridge, item)
    assert isinstance(outcome, Sent)
    assert len(outcome.refs) == 2
    assert len(homeserver.media) == 2
    assert "mxc://hs.test/m0" in homeserver.sent()[0]["formatted_body"]


async def test_a_picture_that_is_not_taken_is_a_link_in_the_text(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    house.blobs["f00d"] = png()
    homeserver.before = lambda asked: error(403, "M_FORBIDDEN") if "/upload" in asked.path else None
    assert isinstance(await say(bridge, PostItem(post(fresh_html=PICTURED, files=(picture(),)))), Sent)
    text, link = homeserver.sent()
    assert f'<a href="{picture().url}">[limpet]</a>' in text["formatted_body"]
    assert picture().url in link["body"]


async def test_an_edit_shows_its_pictures(bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse) -> None:
    house.blobs["f00d"] = png()
    edited = said(post(fresh_html=PICTURED, files=(picture(),), revision=1), "$e")
    assert isinstance(await say(bridge, EditItem(edited)), Sent)
    (content,) = homeserver.sent()
    assert "mxc://hs.test/m0" in content["m.new_content"]["formatted_body"]


async def test_the_whole_of_a_long_text_is_sent_also_when_its_upload_had_to_wait(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.upload_size = 1_000_000
    long = "limpet " * 10_000
    item = PostItem(post(text=long, fresh_text=long, fresh_html=""))
    homeserver.before = once("/upload", lambda: error(503, "M_UNKNOWN"))
    assert isinstance(await say(bridge, item), Later)
    homeserver._transactions.clear()
    outcome = await say(bridge, item)
    assert isinstance(outcome, Sent)
    short, whole = homeserver.sent()
    assert "full message" in short["body"]
    assert whole["filename"] == "message.txt"
    assert homeserver.media["m0"] == long.encode()


async def test_how_large_a_file_may_be_is_asked_again_after_a_while_and_after_a_refusal(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    now = [0.0]
    bridge._speaker._uploads.clock = lambda: now[0]
    house.blobs["f00d"] = bytes(900)
    item = PostItem(post(files=(picture(size=900),)))
    await say(bridge, item, "one")
    await say(bridge, item, "two")
    assert homeserver.count("/media/config") == 1
    now[0], homeserver.upload_size = 4000.0, 800
    await say(bridge, item, "three")
    assert homeserver.sent()[-1]["body"].startswith("limpet.png is not in this room")
    homeserver.upload_size = 1000
    now[0] += 4000
    homeserver.before = once("/upload", lambda: error(413, "M_TOO_LARGE"))
    await say(bridge, item, "four")
    await say(bridge, item, "five")
    assert homeserver.count("/media/config") == 4
    assert homeserver.sent()[-1]["msgtype"] == "m.image"


async def test_an_upload_without_an_address_is_none(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse
) -> None:
    from aiohttp import web

    house.blobs["f00d"] = png()
    homeserver.before = once("/upload", lambda: web.json_response({"content_uri": "https://hs.test/abc"}))
    outcome = await say(bridge, PostItem(post(files=(picture(),))))
    assert isinstance(outcome, Later)


async def test_a_large_file_goes_out_piece_by_piece(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = 0

    class File(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal largest
            found = super().read(size)
            largest = max(largest, len(found))
            return found

    async def open_blob(hash: str) -> BytesIO:
        return File(bytes(5_000_000))

    monkeypatch.setattr(house, "open_blob", open_blob)
    homeserver.upload_size = 10_000_000
    outcome = await say(bridge, PostItem(post(files=(picture(size=5_000_000, media_type="audio/ogg"),))))
    assert isinstance(outcome, Sent)
    assert homeserver.media["m0"] == bytes(5_000_000)
    assert largest <= 1_000_000


async def test_a_homeserver_that_sends_our_words_elsewhere_is_away(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    from aiohttp import web

    homeserver.before = once("/send/", lambda: web.Response(status=307, headers={"Location": "/elsewhere"}))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.down
    assert homeserver.count("/elsewhere") == 0


async def test_a_disk_that_is_away_makes_no_part_be_said_twice(
    bridge: MatrixBridge, homeserver: Homeserver, house: RecordingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(hash: str) -> BytesIO:
        raise Deferred("our disk does not answer")

    item = PostItem(post(files=(picture(),)))
    with monkeypatch.context() as broken:
        broken.setattr(house, "open_blob", away)
        assert isinstance(await say(bridge, item), Later)
    homeserver._transactions.clear()  # what a homeserver does with transaction ids after a day
    house.blobs["f00d"] = png()
    assert isinstance(await say(bridge, item), Sent)
    assert [content["msgtype"] for content in homeserver.sent()] == ["m.text", "m.image"]
