"""The options of a forum by the names that people set them with, each with its help and how its text is read. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from server import limits
from server.errors import CommandError
from server.i18n import _
from server.values import one_of, whole, yes_or_no

Value = str | int | bool
PREFIX_CHARS = 40
FOOTER_CHARS = 1_000
LONGEST_SETTLE_S = 24 * 60 * 60
SMALLEST_POST = 1024
MOST_RECIPIENTS = 500
WORDS, WORD_CHARS = 100, 320


@dataclass(frozen=True, slots=True)
class Option:
    """`read(key, text)` answers the column's value, or raises CommandError with what is allowed."""

    column: str
    help: str
    read: Callable[[str, str], Value]


def _line(key: str, text: str) -> str:
    plain = text.strip()
    if not plain or len(plain) > limits.NAME_CHARS or any(ord(c) < 32 for c in plain):
        raise CommandError(
            _("{key} must be one line of at most {longest} characters.").format(key=key, longest=limits.NAME_CHARS)
        )
    return plain


def _words(key: str, text: str) -> str:
    """Words by spaces or commas, in lower case; none: "-" or nothing."""
    words = text.replace(",", " ").lower().split()
    if any(len(word) > WORD_CHARS or not word.isprintable() for word in words) or len(words) > WORDS:
        raise CommandError(
            _("{key} is at most {most} words of at most {longest} letters, with spaces between.").format(
                key=key, most=WORDS, longest=WORD_CHARS
            )
        )
    return " ".join(words) if words != ["-"] else ""


def _prefix(key: str, text: str) -> str:
    """One short line; none: "-" or nothing."""
    plain = text.strip()
    if plain in ("", "-"):
        return ""
    if len(plain) > PREFIX_CHARS or not plain.isprintable():
        raise CommandError(_("{key} is one line of at most {most} letters.").format(key=key, most=PREFIX_CHARS))
    return plain


def _footer(key: str, text: str) -> str:
    """A few lines; none: "-" or nothing."""
    lines = [line.rstrip() for line in text.strip().splitlines()]
    plain = "\n".join(lines)
    if plain in ("", "-"):
        return ""
    if len(plain) > FOOTER_CHARS or not all(line.isprintable() for line in lines):
        raise CommandError(_("{key} is a text of at most {most} letters.").format(key=key, most=FOOTER_CHARS))
    return plain


OPTIONS: dict[str, Option] = {
    "title": Option("title", "the name that people read", _line),
    "visibility": Option("visibility", "who may read: public or members", one_of("public", "members")),
    "join": Option(
        "join_policy",
        "how one becomes a member: open, approval (who asks waits until a moderator lets them in) or invite",
        one_of("open", "approval", "invite"),
    ),
    "post": Option(
        "post_policy", "who may post: members, anyone or moderators", one_of("members", "anyone", "moderators")
    ),
    "settle": Option(
        "settle_ms",
        "seconds in which a post from room or web may still be mended before it is mailed",
        whole(0, LONGEST_SETTLE_S, 1000),
    ),
    "room_messages": Option(
        "room_messages",
        "what is said in the room outside of threads: conversation (its opener is mailed, the rest once at its end), topics "
        "(each is a topic) or threads-only (it stays in the room and the archive)",
        one_of("conversation", "topics", "threads-only"),
    ),
    "replies": Option(
        "plain_replies", "answers in the room are plain replies, for members whose programs show no threads", yes_or_no
    ),
    "reply_to": Option("reply_to", "where a plain reply by mail goes: list or author", one_of("list", "author")),
    "hide_addresses": Option("hide_addresses", "no member's own address is on any copy of what they write", yes_or_no),
    "subject_prefix": Option(
        "subject_prefix",
        "stands before the subject of every mail, such as “[pools]”; it breaks the author's signature; “-”: none",
        _prefix,
    ),
    "footer": Option(
        "footer",
        "a text below every mail, but those that are signed or encrypted; it breaks the author's signature; “-”: none",
        _footer,
    ),
    "max_size": Option("max_size", "bytes that a post may have at most", whole(SMALLEST_POST, limits.MESSAGE_BYTES)),
    "max_recipients": Option(
        "max_recipients", "addresses that To and Cc of a post may name; 0: any number", whole(0, MOST_RECIPIENTS)
    ),
    "refused_types": Option(
        "refused_types", "files that are refused: media types and endings, such as “image/* exe”; “-”: none", _words
    ),
    "proof": Option(
        "proof_policy",
        "a mail that nothing shows to be its author's: usual (their domain decides: refused, held or posted), "
        "strict (held where nothing proves it) or lax (posted)",
        one_of("usual", "strict", "lax"),
    ),
    "strangers": Option(
        "strangers",
        "what becomes of a post by somebody who is no member: confirm (where anybody may join, their answer to a mail "
        "joins and publishes; else refused), hold (a moderator decides) or refuse",
        one_of("confirm", "hold", "refuse"),
    ),
    "first_post": Option(
        "first_post", "an author's first post here: post, or hold for a moderator", one_of("post", "hold")
    ),
    "hold_all": Option("hold_all", "an emergency: every post waits for a moderator", yes_or_no),
    "machines": Option(
        "machines", "addresses of machines that may post, with proof (announcers, other lists); “-”: none", _words
    ),
    "link_over": Option(
        "link_over",
        "bytes of an attachment, above which mail has a link in its place; 0: never",
        whole(0, limits.MESSAGE_BYTES),
    ),
}
"""Every option by its public name. `federate` is chosen when a forum is made and never after: rooms cannot change it."""
