"""The words of a mail that asks a forum for something: found, and put into the server's own. Pure.

People write what they know from other list programs ("subscribe", "set digest", "signoff"), in the subject, in the first lines, or
both. What reads as prose is no command. What a word means, and who may say it, is the server's; nothing here is a regular expression.
"""

from __future__ import annotations

from collections.abc import Mapping

from server import subjects
from server.bridge import MODES

READ_CHARS = 20_000  # of a text
READ_LINES = 400
COMMANDS = 20  # of one mail
SKIPPED = 3  # lines before the first command: a greeting, what a mail program writes above a quote
LINE_WORDS = 30
NAME_WORDS = 8
PROSE_CHARS = 200  # a mail to everybody with more words than this is meant for everybody
UNKNOWN = ("unknown",)
LINE_SHOWN = 80  # of a line that was not understood, told back to who surely wrote it

_PHRASES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("help", "info", "commands", "?", "intro", "index", "lists"), ("help",)),
    **dict.fromkeys(("whoami", "who am i", "who-am-i", "who", "which", "status", "options", "query"), ("whoami",)),
    **dict.fromkeys(("join", "subscribe", "sub", "signon"), ("join",)),
    **dict.fromkeys(("leave", "unsubscribe", "unsub", "signoff", "remove me", "stop"), ("leave",)),
    **dict.fromkeys(("delivery", "deliver", "mode"), ("delivery",)),
    **dict.fromkeys(("digest", "digests"), ("delivery", "daily")),
    **dict.fromkeys(("mail", "nodigest"), ("delivery", "each")),
    "nomail": ("delivery", "none"),
    "conversations": ("conversations",),
    "mute": ("mute",),
    "unmute": ("unmute",),
    "follow": ("follow",),
    "unfollow": ("unfollow",),
    **dict.fromkeys(("hide my address", "hide address", "hide", "conceal"), ("hide",)),
    **dict.fromkeys(("show my address", "show address", "noconceal"), ("show",)),
    **dict.fromkeys(("new private address", "new address"), ("renew",)),
    **dict.fromkeys(("name", "my name is"), ("name",)),
    **dict.fromkeys(("timezone", "time zone", "time-zone"), ("timezone",)),
    **dict.fromkeys(("language", "lang"), ("language",)),
    **dict.fromkeys(("addressed", "duplicates"), ("addressed",)),
    **dict.fromkeys(("own posts", "own-posts", "own_posts", "myposts", "repro"), ("own-posts",)),
    "norepro": ("own-posts", "no"),
    **dict.fromkeys(("digest hour", "digest-hour", "digest_hour", "hour"), ("digest-hour",)),
    **dict.fromkeys(("digest day", "digest-day", "digest_day", "day"), ("digest-day",)),
    "delete": ("delete",),
    "resume": ("resume",),
    "trace": ("trace",),
    **dict.fromkeys(("link", "link with", "link to"), ("link",)),
}
_MEANS: Mapping[tuple[str, str], tuple[str, ...]] = {  # as other list programs say it
    ("delivery", "on"): ("delivery", "each"),
    ("delivery", "off"): ("delivery", "none"),
    ("delivery daily", "on"): ("delivery", "daily"),
    ("delivery daily", "off"): ("delivery", "each"),
    ("delivery daily", "daily"): ("delivery", "daily"),
    ("delivery daily", "weekly"): ("delivery", "weekly"),
    ("delivery daily", "plain"): ("delivery", "daily"),
    ("delivery daily", "mime"): ("delivery", "daily"),
    ("hide", "on"): ("hide",),
    ("hide", "off"): ("show",),
    ("addressed", "on"): ("addressed", "forum"),
    ("addressed", "off"): ("addressed", "direct"),
    ("own-posts", "on"): ("own-posts", "yes"),
    ("own-posts", "off"): ("own-posts", "no"),
    ("join", "digest"): ("join", "daily"),
    ("join", "nodigest"): ("join", "each"),
}
_ONE_WORD = frozenset(
    ("delivery", "conversations", "timezone", "language", "addressed", "own-posts", "digest-hour", "digest-day", "link")
)
_NUMBERED = frozenset(("mute", "unmute", "follow", "unfollow", "delete", "trace"))
_CLASSIC = frozenset(("subscribe", "sub", "signon", "unsubscribe", "unsub", "signoff"))
_HABITS = frozenset(("subscribe", "subscribe me", "unsubscribe", "unsubscribe me", "unsub", "signoff", "remove me"))
_ENDS = frozenset(("end", "quit", "exit", "stop"))
_BELOW = ("-----original message", "________")  # the other mail begins, as some programs quote it
_PHONES = ("sent from my ", "get outlook for ", "von meinem ", "envoyé de mon ", "enviado desde mi ", "inviato da ")
_POLITE = frozenset(("please", "thanks", "set"))
_AROUND_NAMES = ",;:!'\"*<> "
_MARKS = ".,;:!'\"*<>"


