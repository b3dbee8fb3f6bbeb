"""The words of a mail: what other list programs taught people is understood, and prose is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email import commands
from bridges.email.commands import UNKNOWN, found, habit, read

WORDS: dict[str, tuple[str, ...]] = {
    "help": ("help",),
    "Help.": ("help",),
    "info tides": ("help",),
    "who am i?": ("whoami",),
    "who am I": ("whoami",),
    "who tides": ("whoami",),
    "WHICH": ("whoami",),
    "join": ("join",),
    "join daily": ("join", "daily"),
    "subscribe": ("join",),
    "subscribe tides": ("join",),
    "subscribe tides ana@members.test": ("join",),
    "SUBSCRIBE tides Ana Mariño": ("join",),
    "subscribe secret digest address=ana@members.test": ("join", "daily"),
    "please unsubscribe": ("leave",),
    "unsubscribe tides@lists.test": ("leave",),
    "signoff tides": ("leave",),
    "leave": ("leave",),
    "STOP": ("leave",),
    "delivery weekly": ("delivery", "weekly"),
    "delivery fortnightly": ("delivery", "fortnightly"),
    "mode topics": ("delivery", "topics"),
    "set delivery off": ("delivery", "none"),
    "set digest": ("delivery", "daily"),
    "set digest weekly": ("delivery", "weekly"),
    "set tides nomail": ("delivery", "none"),
    "nodigest": ("delivery", "each"),
    "conversations digest": ("conversations", "digest"),
    "mute": ("mute",),
    "mute 12": ("mute", "12"),
    "unmute #12": ("unmute", "12"),
    "follow tides/12": ("follow", "12"),
    "hide my address": ("hide",),
    "set hide off": ("show",),
    "new private address": ("renew",),
    "show my address": ("show",),
    "name Ana Mariño": ("name", "Ana Mariño"),
    "name Ana R.": ("name", "Ana R."),
    'name "Ana R.",': ("name", "Ana R."),
    "timezone Europe/Lisbon": ("timezone", "Europe/Lisbon"),
    "language pt-BR": ("language", "pt-BR"),
    "addressed direct": ("addressed", "direct"),
    "set duplicates off": ("addressed", "direct"),
    "own posts yes": ("own-posts", "yes"),
    "set myposts off": ("own-posts", "no"),
    "digest hour 8": ("digest-hour", "8"),
    "digest-day friday": ("digest-day", "friday"),
    "delete 12": ("delete", "12"),
    "resume": ("resume",),
}
PROSE = [
    "",
    "help me to find the key",
    "join the club",
    "leave it alone, please",
    "who wants tea?",
    "which of the two?",
    "mute swans are large",
    "delete everything",
    "delivery is late again",
    "I want to unsubscribe",
    "name",
    "delete",
]


@pytest.mark.parametrize("line", WORDS)
def test_a_word_is_understood(line: str) -> None:
    assert read(line, "tides") == WORDS[line]
    assert found(line, "", "tides") == (WORDS[line],)


@pytest.mark.parametrize("line", PROSE)
def test_prose_is_no_command(line: str) -> None:
    assert read(line, "tides") is None


def test_subject_and_first_lines_are_read_and_each_command_counts_once() -> None:
    assert found("join", "join\ndelivery daily\n\nBest,\nAna\n", "tides") == (("join",), ("delivery", "daily"))
    assert found("Re: help", "Hello,\n\nmute\n-- \nleave\n", "tides") == (("mute",),)
    assert found("", "mute 3\n\nSent from my pocket\n", "tides") == (("mute", "3"),)


def test_what_a_mail_program_quotes_is_not_said() -> None:
    above = "On Mon, Ana wrote:\n> leave\n> delivery none\n\nmute\n"
    assert found("Re: Limpets", above, "tides") == (("mute",),)
    below = "mute\n\nOn Mon, Ana <ana@members.test>\nwrote:\n> leave\n"
    assert found("Re: Limpets", below, "tides") == (("mute",),)
    assert found("", "mute\n\n-----Original Message-----\nleave\n", "tides") == (("mute",),)


def test_what_follows_and_is_not_understood_is_said_so() -> None:
    assert found("", "delivery daily\nmoot 12\nhide\n", "tides") == (("delivery", "daily"), (*UNKNOWN, "moot 12"))
    assert found("", "delivery daily\nend\nhide\n", "tides") == (("delivery", "daily"),)
    assert found("", "delivery daily\n\nThank you for all this.\n", "tides") == (("delivery", "daily"),)


def test_a_letter_is_no_command_wherever_the_word_stands() -> None:
    assert found("Tides", "Dear all,\nI was\nat sea\nlong ago.\nleave\n", "tides") == ()


def test_there_is_a_limit() -> None:
    lines = "\n".join(f"mute {n}" for n in range(1, 1_000))
    assert len(found("", lines, "tides")) == commands.COMMANDS


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("unsubscribe", ""),
        ("Unsubscribe", "Please take me off this list.\nThanks\n"),
        ("Re: Limpets", "unsubscribe\n"),
        ("Re: Limpets", "Unsubscribe me please.\n\nSent from my phone\n"),
        ("Re: Limpets", "unsubscribe tides\n\nOn Mon, Ana wrote:\n> How do they stick?\n"),
        ("Re: unsubscribe", ""),
        ("", "signoff tides\n-- \nAna\n"),
    ],
)
def test_a_habit_is_seen(subject: str, text: str) -> None:
    assert habit(subject, text, "tides") == ("leave",)


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("How to unsubscribe from fish markets", "unsubscribe\nis what they call it\n"),
        ("unsubscribe", "The button is too small. " * 20),
        ("Limpets", "I would never unsubscribe.\n"),
        ("help", ""),
        ("Limpets", ""),
        ("leave", "the stones where they are\n"),
    ],
)
def test_a_post_is_no_habit(subject: str, text: str) -> None:
    assert habit(subject, text, "tides") is None


@given(st.text(max_size=200), st.text(max_size=2_000))
def test_any_text_is_read(subject: str, text: str) -> None:
    for command in found(subject, text, "tides"):
        assert all(isinstance(word, str) and word for word in command)
    habit(subject, text, "tides")
