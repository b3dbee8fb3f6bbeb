"""Which words of a message are a command, and what they mean."""

from __future__ import annotations

import pytest

from bridges.matrix import commands


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("!junto help", ("help",)),
        ("!junto", ("help",)),
        ("!JUNTO Mute 12", ("mute", "12")),
        ("!junto mute pools/12", ("mute", "12")),
        ("!junto mute", ("mute",)),
        ("!junto delivery Daily", ("delivery", "daily")),
        ("!junto digest weekly", ("delivery", "weekly")),
        ("!junto digest off", ("delivery", "each")),
        ("!junto digest 18", ("digest-hour", "18")),
        ("!junto digest 18:00", ("digest-hour", "18")),
        ("!junto digest friday", ("digest-day", "friday")),
        ("!junto conversations digest", ("conversations", "digest")),
        ("!junto link Ana@Example.org", ("link", "Ana@Example.org")),
        ("!junto who", ("whoami",)),
        ("!junto who am I?", ("whoami",)),
        ("!junto who 12", ("who", "12")),
        ("!junto trace #3", ("trace", "3")),
        ("!junto name Ana Ferreira", ("name", "Ana Ferreira")),
        ("!junto new private address", ("renew",)),
        ("!junto confirm abc", ("confirm", "abc")),
        ("!junto hide my address", ("hide",)),
        ("!junto dance", None),
        ("!junto link", None),
        ("!junto delivery daily please now", None),
        ("  !junto join daily\nand more", ("join", "daily")),
    ],
)
def test_what_a_command_means(text: str, expected: tuple[str, ...] | None) -> None:
    words = commands.spoken(text)
    assert words is not None
    assert commands.understood(words) == expected


@pytest.mark.parametrize(
    "text", ["hello", "", "\n", "I say !junto help", "!juntos help", "> !junto help", "junto help"]
)
def test_what_is_no_command(text: str) -> None:
    assert commands.spoken(text) is None


def test_who_in_answer_to_a_message_means_its_author() -> None:
    assert commands.understood(["who"], answers=True) == ("who",)
    assert commands.understood(["who"]) == ("whoami",)


def test_in_a_direct_message_the_prefix_may_be_left_out() -> None:
    assert commands.bare("mute 12") == commands.bare("!junto mute 12") == ["mute", "12"]


def test_a_topic_has_a_subject_and_a_text() -> None:
    assert commands.topic("!junto topic Low  tide at ten\nWho comes?\n\nAna") == (
        "Low  tide at ten",
        "Who comes?\n\nAna",
    )
    assert commands.topic("!junto topic Low tide") == ("Low tide", "")
    assert commands.topic("!junto topic") is None
    assert commands.topic("topic Low tide") is None


def test_a_long_message_is_read_no_further_than_its_first_words() -> None:
    assert len(commands.spoken("!junto " + "a " * 100_000) or []) < commands.LINE_WORDS
    assert commands.understood(commands.bare("x" * 1_000_000)) is None