def found(subject: str, text: str, slug: str) -> tuple[tuple[str, ...], ...]:
    """The commands of a mail to the forum `slug`, each a verb of the server's and its words; UNKNOWN last where more was said."""
    commands = [] if subjects.is_marked(subject) else _listed(read(subject, slug))
    skipped = 0
    for paragraph in _paragraphs(text):
        for place, line in enumerate(paragraph):
            command = read(line, slug)
            if commands and (line.lower() in _ENDS or (command is None and not place)):
                return _once(commands)
            if command is None and commands:
                return _once([*commands, (*UNKNOWN, line[:LINE_SHOWN])])
            commands += _listed(command)
            skipped += not commands
            if skipped > SKIPPED:
                return ()
    return _once(commands)


def habit(subject: str, text: str, slug: str) -> tuple[str, ...] | None:
    """What a mail to everybody asks that is nothing but "unsubscribe" or the like, as its subject or as all its words; else None."""
    said = [line for paragraph in _paragraphs(text) for line in paragraph]
    if len(said) == 1 and _habitual(said[0], slug):
        return read(said[0], slug)
    bare = subjects.bare(subject)
    if sum(map(len, said)) <= PROSE_CHARS and _habitual(bare, slug):
        return read(bare, slug)
    return None


def read(line: str, slug: str) -> tuple[str, ...] | None:
    """The one command of a line, None if it is none."""
    said = _words(line, slug)
    plain = [word.strip(_MARKS + "?").lower() or word for word in said]
    for count in (3, 2, 1):
        base = _PHRASES.get(" ".join(plain[:count])) if len(plain) >= count else None
        if base is not None:
            rest = [word.strip(_MARKS) for word in said[count:]]
            if base[0] == "name":  # "Ana R." ends in a full stop that is hers
                rest = " ".join(said[count:]).strip(_AROUND_NAMES).split()
            return _filled(base, rest, plain[0] in _CLASSIC)
    return None


def _filled(base: tuple[str, ...], rest: list[str], classic: bool) -> tuple[str, ...] | None:
    """The command with the words after it, None where so many or such words make it prose."""
    verb, low = base[0], [word.lower() for word in rest]
    if (
        classic
    ):  # other programs want the list's name, an address or a password there; of those only the sender's own counts
        low = [word for word in low if word in MODES or ("join", word) in _MEANS][:1] if len(low) < COMMANDS else low
    if len(low) == 1 and (" ".join(base), low[0]) in _MEANS:
        return _MEANS[" ".join(base), low[0]]
    if verb == "name":
        return (verb, " ".join(rest)) if 0 < len(rest) <= NAME_WORDS else None
    if verb in _NUMBERED:
        number = low[0].rpartition("/")[2].lstrip("#") if low else ""
        if not low:
            return None if verb == "delete" else base
        return (verb, number) if len(low) == 1 and number.isascii() and number.isdigit() else None
    if len(base) == 1 and verb in _ONE_WORD:
        return (verb, rest[0]) if len(rest) == 1 else None
    if verb == "join" and len(low) == 1 and low[0] in MODES:
        return (verb, low[0])
    return None if low else base


def _words(line: str, slug: str) -> list[str]:
    """The words of a line without polite ones around it, and without the forum's own name."""
    words = line.split(maxsplit=LINE_WORDS)[:LINE_WORDS]
    first = 1
    while words and words[0].strip(_MARKS).lower() in _POLITE:
        first = 0 if words[0].lower() == "set" and len(words) > 2 else first  # "set LIST nomail"
        del words[0]
    while words and words[-1].strip(_MARKS).lower() in _POLITE:
        del words[-1]
    return words[:first] + [word for word in words[first:] if word.strip(_MARKS).lower().partition("@")[0] != slug]


def _habitual(line: str, slug: str) -> bool:
    return " ".join(word.strip(_MARKS).lower() for word in _words(line, slug)) in _HABITS


def _paragraphs(text: str) -> list[list[str]]:
    """The lines that the sender wrote, by paragraph: without quotes, what stands above them, a signature, a phone's boast."""
    done: list[list[str]] = []
    lines: list[str] = []
    for line in text[:READ_CHARS].splitlines()[:READ_LINES]:
        bare = line.strip()
        if bare == "--" or bare.lower().startswith(_BELOW):
            break
        if bare.startswith(">"):
            if lines and lines[-1].endswith(":"):
                del lines[-1]
            elif not lines and done and done[-1][-1].endswith(":"):
                del done[-1]
        if not bare or bare.startswith(">"):
            done += [lines] if lines else []
            lines = []
        elif not bare.lower().startswith(_PHONES):
            lines.append(bare)
    return [*done, lines] if lines else done


def _listed(command: tuple[str, ...] | None) -> list[tuple[str, ...]]:
    return [] if command is None else [command]


def _once(commands: list[tuple[str, ...]]) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(commands))[:COMMANDS]
