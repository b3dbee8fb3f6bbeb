"""Commands in rooms and direct messages, words to a ghost, and what the server says to one person: who hears what, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from bridges.matrix import MatrixBridge
from bridges.matrix.names import ANSWER_MARK
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver, error
from bridges.matrix.tests.samples import ANA, Outcomes, lot
from bridges.matrix.tests.test_hear import USER, event, keep, work_off
from server.bridge import (
    Accepted,
    Act,
    Failed,
    Inbound,
    Later,
    Letter,
    LetterItem,
    NewPost,
    NoticeItem,
    Outbound,
    Outcome,
    Proof,
    Ref,
    Request,
    Result,
    Sent,
)
from server.errors import Rejected
from tests.fakes import RecordingHouse, forum

BOT, GHOST = "@_junto_bot:hs.test", f"@_junto_{ANA.key}:hs.test"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse(forum(), forum("kelp"))
    house.rooms |= {"!room": "tides", "!kelp": "kelp"}
    house.rows.put("name", USER, "Bruno")
    house.members[USER] = ["tides"]
    return house


def said(homeserver: Homeserver, by: str = BOT) -> list[str]:
    """What one of our users said, in order."""
    return [
        each["content"]["body"]
        for each in homeserver.events.values()
        if each["type"] == "m.room.message" and each["sender"] == by
    ]


def rooms_of(homeserver: Homeserver) -> list[str]:
    return [asked.path.split("/")[5] for asked in homeserver.asked if "/send/" in asked.path]


def requests(house: RecordingHouse) -> list[tuple[tuple[str, ...], ...]]:
    return [inbound.commands for inbound in house.accepted if isinstance(inbound, Request)]


def refusing(words: str) -> Any:
    def answer(inbound: Inbound) -> Result:
        raise Rejected("5.7.1", words)

    return answer


async def deliver(bridge: MatrixBridge, item: Outbound, to: str = USER, key: str = "lot") -> Outcome:
    outcomes = Outcomes()
    await bridge.deliver(lot(item, to, key), outcomes)
    return outcomes.only


def notice(text: str = "Done.\n", **more: Any) -> NoticeItem:
    return NoticeItem(1, forum(), more.pop("subject", ""), text, "<n@x.test>", **more)


def letter(**more: Any) -> LetterItem:
    return LetterItem(
        1, forum(), more.pop("writer", ANA), "Tides", more.pop("text", "Only you."), "<l@x.test>", "author"
    )


async def direct(bridge: MatrixBridge, house: RecordingHouse, ours: str = BOT, room: str = "!dm") -> None:
    """A direct room of the user and one of ours."""
    await bridge._speaker._direct.opened(room, ours, USER)
    house.rows.put("ghost", ours, json.dumps({"name": "x", "device": "JUNTO"}))


def dm(event_id: str, body: str, **more: Any) -> dict[str, Any]:
    return event(event_id, body, **({"room_id": "!dm"} | more))


# In a room -------------------------------------------------------------------------------------------------------------
async def test_a_command_in_a_room_is_asked_of_its_forum_and_never_posted(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    thread = {"rel_type": "m.thread", "event_id": "$root", "m.in_reply_to": {"event_id": "$last"}}
    content = {"msgtype": "m.text", "body": "!junto mute", "m.relates_to": thread}
    keep(house, event("$1", content=content))
    await work_off(bridge)
    (asked,) = house.accepted
    assert isinstance(asked, Request)
    assert (asked.forum, asked.commands) == ("tides", (("mute",),))
    assert asked.about == (Ref("matrix", "$last"), Ref("matrix", "$root"))
    assert (asked.author.address, asked.author.proof) == (USER, Proof.HOMESERVER)


async def test_what_is_no_command_is_told_in_private(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    keep(house, event("$1", "!junto dance"))
    await work_off(bridge)
    assert house.accepted == []
    assert "“dance” is no command here" in said(homeserver)[0]
    assert homeserver.made == [{"preset": "trusted_private_chat", "is_direct": True, "invite": [USER]}]
    assert rooms_of(homeserver) == ["!made1"]


async def test_a_refusal_and_a_reply_are_told_in_private(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.answer = lambda inbound: Accepted(reply="You left Tide pools.")
    keep(house, event("$1", "!junto leave"))
    await work_off(bridge)
    house.answer = refusing("not you")
    keep(house, event("$2", "!junto hide"))
    await work_off(bridge)
    assert said(homeserver) == ["You left Tide pools.", "not you"]
    assert set(rooms_of(homeserver)) == {"!made1"}


async def test_who_cannot_be_told_in_private_is_told_below_their_message(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    def before(asked: Asked) -> Answer:
        return error(403, "M_FORBIDDEN", "no invitations") if asked.path.endswith("/createRoom") else None

    homeserver.before = before
    keep(house, event("$1", "!junto dance"))
    await work_off(bridge)
    (content,) = homeserver.sent()
    assert content["msgtype"] == "m.notice"
    assert content["m.mentions"] == {"user_ids": [USER]}
    assert content["m.relates_to"] == {"m.in_reply_to": {"event_id": "$1"}}
    assert rooms_of(homeserver) == ["!room"]


async def test_a_topic_is_a_post_with_a_subject(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, event("$1", "!junto topic Low tide\nWho comes?"))
    await work_off(bridge)
    (post,) = house.accepted
    assert isinstance(post, NewPost)
    assert (post.subject, post.text, post.chat, post.parents) == ("Low tide", "Who comes?", False, ())


async def test_commands_have_an_end(bridge: MatrixBridge, house: RecordingHouse) -> None:
    keep(house, *(event(f"${n}", "!junto who") for n in range(100)))
    await work_off(bridge)
    assert len(house.accepted) == 60


# In a direct message -----------------------------------------------------------------------------------------------------
async def test_words_to_the_bot_are_commands_of_the_one_forum(bridge: MatrixBridge, house: RecordingHouse) -> None:
    await direct(bridge, house)
    keep(house, dm("$1", "mute 12"), dm("$2", "!junto digest daily"))
    await work_off(bridge)
    assert requests(house) == [(("mute", "12"),), (("delivery", "daily"),)]
    assert not any(isinstance(inbound, NewPost) for inbound in house.accepted)


async def test_who_is_a_member_of_several_says_which(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.members[USER] = ["tides", "kelp"]
    await direct(bridge, house)
    keep(house, dm("$1", "mute 12"), dm("$2", "kelp mute 12"))
    await work_off(bridge)
    assert said(homeserver) == ["Of which forum? Write its name first: tides mute 12, kelp mute 12."]
    (asked,) = house.accepted
    assert isinstance(asked, Request)
    assert asked.forum == "kelp"


async def test_a_stranger_is_told_how_to_begin(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.members.clear()
    await direct(bridge, house)
    keep(house, dm("$1", "hello"))
    await work_off(bridge)
    assert "no member of a forum" in said(homeserver)[0]


async def test_who_asks_the_bot_into_a_direct_chat_is_heard_there(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.rows.put("ghost", BOT, json.dumps({"name": "Junto", "device": "JUNTO"}))
    invite = {"membership": "invite", "is_direct": True}
    keep(house, event("$0", type="m.room.member", state_key=BOT, content=invite, room_id="!dm"), dm("$1", "who am i"))
    await work_off(bridge)
    assert homeserver.count("/join/!dm") == 1
    assert requests(house) == [(("whoami",),)]


async def test_what_was_said_before_the_ghost_came_is_heard_once(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.rows.put("ghost", GHOST, json.dumps({"name": "Ana", "device": "JUNTO"}))
    invite = {"membership": "invite", "is_direct": True}
    earlier = dm("$old", "from another time", origin_server_ts=1_600_000_000_000)
    chunk = [dm("$2", "and you?"), dm("$1", "Hello"), dm("$other", "x", sender="@eve:hs.test"), earlier]

    def before(asked: Asked) -> Answer:
        return web.json_response({"chunk": chunk}) if asked.path.endswith("/messages") else None

    homeserver.before = before
    keep(house, event("$0", type="m.room.member", state_key=GHOST, content=invite, room_id="!dm"), dm("$2", "and you?"))
    for _ in range(3):
        await work_off(bridge)
    said = [inbound.text for inbound in house.accepted if isinstance(inbound, Letter)]
    assert sorted(said) == ["Hello", "and you?"]


@pytest.mark.parametrize("ours", [BOT, GHOST])
async def test_nobody_of_us_is_drawn_into_a_room_of_several(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, ours: str
) -> None:
    house.rows.put("ghost", ours, json.dumps({"name": "x", "device": "JUNTO"}))
    keep(
        house,
        event("$0", type="m.room.member", state_key=ours, content={"membership": "invite"}, room_id="!dm"),
        dm("$1", "hello"),
    )
    await work_off(bridge)
    assert homeserver.count("/join/") == 0
    assert house.accepted == []


async def test_an_encrypted_message_is_answered_once_by_whom_it_was_for(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await direct(bridge, house, GHOST)
    secret = {"type": "m.room.encrypted", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
    keep(house, dm("$1", "", **secret), dm("$2", "", **secret))
    await work_off(bridge)
    assert len(said(homeserver, GHOST)) == 1
    assert "cannot be read" in said(homeserver, GHOST)[0]


# Words to a ghost --------------------------------------------------------------------------------------------------------
async def test_words_to_a_ghost_are_a_letter_to_its_author(bridge: MatrixBridge, house: RecordingHouse) -> None:
    await direct(bridge, house, GHOST)
    keep(
        house,
        dm("$1", "Are you there?"),
        dm("$2", "", content={"msgtype": "m.file", "body": "a.pdf", "url": "mxc://hs.test/a"}),
    )
    await work_off(bridge)
    first, second = house.accepted
    assert isinstance(first, Letter)
    assert isinstance(second, Letter)
    assert (first.to, first.key, first.text, first.forum) == ("author", ANA.key, "Are you there?", None)
    assert (first.author.address, first.author.proof) == (USER, Proof.HOMESERVER)
    assert second.text == "[a file, a.pdf, is not passed on]"


async def test_a_letter_that_is_not_passed_on_is_declined_once(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await direct(bridge, house, GHOST)
    house.answer = refusing("Only members of Tide pools can write to its authors.")
    keep(house, dm("$1", "hi"), dm("$2", "hello?"))
    await work_off(bridge)
    assert said(homeserver, GHOST) == ["Only members of Tide pools can write to its authors."]


# What the server says ----------------------------------------------------------------------------------------------------
async def test_a_notice_is_the_bots_and_a_letter_its_writers(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    assert isinstance(await deliver(bridge, notice()), Sent)
    assert isinstance(await deliver(bridge, notice("Again.", subject="Heading"), key="second"), Sent)
    assert isinstance(await deliver(bridge, letter(), key="third"), Sent)
    assert said(homeserver) == ["Done.", "Heading\n\nAgain."]
    assert said(homeserver, GHOST) == ["Tides\n\nOnly you."]
    assert len(homeserver.made) == 2  # one room each
    assert [content["msgtype"] for content in homeserver.sent()] == ["m.notice", "m.notice", "m.text"]


async def test_a_long_letter_comes_in_pieces_and_whole(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    await deliver(bridge, letter(text="ö" * 25_000))
    assert "".join(said(homeserver, GHOST)) == "Tides\n\n" + "ö" * 25_000


async def test_the_same_lot_is_said_once(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    for _attempt in range(2):
        await deliver(bridge, notice())
    assert len(said(homeserver)) == 1


async def test_who_left_the_room_is_asked_into_another_one(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await deliver(bridge, notice())
    gone = {"membership": "leave"}
    keep(house, event("$0", type="m.room.member", state_key=USER, content=gone, room_id="!made1"))
    await work_off(bridge)
    await deliver(bridge, notice("Again."), key="second")
    assert rooms_of(homeserver) == ["!made1", "!made2"]
    assert homeserver.count("/rooms/!made1/leave") == 1


async def test_a_room_that_is_gone_is_made_anew(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await deliver(bridge, notice())

    def before(asked: Asked) -> Answer:
        return error(403, "M_FORBIDDEN", "not in room") if "!made1" in asked.path or "/join/" in asked.path else None

    homeserver.before = before
    assert isinstance(await deliver(bridge, notice("Again."), key="second"), Sent)
    assert rooms_of(homeserver)[-1] == "!made2"


async def test_who_cannot_be_reached_fails_and_a_homeserver_that_is_away_is_waited_for(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.before = lambda asked: error(403, "M_FORBIDDEN", "no") if "createRoom" in asked.path else None
    assert isinstance(await deliver(bridge, notice()), Failed)
    homeserver.before = lambda asked: error(502, "", "no") if "createRoom" in asked.path else None
    assert isinstance(await deliver(bridge, notice()), Later)


# Questions ---------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("words", "token"),
    [("yes", "TOKEN"), ("Yes!", "TOKEN"), ("!junto confirm other", "other"), ("confirm TOKEN", "TOKEN")],
)
async def test_a_yes_or_the_code_answers_the_last_question(
    bridge: MatrixBridge, house: RecordingHouse, words: str, token: str
) -> None:
    house.members.clear()
    await deliver(bridge, notice("Are you ana@x.test?", reply=("confirm", "TOKEN")))
    assert "TOKEN" not in str(house.rows.facts)  # no token that acts is stored
    keep(house, event("$1", words, room_id="!made1"))
    await work_off(bridge)
    (act,) = house.accepted
    assert isinstance(act, Act)
    assert (act.forum, act.verb, act.token, act.words) == ("tides", "confirm", token, ("yes",))
    assert (act.author.address, act.author.proof) == (USER, Proof.HOMESERVER)


async def test_a_yes_without_a_question_does_nothing(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await direct(bridge, house)
    keep(house, dm("$1", "yes"))
    await work_off(bridge)
    assert house.accepted == []
    assert "no question" in said(homeserver)[0]


async def test_a_question_that_somebody_else_wrote_is_none(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    await direct(bridge, house)
    mark = {ANSWER_MARK: {"forum": "tides", "verb": "confirm", "token": "FORGED"}}
    homeserver.events["$forged"] = {"event_id": "$forged", "type": "m.room.message", "sender": USER, "content": mark}
    house.rows.put("asked", USER, json.dumps(["!dm", "$forged"]))
    keep(house, dm("$1", "yes"))
    await work_off(bridge)
    assert house.accepted == []
