"""Places, polls, stickers and voices: what a room knows and mail gets as words, links and files."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.matrix import forms, parse
from bridges.matrix.parse import Edited, Ignored, Malformed, Media, Message
from bridges.matrix.tests.test_parse import heard, json_values, message

MAP = "https://www.openstreetmap.org/?mlat=51.500800&mlon=-0.124700#map=16/51.500800/-0.124700"


def test_a_place_is_a_link_to_a_map() -> None:
    said = message({"msgtype": "m.location", "body": "The slipway", "geo_uri": "geo:51.5008,-0.1247,3;u=35"})
    assert said.text == f"The slipway\n\nPlace: {MAP}"
    assert said.html is not None
    assert MAP.replace("&", "&amp;") in said.html


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "geo:",
        "geo:1",
        "geo:91,0",
        "geo:0,181",
        "geo:1e3,2",
        "geo:nan,inf",
        "geo:٣,٤",
        "geo:1,2;crs=moon",
        "https://example.org/1,2",
        "geo:" + "1" * 400 + ",2",
    ],
)
def test_a_place_nowhere_on_the_map_is_its_words(uri: str) -> None:
    said = message({"msgtype": "m.location", "body": "The slipway", "geo_uri": uri})
    assert (said.text, said.html) == ("The slipway", "<p>The slipway</p>")


def test_a_place_without_an_address_is_malformed() -> None:
    for uri in (None, 7, ["geo:1,2"]):
        with pytest.raises(Malformed):
            heard({"msgtype": "m.location", "body": "x", "geo_uri": uri})


STABLE = {
    "m.text": [{"body": "Which wall?\n1. North\n2. South"}],
    "m.poll": {
        "kind": "m.disclosed",
        "max_selections": 1,
        "question": {"m.text": [{"mimetype": "text/html", "body": "<b>Which</b>"}, {"body": "Which wall?"}]},
        "answers": [{"m.id": "a", "m.text": [{"body": "North"}]}, {"m.id": "b", "m.text": [{"body": "South <3"}]}],
    },
}
FIRST = {
    "org.matrix.msc1767.text": "Which wall?\n1. North\n2. South",
    "org.matrix.msc3381.poll.start": {
        "kind": "org.matrix.msc3381.poll.disclosed",
        "max_selections": 1,
        "question": {"org.matrix.msc1767.text": "Which wall?", "msgtype": "m.text", "body": "Which wall?"},
        "answers": [
            {"id": "a", "org.matrix.msc1767.text": "North"},
            {"id": "b", "org.matrix.msc1767.text": "South <3"},
        ],
    },
}


@pytest.mark.parametrize(("kind", "content"), [("m.poll.start", STABLE), ("org.matrix.msc3381.poll.start", FIRST)])
def test_a_poll_is_its_question_and_its_answers(kind: str, content: dict[str, Any]) -> None:
    relation = {"m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}
    said = heard(content | relation, type=kind)
    assert isinstance(said, Message)
    assert said.text == "Poll: Which wall?\n\n1. North\n2. South <3"
    assert said.html == "<p><strong>Poll: Which wall?</strong></p><ol><li>North</li><li>South &lt;3</li></ol>"
    assert said.answers == ("$root",)


def test_a_poll_of_which_only_the_text_is_understood_is_that_text() -> None:
    said = heard({"m.text": [{"body": "Which wall?"}]}, type="m.poll.start")
    assert isinstance(said, Message)
    assert (said.text, said.html) == ("Which wall?", "<p>Which wall?</p>")
    with pytest.raises(Malformed):
        heard({"m.poll": {"question": 7}}, type="m.poll.start")


def test_a_poll_that_is_edited_is_edited() -> None:
    relation = {"rel_type": "m.replace", "event_id": "$poll"}
    edited = heard({"m.new_content": STABLE, "m.relates_to": relation} | STABLE, type="m.poll.start")
    assert isinstance(edited, Edited)
    assert edited.text.startswith("Poll: Which wall?")


@pytest.mark.parametrize("kind", sorted(forms.POLL_VOTES))
def test_votes_are_nothing(kind: str) -> None:
    relation = {"m.relates_to": {"rel_type": "m.reference", "event_id": "$poll"}}
    assert heard(relation, type=kind) == Ignored("a vote, or the end of a poll")


def test_a_sticker_is_a_picture() -> None:
    info = {"mimetype": "image/png", "w": 140, "h": 200, "size": 73602}
    said = heard({"body": "Landing", "url": "mxc://hs.test/abc", "info": info}, type="m.sticker")
    assert said == Message("", media=Media("mxc://hs.test/abc", "Landing", "image/png", 73602))


def test_a_voice_message_is_a_sound() -> None:
    voice = {
        "msgtype": "m.audio",
        "body": "Voice message",
        "url": "mxc://hs.test/abc",
        "info": {"mimetype": "audio/ogg"},
    }
    said = message(voice | {"org.matrix.msc3245.voice": {}, "org.matrix.msc1767.audio": {"duration": 900}})
    assert (said.text, said.media) == ("", Media("mxc://hs.test/abc", "Voice message", "audio/ogg"))


def test_a_kind_of_message_that_we_do_not_know_is_its_words() -> None:
    assert message({"msgtype": "org.example.haiku", "body": "low tide"}).text == "low tide"


def test_an_extensible_message_without_a_body_has_a_fallback() -> None:
    said = heard({"msgtype": "m.text", "m.text": [{"body": "low tide"}]})
    assert isinstance(said, Message)
    assert said.text == "low tide"


def test_words_do_not_give_away_what_is_hidden() -> None:
    said = message(
        {
            "body": "It was the crab",
            "format": "org.matrix.custom.html",
            "formatted_body": "It was <span data-mx-spoiler>the crab</span>",
        }
    )
    assert said.text == ""
    assert said.html == "It was <details><summary>Spoiler</summary>the crab</details>"


def test_an_address_of_a_homeserver_is_not_in_the_words_either() -> None:
    said = message(
        {
            "body": "Look: ![limpet](mxc://hs.test/abc)",
            "format": "org.matrix.custom.html",
            "formatted_body": 'Look: <img src="mxc://hs.test/abc" alt="limpet">',
        }
    )
    assert said.text == "Look: ![limpet](limpet)"


fields = st.dictionaries(
    st.sampled_from(
        [
            *("msgtype", "body", "geo_uri", "m.poll", "m.text", "org.matrix.msc1767.text", "url", "info", "filename"),
            *(
                "org.matrix.msc3381.poll.start",
                "format",
                "formatted_body",
                "m.mentions",
                "m.relates_to",
                "m.new_content",
            ),
        ]
    ),
    json_values
    | st.sampled_from(
        ["m.location", "m.image", "geo:1,2", "mxc://a/b", STABLE, STABLE["m.poll"], "org.matrix.custom.html"]
    ),
)


@settings(deadline=None)
@given(st.sampled_from(["m.room.message", "m.sticker", *forms.POLLS]), fields, json_values)
def test_any_json_in_any_of_them_is_something_or_malformed(kind: str, content: Any, unsigned: Any) -> None:
    event = {"type": kind, "sender": "@bruno:hs.test", "content": content, "unsigned": unsigned}
    with contextlib.suppress(Malformed):
        parse.parse(event, "hs.test")
    with contextlib.suppress(Malformed):
        parse.current(event)
