"""The words of a command in a room or a direct message: found, and put into the server's own. Pure.

In a room a command begins with `!junto`; what the words mean, and who may say them, is the server's. A subject is what `topic` gives.
"""

from __future__ import annotations

from collections.abc import Mapping

from server.limits import whole_number

PREFIX = "!junto"
LINE_WORDS = 30
WORD_CHARS = 320
REPORT = "report"  # in a room, in answer to what is meant
HERE = ("confirm", "yes")  # verbs that the bridge itself understands
_AROUND = ".,;:!?\"'"

_PHRASES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("help", "?", "commands"), ("help",)),
    **dict.fromkeys(("who", "whoami", "who am i", "me"), ("whoami",)),
    **dict.fromkeys(("trace", "where"), ("trace",)),
    **dict.fromkeys(("join", "subscribe"), ("join",)),
    **dict.fromkeys(("leave", "unsubscribe"), ("leave",)),
    **dict.fromkeys(("delivery", "mail"), ("delivery",)),
    **dict.fromkeys(("digest", "digests"), ("digest",)),
    **dict.fromkeys(("hide my address", "hide address", "hide"), ("hide",)),
    **dict.fromkeys(("show my address", "show address", "show"), ("show",)),
    **dict.fromkeys(("own posts", "own-posts"), ("own-posts",)),
    **{
        verb: (verb,)
        for verb in ("mute", "unmute", "follow", "unfollow", "conversations", "name", "timezone", "language")
    },
    **{verb: (verb,) for verb in ("addressed", "delete", "resume", "link", *HERE)},
    "new private address": ("renew",),
}
_ALONE = frozenset(("help", "whoami", "leave", "hide", "show", "resume", "renew", "yes"))
_ONE_WORD = frozenset(
    ("delivery", "conversations", "timezone", "language", "addressed", "own-posts", "link", "confirm")
)
_NUMBERED = frozenset(("trace", "mute", "unmute", "follow", "unfollow", "delete"))


def spoken(text: str) -> list[str] | None:
    """The words after `!junto` on a message's first line; None if it is no command."""
    line = text.lstrip().partition("\n")[0]
    first, *words = line.split(maxsplit=LINE_WORDS)[:LINE_WORDS] or [""]
    return [word[:WORD_CHARS] for word in words] if first.lower() == PREFIX else None


def bare(text: str) -> list[str]:
    """The words of a direct message, where the prefix may stand and need not."""
    words = spoken(text)
    return [word[:WORD_CHARS] for word in text.split(maxsplit=LINE_WORDS)[:LINE_WORDS]] if words is None else words


def topic(text: str) -> tuple[str, str] | None:
    """(subject, text) of `!junto topic SUBJECT`, with what follows in the lines below; None if it is none."""
    words = spoken(text)
    if not words or words[0].lower() != "topic" or len(words) == 1:
        return None
    line, _newline, rest = text.lstrip().partition("\n")
    return line.split(maxsplit=2)[2].strip(), rest.strip()


def understood(words: list[str], answers: bool = False) -> tuple[str, ...] | None:
    """The one command of the words, a verb of the server's or of `HERE` and its value; None if it is none.

    `answers`: they were said in answer to a message, which `who` then means.
    """
    plain = [word.strip(_AROUND).lower() or word for word in words]
    for count in (3, 2, 1):
        base = _PHRASES.get(" ".join(plain[:count])) if len(plain) >= count else None
        if base is not None:
            return _filled(base, words[count:], plain[count:], answers)
    return ("help",) if not words else None


def _filled(base: tuple[str, ...], rest: list[str], low: list[str], answers: bool) -> tuple[str, ...] | None:
    verb = base[0]
    if verb == "whoami" and (answers or rest):
        return ("who", low[0].lstrip("#")) if rest else ("who",)
    if verb == "digest":
        return _digest(low)
    if verb == "name":
        return ("name", " ".join(rest)) if rest else None
    if verb in _NUMBERED:
        return (verb, low[0].rpartition("/")[2].lstrip("#")) if low else (verb,)
    if verb in _ONE_WORD:
        return (verb, rest[0] if verb in ("link", "confirm", "timezone") else low[0]) if len(rest) == 1 else None
    if verb == "join":
        return ("join", *low[:1])
    return base if not rest or verb not in _ALONE else None


def _digest(low: list[str]) -> tuple[str, ...] | None:
    if len(low) != 1:
        return ("delivery", "daily") if not low else None
    value = low[0]
    if value in ("daily", "weekly"):
        return ("delivery", value)
    if value in ("off", "none"):
        return ("delivery", "each")
    if whole_number(value.removesuffix(":00")) is not None:
        return ("digest-hour", value.removesuffix(":00"))
    return ("digest-day", value)
