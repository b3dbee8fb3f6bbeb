"""The room of moderators: who is in it, what it is shown, which signs and words decide; and what members report."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from bridges.matrix import MatrixBridge, docket
from bridges.matrix.tests.homeserver import Answer, Asked, Homeserver
from bridges.matrix.tests.samples import Outcomes, lot
from bridges.matrix.tests.test_hear import USER, event, keep, work_off
from server.bridge import Accepted, Decide, Flag, Inbound, QueueItem, Ref, Result, Sent, StateItem
from server.errors import Rejected
from tests.fakes import RecordingHouse, forum

MOD = "@mod:hs.test"
BOT = "@_junto_bot:hs.test"
HALL = "!hall"


@pytest.fixture
def house() -> RecordingHouse:
    house = RecordingHouse()
    house.rooms["!room"] = "tides"
    for user, name in ((USER, "Bruno"), (MOD, "Mod")):
        house.rows.put("name", user, name)
    house.rows.put("moderators", "tides", HALL)
    house.rows.put("moderated", HALL, "tides")
    return house


def held(**changes: Any) -> QueueItem:
    values: dict[str, Any] = {
        "forum": forum(),
        "name": "H-abcd",
        "kind": "post",
        "writer_name": "Eve",
        "subject": "Hello",
        "text": "May I <b>ask</b>?\nA lot?",
        "reason": "the first post waits",
    }
    return QueueItem(**(values | changes))


async def deliver(bridge: MatrixBridge, item: Any) -> Any:
    outcomes = Outcomes()
    await bridge.deliver(lot(item, ""), outcomes)
    return outcomes.only


def shown(homeserver: Homeserver) -> list[dict[str, Any]]:
    """(room, content) of what was said, in order."""
    return [
        {"room": asked.path.split("/")[5], **asked.body}
        for asked in homeserver.asked
        if "/send/m.room.message/" in asked.path
    ]


def decisions(house: RecordingHouse) -> list[tuple[str, str, str, str]]:
    return [(d.name, d.verb, d.words, d.author.address) for d in house.accepted if isinstance(d, Decide)]


def sign(on: str, key: str, **changes: Any) -> dict[str, Any]:
    relation = {"rel_type": "m.annotation", "event_id": on, "key": key}
    return event("$sign", room_id=HALL, sender=MOD, type="m.reaction", content={"m.relates_to": relation}) | changes


# What is shown --------------------------------------------------------------------------------------------------------
async def test_what_waits_is_said_once_with_buttons_and_changed_when_it_is_decided(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    assert isinstance(await deliver(bridge, held()), Sent)
    (said,) = shown(homeserver)
    assert said["room"] == HALL
    assert "H-abcd: “Hello” by Eve waits in Tide pools" in said["body"]
    assert "> May I <b>ask</b>?" in said["body"]
    assert "May I &lt;b&gt;ask&lt;/b&gt;?" in said["formatted_body"]
    keys = [e["content"]["m.relates_to"]["key"] for e in homeserver.events.values() if e["type"] == "m.reaction"]
    assert keys == ["✅", "❌"]
    await deliver(bridge, held(text="Better words"))
    await deliver(bridge, held(decided="Published by Mod as tides/1."))
    await deliver(bridge, held(decided="Published by Mod as tides/1."))
    _first, mended, over = shown(homeserver)
    for edit in (mended, over):
        assert edit["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$event0"}
    assert "Better words" in mended["m.new_content"]["body"]
    assert over["m.new_content"]["body"] == "H-abcd: “Hello” by Eve waits in Tide pools\n\nPublished by Mod as tides/1."


async def test_what_is_decided_before_it_is_said_is_never_said(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    assert isinstance(await deliver(bridge, held(decided="Rejected by Mod.")), Sent)
    assert shown(homeserver) == []


async def test_who_asks_again_is_announced_again(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    asks = held(name="J-5", kind="entry", subject="", text="Let me in", reason="asks to join")
    for item in (asks, held(name="J-5", kind="entry", decided="Not let in, by Mod."), asks):
        await deliver(bridge, item)
    first, over, again = shown(homeserver)
    assert "J-5: Eve asks to join Tide pools" in first["body"]
    assert "m.relates_to" in over
    assert "m.relates_to" not in again


async def test_without_a_room_of_theirs_nothing_is_said(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.rows.drop("moderators", "tides")
    assert isinstance(await deliver(bridge, held()), Sent)
    assert shown(homeserver) == []


# What decides ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "verb"), [("✅", "approve"), ("❌", "reject"), ("✔️", "approve"), ("👍", "approve"), ("🌊", None)]
)
async def test_a_sign_on_it_decides(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, key: str, verb: str | None
) -> None:
    await deliver(bridge, held())
    keep(house, sign("$event0", key))
    await work_off(bridge)
    assert decisions(house) == ([("H-abcd", verb, "", MOD)] if verb else [])
    assert len(shown(homeserver)) == 1


async def test_our_own_buttons_decide_nothing(bridge: MatrixBridge, house: RecordingHouse) -> None:
    await deliver(bridge, held())
    keep(house, sign("$event0", "✅", sender=BOT), sign("$event0", "✅", sender="@_other_ghost:hs.test", event_id="$b"))
    await work_off(bridge)
    assert house.accepted == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("!junto approve H-abcd", ("H-abcd", "approve", "")),
        ("!junto reject h-abcd It belongs elsewhere.", ("h-abcd", "reject", "It belongs elsewhere.")),
        ("!JUNTO Ban F-12", ("F-12", "ban", "")),
    ],
)
async def test_words_decide_and_are_answered(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver, words: str, wanted: tuple[str, str, str]
) -> None:
    house.answer = lambda inbound: Accepted(reply="H-abcd is published.")
    keep(house, event("$1", words, room_id=HALL, sender=MOD))
    await work_off(bridge)
    assert decisions(house) == [(*wanted, MOD)]
    (told,) = shown(homeserver)
    assert (told["room"], told["body"]) == (HALL, "H-abcd is published.")


async def test_in_answer_to_the_announcement_the_name_may_be_left_out(
    bridge: MatrixBridge, house: RecordingHouse
) -> None:
    await deliver(bridge, held())
    below = {"m.in_reply_to": {"event_id": "$event0"}}
    content = {"msgtype": "m.text", "body": "!junto reject not here", "m.relates_to": below}
    keep(house, event("$1", room_id=HALL, sender=MOD, content=content))
    await work_off(bridge)
    assert decisions(house) == [("H-abcd", "reject", "not here", MOD)]


async def test_a_refusal_is_told_and_other_talk_is_nobodys_business(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    def refuses(inbound: Inbound) -> Result:
        raise Rejected("5.7.1", "Only who looks after it decides.")

    house.answer = refuses
    await deliver(bridge, held())
    keep(
        house,
        event("$1", "What do you think?", room_id=HALL, sender=MOD),
        event("$2", "!junto link tides", room_id=HALL, sender=MOD),
        sign("$event0", "✅"),
    )
    await work_off(bridge)
    _announced, usage, refusal = shown(homeserver)
    assert usage["body"] == docket.usage()
    assert refusal["body"] == "Only who looks after it decides."
    assert house.accepted == []


# Who is in it ---------------------------------------------------------------------------------------------------------
def members(**of: tuple[str, str]) -> Any:
    """The homeserver answers who is in a room: by user, what they are and who made them that."""
    chunk = [
        {"state_key": f"@{user}:hs.test", "sender": sender, "content": {"membership": membership}}
        for user, (membership, sender) in of.items()
    ]

    def before(asked: Asked) -> Answer:
        return web.json_response({"chunk": chunk}) if asked.path.endswith("/members") else None

    return before


def acts(homeserver: Homeserver) -> list[tuple[str, str]]:
    words = ("invite", "kick")
    return [
        (asked.path.rpartition("/")[2], asked.body["user_id"])
        for asked in homeserver.asked
        if asked.path.rpartition("/")[2] in words and HALL in asked.path.replace("%21", "!")
    ]


async def test_the_room_is_made_for_the_first_of_them_and_told_what_waits(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    house.rows.facts.clear()
    await bridge._speaker._moderators.ensure(StateItem(forum()))
    assert homeserver.made == []
    for _again in range(2):
        await bridge._speaker._moderators.ensure(StateItem(forum(), moderators=(MOD,)))
    (made,) = homeserver.made
    assert (made["preset"], made["name"]) == ("private_chat", "Tide pools: moderators")
    assert "room_alias_name" not in made
    assert house.queues == ["tides"]
    room = house.rows.get("moderators", "tides")
    assert room is not None
    assert house.rows.get("moderated", room) == "tides"


async def test_who_looks_after_the_forum_is_asked_in_and_who_does_no_more_put_out(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.before = members(
        _junto_bot=("join", BOT),
        inside=("join", BOT),
        away=("leave", "@away:hs.test"),
        back=("leave", BOT),
        old=("join", BOT),
    )
    wanted = ("new", "inside", "away", "back")
    await bridge._speaker._moderators.ensure(StateItem(forum(), owners=tuple(f"@{user}:hs.test" for user in wanted)))
    assert acts(homeserver) == [("invite", "@new:hs.test"), ("invite", "@back:hs.test"), ("kick", "@old:hs.test")]


# Reports --------------------------------------------------------------------------------------------------------------
async def test_a_member_reports_the_message_that_they_answer(
    bridge: MatrixBridge, house: RecordingHouse, homeserver: Homeserver
) -> None:
    below = {"m.in_reply_to": {"event_id": "$bad"}}
    content = {"msgtype": "m.text", "body": "!junto report It is an advertisement", "m.relates_to": below}
    keep(house, event("$1", content=content), event("$2", "!junto report"))
    house.answer = lambda inbound: Accepted(reply="Who looks after it is told.")
    await work_off(bridge)
    (flag,) = house.accepted
    assert isinstance(flag, Flag)
    assert (flag.forum, flag.target, flag.reason) == ("tides", Ref("matrix", "$bad"), "It is an advertisement")
    first, second = (said["body"] for said in shown(homeserver))
    assert first == "Who looks after it is told."
    assert "answer the message that you mean" in second
    assert all(json.dumps(said).count("!room") == 0 for said in shown(homeserver))  # in private
