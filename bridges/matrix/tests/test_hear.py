"""What becomes of stored events: handed over once and in order, put aside alone, waiting without holding other rooms up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridges.matrix import MatrixBridge
from bridges.matrix.tests.homeserver import Homeserver, error
from bridges.matrix.tests.samples import png
from server.bridge import Accepted, Edit, Inbound, Join, Leave, NewPost, Reaction, Ref, Result, Retract
from server.errors import Deferred, Rejected
from tests.fakes import RecordingHouse, forum

USER = "@bruno:hs.test"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse(forum(), forum("kelp"))
    house.rooms |= {"!room": "tides", "!kelp": "kelp"}
    house.rows.put("name", USER, "Bruno")
    return house


def event(event_id: str, body: str = "", **changes: Any) -> dict[str, Any]:
    values = {
        "event_id": event_id,
        "room_id": "!room",
        "type": "m.room.message",
        "sender": USER,
        "origin_server_ts": 1_700_000_000_000,
        "content": {"msgtype": "m.text", "body": body},
    }
    return values | changes


def keep(house: RecordingHouse, *events: dict[str, Any] | bytes) -> None:
    for number, one in enumerate(events):
        name = f"raw{number}" if isinstance(one, bytes) else one["event_id"]
        house.rows.keep(name, one if isinstance(one, bytes) else json.dumps(one).encode())


def states(house: RecordingHouse) -> dict[str, str]:
    return {name: row[2] for name, row in house.rows.inbox.items()}


def texts(house: RecordingHouse) -> list[str | None]:
    return [inbound.text for inbound in house.accepted if isinstance(inbound, NewPost)]


async def work_off(bridge: MatrixBridge) -> None:
    await bridge._listener.work_off()


async def test_events_are_handed_over_in_order_with_their_bytes(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, event("$1", "one"), event("$2", "two"))
    await work_off(bridge)
    await work_off(bridge)
    assert texts(house) == ["one", "two"]
    (first, _second) = house.accepted
    assert isinstance(first, NewPost)
    assert first.author.name == "Bruno"
    assert first.written_at == 1_700_000_000_000
    assert json.loads(first.original or b"") == event("$1", "one")
    assert states(house) == {"$1": "done", "$2": "done"}


async def test_an_event_that_raises_is_put_aside_with_its_bytes_and_the_room_goes_on(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    def answer(inbound: Inbound) -> Result:
        if isinstance(inbound, NewPost) and inbound.text == "poison":
            raise ZeroDivisionError
        return Accepted()

    house.answer = answer
    keep(house, event("$1", "poison"), b"{not json", event("$2", 7), event("$3", "fine"))  # type: ignore[arg-type]
    await work_off(bridge)
    assert states(house) == {"$1": "quarantined", "raw1": "quarantined", "$2": "quarantined", "$3": "done"}
    assert house.rows.inbox["raw1"][1] == b"{not json"
    assert texts(house) == ["fine"]


async def test_what_must_wait_keeps_its_room_in_order_and_no_other_room_waiting(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    def away(inbound: Inbound) -> Result:
        if isinstance(inbound, NewPost) and inbound.text == "one":
            raise Deferred("the database is away")
        return Accepted()

    house.answer = away
    keep(house, event("$1", "one"), event("$2", "two"), event("$3", "elsewhere", room_id="!kelp"))
    await work_off(bridge)
    assert states(house) == {"$1": "new", "$2": "new", "$3": "done"}
    house.answer = lambda inbound: Accepted()
    bridge._listener.clock = lambda: float("inf")
    await work_off(bridge)
    assert texts(house) == ["elsewhere", "one", "two"]


async def test_a_room_with_thousands_of_events_that_wait_keeps_no_other_room_waiting(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    def away(inbound: Inbound) -> Result:
        if isinstance(inbound, NewPost) and inbound.text != "elsewhere":
            raise Deferred("the database is away")
        return Accepted()

    house.answer = away
    keep(house, *(event(f"${n}", str(n)) for n in range(1_000)), event("$far", "elsewhere", room_id="!kelp"))
    await work_off(bridge)
    assert texts(house) == ["elsewhere"]
    house.answer = lambda inbound: Accepted()
    bridge._listener.clock = lambda: float("inf")
    for _ in range(5):
        await work_off(bridge)
    assert texts(house) == ["elsewhere", *(str(n) for n in range(1_000))]


async def test_a_picture_waits_for_the_homeserver_and_at_last_is_named_instead(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.media["abc"] = png()
    homeserver.before = lambda asked: error(502, "M_UNKNOWN") if "/download/" in asked.path else None
    content = {"msgtype": "m.image", "body": "limpet.png", "url": "mxc://hs.test/abc"}
    keep(house, event("$1", content=content), event("$2", content=content))
    clock = iter(range(0, 10_000, 100))
    bridge._listener.clock = lambda: float(next(clock))
    await work_off(bridge)
    assert states(house)["$1"] == "new"
    for _attempt in range(14):
        await work_off(bridge)
    assert texts(house) == ["[limpet.png could not be fetched]"] * 2
    homeserver.before = lambda asked: None
    keep(house, event("$3", content=content))
    await work_off(bridge)
    last = house.accepted[-1]
    assert isinstance(last, NewPost)
    assert last.text == ""
    assert [(file.filename, file.data) for file in last.attachments] == [("limpet.png", png())]


async def test_a_file_beyond_the_forum_s_size_is_named_and_not_read_to_its_end(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.forums["tides"] = forum(max_size=10)
    homeserver.media["abc"] = b"x" * 1_000_000
    keep(house, event("$1", content={"msgtype": "m.file", "body": "all.zip", "url": "mxc://hs.test/abc"}))
    await work_off(bridge)
    assert texts(house) == ["[all.zip is too large to be kept here]"]


async def test_our_own_voice_and_machines_are_not_heard(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(
        house,
        event("$1", "echo", sender="@_junto_kq3ana7rw2:hs.test"),
        event("$2", "echo", sender="@_junto_bot:hs.test"),
        event("$3", content={"msgtype": "m.notice", "body": "build failed"}),
        event("$4", "relayed", sender="@telegram_123456:hs.test"),
        event("$5", "relayed", sender="@_discord_99:hs.test"),
        event("$6", "elsewhere", room_id="!unknown"),
        event(
            "$7",
            "a person's words with our marker",
            content={"msgtype": "m.text", "body": "copied", "net.junto.post": {}},
        ),
        event("$8", "a person", sender="@discord_fan:hs.test"),
    )
    await work_off(bridge)
    assert texts(house) == ["copied", "a person"]
    assert set(states(house).values()) == {"done"}


async def test_a_name_is_asked_for_once_and_kept_up_by_member_events(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    from aiohttp import web

    homeserver.before = lambda asked: (
        web.json_response({"displayname": "Chidi\n O."}) if "m.room.member" in asked.path else None
    )
    chidi = "@chidi:hs.test"
    renamed = event(
        "$3",
        type="m.room.member",
        sender=chidi,
        state_key=chidi,
        content={"membership": "join", "displayname": "Chidi Obi"},
        unsigned={"prev_content": {"membership": "join"}},
    )
    keep(house, event("$1", "a", sender=chidi), event("$2", "b", sender=chidi), renamed, event("$4", "c", sender=chidi))
    await work_off(bridge)
    names = [inbound.author.name for inbound in house.accepted if isinstance(inbound, NewPost)]
    assert names == ["Chidi O.", "Chidi O.", "Chidi Obi"]
    assert homeserver.count("m.room.member") == 1


async def test_joining_and_leaving_the_room(bridge: MatrixBridge, house: RecordingHouse) -> None:
    def member(event_id: str, now: str, before: str | None, user: str = USER) -> dict[str, Any]:
        unsigned = {"prev_content": {"membership": before}} if before else {}
        content = {"membership": now}
        return event(event_id, type="m.room.member", sender=user, state_key=user, content=content, unsigned=unsigned)

    keep(
        house,
        member("$1", "invite", None),
        member("$2", "join", "invite"),
        member("$3", "join", "join"),
        member("$4", "leave", "join"),
        member("$5", "join", None, "@_junto_kq3ana7rw2:hs.test"),
    )
    await work_off(bridge)
    assert [type(inbound) for inbound in house.accepted] == [Join, Leave]


async def test_a_refusal_is_said_to_its_sender_in_the_thread(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    def refuse(inbound: Inbound) -> Result:
        raise Rejected("5.7.1", "Only members may write here.")

    house.answer = refuse
    thread = {"rel_type": "m.thread", "event_id": "$root"}
    keep(house, event("$1", content={"msgtype": "m.text", "body": "hello", "m.relates_to": thread}))
    await work_off(bridge)
    assert states(house) == {"$1": "done"}
    (notice,) = homeserver.sent()
    assert (notice["msgtype"], notice["body"]) == ("m.notice", "Only members may write here.")
    assert notice["m.mentions"] == {"user_ids": [USER]}
    assert notice["m.relates_to"]["event_id"] == "$root"
    assert notice["m.relates_to"]["m.in_reply_to"] == {"event_id": "$1"}


async def test_an_encrypted_room_is_told_once(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    keep(house, *(event(f"${n}", type="m.room.encrypted", content={"ciphertext": "x"}) for n in range(3)))
    await work_off(bridge)
    assert len(homeserver.sent()) == 1
    assert house.accepted == []


async def test_an_edit_counts_only_by_the_author_of_a_message_that_is_no_edit(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.events["$mine"] = event("$mine", "before")
    homeserver.events["$theirs"] = event("$theirs", "before", sender="@other:hs.test")
    homeserver.events["$edit"] = event(
        "$edit",
        content={"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": "m.replace", "event_id": "$mine"}},
    )

    def edit(event_id: str, target: str) -> dict[str, Any]:
        fresh = {"msgtype": "m.text", "body": "after"}
        relation = {"rel_type": "m.replace", "event_id": target}
        return event(
            event_id, content={"msgtype": "m.text", "body": "* after", "m.new_content": fresh, "m.relates_to": relation}
        )

    keep(house, edit("$1", "$mine"), edit("$2", "$theirs"), edit("$3", "$edit"), edit("$4", "$unknown"))
    await work_off(bridge)
    (heard,) = house.accepted
    assert isinstance(heard, Edit)
    assert (heard.target, heard.ref, heard.text) == (Ref("matrix", "$mine"), Ref("matrix", "$1"), "after")


async def test_redactions_take_back_what_they_name_a_sign_an_edit_or_the_post(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.events["$post"] = event("$post", "first words")
    relation = {"rel_type": "m.annotation", "event_id": "$post", "key": "👍"}
    fresh = {"msgtype": "m.text", "body": "better words"}
    replace = {"rel_type": "m.replace", "event_id": "$post"}
    edited = {"msgtype": "m.text", "body": "* better words", "m.new_content": fresh, "m.relates_to": replace}
    keep(
        house,
        event("$sign", type="m.reaction", content={"m.relates_to": relation}),
        event("$edit", content=edited),
        event("$r1", type="m.room.redaction", content={"redacts": "$sign"}),
        event("$r2", type="m.room.redaction", content={}, redacts="$edit"),
        event("$r3", type="m.room.redaction", content={"redacts": "$post"}),
    )
    await work_off(bridge)
    sign, edit, unsigned, restored, gone = house.accepted
    assert isinstance(sign, Reaction)
    assert not sign.removed
    assert isinstance(edit, Edit)
    assert isinstance(unsigned, Reaction)
    assert (unsigned.removed, unsigned.key, unsigned.target.name) == (True, "👍", "$post")
    assert isinstance(restored, Edit)
    assert restored.text == "first words"
    assert isinstance(gone, Retract)
    assert gone.target == Ref("matrix", "$post")


async def test_changes_that_come_before_what_they_change_wait_for_it(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    homeserver.events["$post"] = event("$post", "first words")

    def answer(inbound: Inbound) -> Result:
        known = any(isinstance(each, NewPost) for each in house.accepted)
        if isinstance(inbound, Edit | Reaction) and not known:
            raise Rejected("5.5.0", "There is no such post here.")
        return Accepted()

    house.answer = answer
    fresh = {"msgtype": "m.text", "body": "better words"}
    replace = {"rel_type": "m.replace", "event_id": "$post"}
    edit = {"msgtype": "m.text", "body": "* better words", "m.new_content": fresh, "m.relates_to": replace}
    sign = {"m.relates_to": {"rel_type": "m.annotation", "event_id": "$post", "key": "👍"}}
    keep(
        house,
        event("$edit", content=edit),
        event("$sign", type="m.reaction", content=sign),
        event("$post", "first words"),
    )
    await work_off(bridge)
    post, edited, signed = house.accepted
    assert isinstance(post, NewPost)
    assert isinstance(edited, Edit)
    assert edited.text == "better words"
    assert isinstance(signed, Reaction)
    assert house.rows.get("parked", "$post") is None


async def test_who_takes_a_post_back_is_told_in_how_many_mailboxes_it_is(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.answer = lambda inbound: Accepted("tides/1", "It is gone here; 3 mailboxes have it already.")
    keep(house, event("$gone", type="m.room.redaction", content={"redacts": "$post"}))
    await work_off(bridge)
    (told,) = homeserver.sent()
    assert "3 mailboxes" in json.dumps(told)


@pytest.mark.parametrize("parent", ["$" + "x" * 50_000, "$a\0b", "$a\ud800"])
async def test_words_that_answer_an_impossible_event_come_without_an_answer(
    bridge: MatrixBridge, house: RecordingHouse, parent: str
) -> None:
    relation = {"m.in_reply_to": {"event_id": parent}}
    keep(house, event("$1", content={"msgtype": "m.text", "body": "one", "m.relates_to": relation}), event("$2", "two"))
    await work_off(bridge)
    assert [inbound.parents for inbound in house.accepted if isinstance(inbound, NewPost)] == [(), ()]
    assert texts(house) == ["one", "two"]


@pytest.mark.parametrize("room", ["!a\0b", "!a\ud800", "!" + "x" * 300, "room", ""])
async def test_nobody_looks_for_a_room_whose_id_can_be_none(
    bridge: MatrixBridge, house: RecordingHouse, room: str
) -> None:
    house.rooms[room] = "tides"
    keep(house, event("$1", "one", room_id=room))
    await work_off(bridge)
    assert (texts(house), states(house)) == ([], {"$1": "quarantined"})


async def test_an_emote_says_who_acts(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, event("$1", content={"msgtype": "m.emote", "body": "waves"}))
    await work_off(bridge)
    assert texts(house) == ["* Bruno waves"]


async def test_an_emote_keeps_its_form(bridge: MatrixBridge, house: RecordingHouse) -> None:
    rich = {"format": "org.matrix.custom.html", "formatted_body": "waves <b>twice</b>"}
    keep(house, event("$1", content={"msgtype": "m.emote", "body": "waves twice", **rich}))
    await work_off(bridge)
    (post,) = house.accepted
    assert isinstance(post, NewPost)
    assert (post.text, post.html) == ("* Bruno waves twice", "* Bruno waves <b>twice</b>")


async def test_nothing_overtakes_an_event_that_waits_however_long_the_round_takes(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    def away(inbound: Inbound) -> Result:
        if isinstance(inbound, NewPost) and inbound.text == "one":
            raise Deferred("the database is away")
        return Accepted()

    house.answer = away
    clock = iter(range(0, 10_000, 100))  # every look at it is later than any pause
    bridge._listener.clock = lambda: float(next(clock))
    keep(house, event("$1", "one"), event("$2", "two"))
    await work_off(bridge)
    assert texts(house) == []
