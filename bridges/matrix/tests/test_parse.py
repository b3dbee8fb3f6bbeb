"""Events as clients send them, and events as nobody should."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.matrix import names, parse
from bridges.matrix.markup import clean, from_matrix, without_fallback
from bridges.matrix.parse import Ignored, Malformed, Media, Member, Message

USER = "@bruno:hs.test"


def heard(content: dict[str, Any], **changes: Any) -> parse.Heard:
    event = {"type": "m.room.message", "sender": USER, "room_id": "!r", "event_id": "$e", "content": content} | changes
    return parse.parse(event, "hs.test")


def message(content: dict[str, Any]) -> Message:
    found = heard({"msgtype": "m.text", "body": "Yes"} | content)
    assert isinstance(found, Message)
    return found


def test_a_thread_message_answers_its_nearest_event_and_then_the_root() -> None:
    relation = {
        "rel_type": "m.thread",
        "event_id": "$root",
        "is_falling_back": True,
        "m.in_reply_to": {"event_id": "$last"},
    }
    said = message({"m.relates_to": relation})
    assert (said.answers, said.thread) == (("$last", "$root"), "$root")


def test_a_thread_message_without_fallback_answers_the_root() -> None:
    assert message({"m.relates_to": {"rel_type": "m.thread", "event_id": "$root"}}).answers == ("$root",)


def test_a_rich_reply_answers_its_event_and_loses_the_quotation_before_it() -> None:
    said = message(
        {
            "body": "> <@ana:hs.test> Where?\n> And when?\n\nOn the north wall",
            "format": "org.matrix.custom.html",
            "formatted_body": "<mx-reply><blockquote>In reply to…</blockquote></mx-reply>On the <b>north</b> wall",
            "m.relates_to": {"m.in_reply_to": {"event_id": "$asked"}},
        }
    )
    assert (said.answers, said.thread) == (("$asked",), None)
    assert (said.text, said.html) == ("On the north wall", "On the <b>north</b> wall")


def test_a_quotation_that_answers_nothing_is_the_author_s_own() -> None:
    assert message({"body": "> <@ana:hs.test> Where?\n\nI wonder"}).text.startswith("> <@ana")


IMPLAUSIBLE = [
    *("", "$", "event", "$a\0b", "$a\ud800", "$é", "$a b", "$a\n", "$" + "x" * 255, "$" + "x" * 50_000),
    *(7, None, ["$a"], {"$a": 1}),
]


@pytest.mark.parametrize("bad", IMPLAUSIBLE)
def test_what_cannot_be_an_event_s_id_relates_to_nothing(bad: object) -> None:
    assert message({"m.relates_to": {"m.in_reply_to": {"event_id": bad}}}).answers == ()
    threaded = message({"m.relates_to": {"rel_type": "m.thread", "event_id": bad, "m.in_reply_to": {"event_id": "$a"}}})
    assert (threaded.answers, threaded.thread) == (("$a",), None)
    for rel_type, kind in (("m.replace", "m.room.message"), ("m.annotation", "m.reaction")):
        relation = {"rel_type": rel_type, "event_id": bad, "key": "x"}
        with pytest.raises(Malformed):
            heard(
                {"msgtype": "m.text", "body": "x", "m.new_content": {"body": "y"}, "m.relates_to": relation}, type=kind
            )
    with pytest.raises(Malformed):
        heard({"redacts": bad}, type="m.room.redaction")


def test_the_longest_id_is_still_one() -> None:
    longest = "$" + "x" * 254
    assert message({"m.relates_to": {"m.in_reply_to": {"event_id": longest}}}).answers == (longest,)


def test_no_nul_and_no_lone_surrogate_goes_on() -> None:
    bad = "a\0\ud800b"
    said = message({"body": bad, "format": "org.matrix.custom.html", "formatted_body": f"<b>{bad}&#0;</b>"})
    file = message(
        {"msgtype": "m.file", "body": bad, "filename": bad + "c", "url": "mxc://hs.test/abc", "info": {"mimetype": bad}}
    )
    edit = heard(
        {"body": "", "m.new_content": {"body": bad}, "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}}
    )
    sign = heard({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$e", "key": bad}}, type="m.reaction")
    came = heard({"membership": "join", "displayname": bad}, type="m.room.member", state_key=USER)
    assert isinstance(edit, parse.Edited)
    assert isinstance(sign, parse.Reacted)
    assert isinstance(came, Member)
    assert file.media is not None
    for text in (
        said.text,
        said.html or "",
        file.text,
        file.media.filename,
        file.media.media_type,
        edit.text,
        sign.key,
        came.name,
    ):
        assert text
        assert "\0" not in text
        text.encode()


def test_a_sign_of_nothing_but_nul_is_none() -> None:
    assert isinstance(
        heard({"m.relates_to": {"rel_type": "m.annotation", "event_id": "$e", "key": "\0"}}, type="m.reaction"), Ignored
    )


def test_room_level_words_answer_nothing() -> None:
    assert message({}).answers == ()


def test_a_file_without_a_name_of_its_own_has_no_caption() -> None:
    said = message(
        {"msgtype": "m.image", "body": "limpet.png", "url": "mxc://hs.test/abc", "info": {"mimetype": "image/png"}}
    )
    assert (said.text, said.media) == ("", Media("mxc://hs.test/abc", "limpet.png", "image/png"))


def test_a_file_with_a_name_has_its_body_as_caption() -> None:
    file = {"msgtype": "m.file", "filename": "counts.csv", "url": "mxc://hs.test/abc", "info": "no object"}
    said = message({"body": "All counts", **file})
    assert (said.text, said.media) == (
        "All counts",
        Media("mxc://hs.test/abc", "counts.csv", "application/octet-stream"),
    )
    assert message({"body": "counts.csv", **file}).text == ""


@pytest.mark.parametrize(
    "url",
    [
        *(None, 7, "", "https://hs.test/abc", "mxc:/hs.test/abc", "MXC://hs.test/abc", "mxc:///abc", "mxc://hs.test"),
        *("mxc://hs.test/", "mxc://hs.test/../x", "mxc://hs.test/a/b", "mxc://hs.test/a%2Fb", "mxc://hs.test/a?b"),
        *("mxc://hs.test/a#b", "mxc://hs.test/ä", "mxc://hs.test/a b", "mxc://us@hs.test/a", "mxc://hs.test:/a"),
        *("mxc://hs.test:123456/a", "mxc://hs.test:x/a", "mxc://[hs.test]/a", "mxc://[::1/a", "mxc://hs_test/a"),
        *("mxc://hs.test:80:80/a", "mxc://[]/a", "mxc://hs.test/a\n", "mxc://hs.test/a\0"),
    ],
)
def test_a_file_s_address_is_checked_before_anybody_asks_for_it(url: object) -> None:
    with pytest.raises(Malformed):
        heard({"msgtype": "m.file", "body": "x", "url": url})


@pytest.mark.parametrize(
    "url", ["mxc://hs.test/aB3_-", "mxc://hs.test:8448/a", "mxc://[2001:db8::1]:80/a", "mxc://10.0.0.1/a"]
)
def test_a_well_formed_address_of_a_file_is_taken(url: str) -> None:
    assert message({"msgtype": "m.file", "body": "x", "url": url}).media == Media(url, "x", "application/octet-stream")


def test_an_edit_that_leaves_no_words_changes_none() -> None:
    fresh = {"msgtype": "m.image", "body": "limpet.png", "url": "mxc://hs.test/abc"}
    edit = {"m.new_content": fresh, "m.relates_to": {"rel_type": "m.replace", "event_id": "$e"}}
    assert heard({"msgtype": "m.image", "body": "x"} | edit) == Ignored("an edit without words")


def test_a_mention_shows_the_name_and_not_the_address() -> None:
    html = '<a href="https://matrix.to/#/@ana:hs.test">Ana</a>, see <a href="https://example.org/x">this</a>'
    assert from_matrix(html).html == 'Ana, see <a href="https://example.org/x">this</a>'


def test_the_fallback_of_a_huge_quotation_is_removed_in_reasonable_time() -> None:
    assert without_fallback("> <@a:b> x\n" + "> y\n" * 100 + "\nnew") == "new"
    assert without_fallback("> <@a:b> " + "> " * 500_000).startswith("")


def test_text_loses_what_no_database_can_hold() -> None:
    assert clean("a\0b\ud800c🐚") == "ab\ufffdc🐚"


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        ({"body": "x"}, {}),
        ({"msgtype": "m.text", "body": 7}, {}),
        ({"msgtype": "m.text"}, {}),
        ({"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": "m.replace"}, "m.new_content": {}}, {}),
        ({}, {"type": "m.room.redaction"}),
        ({"msgtype": "m.text", "body": "x"}, {"sender": "bruno"}),
        ({"membership": "join"}, {"type": "m.room.member", "state_key": "x"}),
    ],
)
def test_contradictions_are_malformed(content: dict[str, Any], changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        heard(content, **changes)


def test_our_own_voice_is_told_by_its_sender() -> None:
    words = {"msgtype": "m.text", "body": "x"}
    assert heard(words, sender="@_junto_kq3ana7rw2:hs.test") == Ignored("our own")
    assert heard(words, sender="@_junto_kq3ana7rw2:other.test") == Ignored("another bridge")


def test_a_message_that_was_redacted_before_we_saw_it_is_nothing() -> None:
    assert isinstance(heard({}), Ignored)


def test_a_kick_is_leaving_and_a_ghost_s_membership_is_nothing() -> None:
    kicked = heard(
        {"membership": "leave"},
        type="m.room.member",
        sender="@mod:hs.test",
        state_key=USER,
        unsigned={"prev_content": {"membership": "join"}},
    )
    assert isinstance(kicked, Member)
    assert (kicked.user, kicked.went) == (USER, True)
    ghost = heard({"membership": "join"}, type="m.room.member", state_key="@_junto_x:hs.test")
    assert isinstance(ghost, Ignored)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
contents = st.dictionaries(
    st.sampled_from(
        [
            "msgtype",
            "body",
            "format",
            "formatted_body",
            "url",
            "filename",
            "info",
            "m.relates_to",
            "m.new_content",
            "redacts",
        ]
    ),
    json_values | st.sampled_from(["m.text", "m.image", "org.matrix.custom.html", "mxc://hs.test/abc"]),
)


@given(
    st.sampled_from(["m.room.message", "m.reaction", "m.room.redaction", "m.room.member", "m.room.encrypted", "x"]),
    contents | json_values,
    json_values | st.just(USER),
)
def test_any_json_is_something_or_malformed_and_nothing_else(kind: str, content: object, key: object) -> None:
    event: dict[str, Any] = {"type": kind, "sender": USER, "content": content, "state_key": key}
    with contextlib.suppress(Malformed):
        parse.parse(event, "hs.test")
    event.pop("state_key")
    with contextlib.suppress(Malformed):
        parse.parse(event, "hs.test")


@pytest.mark.parametrize(
    ("user", "foreign"),
    [
        ("@telegram_123456789:hs.test", True),
        ("@signal_0f8fad5b-d9cb-469f-a165-70867728950e:hs.test", True),
        ("@_slack_team_u1:hs.test", True),
        ("@discord_fan:hs.test", False),
        ("@ana:hs.test", False),
        ("@signal_decade:hs.test", False),
    ],
)
def test_ghosts_of_other_bridges_are_told_by_their_names(user: str, foreign: bool) -> None:
    assert names.is_foreign_ghost(user) is foreign


@given(st.text(max_size=300))
def test_the_id_of_a_ghost_is_always_well_formed(key: str) -> None:
    user = names.local_user(key, "hs.test")
    assert names.is_ours(user, "hs.test")
    assert len(user.encode()) <= names.MAX_ID_BYTES
