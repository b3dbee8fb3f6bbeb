"""The options of a forum by the names that people set them with, each with its help, its default and how its text is read. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server import limits
from server.errors import CommandError
from server.i18n import _

Value = str | int | bool
LONGEST_SETTLE_S = 24 * 60 * 60
SMALLEST_POST = 1024


@dataclass(frozen=True, slots=True)
class Option:
    """`read(key, text)` answers the column's value, or raises CommandError with what is allowed."""

    column: str
    help: str
    default: str
    read: Callable[[str, str], Value]


def one_of(*words: str) -> Callable[[str, str], str]:
    """Reads one of the words; what it answers raises CommandError."""

    def read(key: str, text: str) -> str:
        if text not in words:
            raise CommandError(
                _("{key} cannot be “{text}”: it is one of {words}.").format(key=key, text=text, words=", ".join(words))
            )
        return text

    return read


def yes_or_no(key: str, text: str) -> bool:
    """Reads yes or no. Raises CommandError."""
    word = text.strip().lower()
    if word not in ("yes", "no", "true", "false", "on", "off"):
        raise CommandError(_("{key} cannot be “{text}”: say yes or no.").format(key=key, text=text))
    return word in ("yes", "true", "on")


def _whole(least: int, most: int, factor: int = 1) -> Callable[[str, str], int]:
    def read(key: str, text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
        if not least <= number <= most:
            raise CommandError(
                _("{key} cannot be “{text}”: it is a whole number from {least} to {most}.").format(
                    key=key, text=text, least=least, most=most
                )
            )
        return number * factor

    return read


def _line(longest: int, empty: bool = True) -> Callable[[str, str], str]:
    def read(key: str, text: str) -> str:
        plain = text.strip()
        if len(plain) > longest or any(ord(c) < 32 for c in plain) or not (plain or empty):
            raise CommandError(
                _("{key} must be one line of at most {longest} characters.").format(key=key, longest=longest)
            )
        return plain

    return read


def _text(key: str, text: str) -> str:
    if len(text) > 2_000:
        raise CommandError(_("{key} must be at most {longest} characters.").format(key=key, longest=2_000))
    return text.strip()


OPTIONS: dict[str, Option] = {
    "title": Option("title", "the name that people read", "the slug", _line(limits.NAME_CHARS, empty=False)),
    "visibility": Option("visibility", "who may read: public or members", "public", one_of("public", "members")),
    "join": Option(
        "join_policy",
        "how one becomes a member: open, approval or invite",
        "open",
        one_of("open", "approval", "invite"),
    ),
    "post": Option(
        "post_policy",
        "who may post: members, anyone or moderators",
        "members",
        one_of("members", "anyone", "moderators"),
    ),
    "settle": Option(
        "settle_ms",
        "seconds in which a post from room or web may still be mended before it is mailed",
        "120",
        _whole(0, LONGEST_SETTLE_S, 1000),
    ),
    "room_messages": Option(
        "room_messages",
        "what a message outside of a thread is: conversation, topics or threads-only",
        "conversation",
        one_of("conversation", "topics", "threads-only"),
    ),
    "reply_to": Option(
        "reply_to", "where a plain reply by mail goes: list or author", "list", one_of("list", "author")
    ),
    "hide_addresses": Option("hide_addresses", "yes: no member's address is shown in mail", "no", yes_or_no),
    "subject_prefix": Option("subject_prefix", "put before the subject of generated mail", "", _line(40)),
    "footer": Option("footer", "put under generated mail", "", _text),
    "max_size": Option(
        "max_size",
        "bytes that a post may have at most",
        str(limits.MESSAGE_BYTES),
        _whole(SMALLEST_POST, limits.MESSAGE_BYTES),
    ),
}
"""Every option by its public name. `federate` is chosen when a forum is made and never after: rooms cannot change it."""
