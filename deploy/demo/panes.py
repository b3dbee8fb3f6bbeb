"""What each of the three panes shows of a thread, or of a forum: pure functions over mails, events and the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.demo.ledger import Ledger, Page, Post, spoken
from deploy.demo.mailread import Mail, fold, fresh, threads
from deploy.demo.roomview import REMOVED, Message, Room

DEEPEST = 6
"""Steps of indentation; deeper answers stand below each other."""

HOURGLASS = "\N{HOURGLASS WITH FLOWING SAND}"
"""What the bot puts on a message that waits."""


@dataclass(frozen=True, slots=True)
class Ring:
    """A new post's mark: where it was born, and the hops so far as people say them."""

    origin: str
    hops: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MailLine:
    """A mail in its thread."""

    depth: int
    mail: Mail
    pieces: list[tuple[bool, str]]
    ring: Ring | None


@dataclass(frozen=True, slots=True)
class MailThread:
    """A thread in the list of a mail program."""

    page: Page | None
    subject: str
    people: str
    words: str
    count: int
    last: datetime
    fresh: bool


@dataclass(frozen=True, slots=True)
class Sign:
    """A reaction, and who gave it."""

    key: str
    count: int
    names: str
    mine: bool


@dataclass(frozen=True, slots=True)
class RoomLine:
    """A message; `follows`: the one before is by the same person, shortly before.

    `speaker`: "member" of the room, "ghost" of somebody who is elsewhere, or the "bot". `quoted` is whom and what it answers.
    """

    message: Message
    name: str
    mine: bool
    follows: bool
    ring: Ring | None
    speaker: str
    quoted: tuple[str, str, str] | None
    signs: tuple[Sign, ...]
    held: bool


@dataclass(frozen=True, slots=True)
class RoomThread:
    """A message at room level with what its thread holds; `talk`: it stands in no thread and begins none."""

    line: RoomLine
    page: Page | None
    answers: int
    last: str
    talk: bool


def ring(post: Post | None, now: float) -> Ring | None:
    """The mark of a post if it is new."""
    if post is None or not post.new(now):
        return None
    hops = sorted(post.hops().items(), key=lambda hop: hop[1])
    return Ring(post.origin, tuple((channel, spoken(ms)) for channel, ms in hops))


def once(mails: Iterable[Mail]) -> list[Mail]:
    """A mail and the sender's own copy of it are one to a mail program that files both."""
    found: dict[tuple[str, str], Mail] = {}
    for mail in mails:
        found.setdefault((mail.message_id, mail.key if not mail.message_id else ""), mail)
    return list(found.values())


def mail_thread(mails: Sequence[Mail], root: Page, ledger: Ledger) -> list[MailLine]:
    """The mails of the thread whose first post is `root`, as a tree."""
    now = time.time()
    for tree in threads(mails):
        if any(_root(mail, ledger) == root for _, mail in tree):
            return [
                MailLine(min(depth, DEEPEST), mail, fold(mail.text), ring(ledger.post_of(mail.message_id), now))
                for depth, mail in tree
            ]
    return []


def mail_list(mails: Sequence[Mail], forum: str, ledger: Ledger) -> list[MailThread]:
    """The threads of a forum as a mail program lists them, the newest first."""
    now = time.time()
    found = []
    for tree in threads(mails):
        last = max((mail for _, mail in tree), key=lambda mail: mail.date)
        first = tree[0][1]
        page = next((at for _, mail in tree if (at := _root(mail, ledger))), None)
        if _forum(tree, page) != forum:
            continue
        people = list(dict.fromkeys(mail.sender.split(" via ")[0].split()[0] for _, mail in tree if mail.sender))
        news = [mail for _, mail in tree if (post := ledger.post_of(mail.message_id)) and post.new(now)]
        found.append(
            MailThread(page, first.subject, ", ".join(people), fresh(last.text)[:160], len(tree), last.date, bool(news))
        )
    return sorted(found, key=lambda thread: thread.last, reverse=True)


def _forum(tree: list[tuple[int, Mail]], page: Page | None) -> str:
    if page:
        return page[0]
    return next((mail.list_slug or mail.to.partition("@")[0] for _, mail in tree), "")


def _root(mail: Mail, ledger: Ledger) -> Page | None:
    post = ledger.post_of(mail.message_id)
    return post.root if post else None


def room_thread(room: Room, root: Page, ledger: Ledger, me: str) -> list[RoomLine]:
    """The messages of the thread whose first post is `root`, its opener first."""
    for opener, answers in room.threads():
        if event_root(opener, ledger) == root:
            return _lines([opener, *answers], room, ledger, me)
    return []


def room_timeline(room: Room, ledger: Ledger, me: str) -> list[RoomThread]:
    """What stands at room level, the oldest first, with the threads that hang there."""
    found = []
    threaded = room.threads()
    for line, (_, answers) in zip(_lines([root for root, _ in threaded], room, ledger, me), threaded, strict=True):
        said = [answer for answer in answers if answer.kind != REMOVED]
        last = f"{room.name(said[-1].sender)}: {said[-1].body}" if said else ""
        page = event_root(line.message, ledger)
        talk = page is None and not answers and line.speaker == "member"
        found.append(RoomThread(line, page, len(said), last, talk))
    return found


def _lines(messages: Sequence[Message], room: Room, ledger: Ledger, me: str) -> list[RoomLine]:
    now, before, lines = time.time(), None, []
    for message in messages:
        follows = before is not None and before.sender == message.sender and message.at - before.at < 300
        mark = ring(ledger.post_of(message.id), now)
        mine, name = message.sender.startswith(me), room.name(message.sender)
        signs, held = _signs(room, message.id, me)
        quoted = _quoted(room, message)
        lines.append(RoomLine(message, name, mine, follows, mark, speaker(message.sender), quoted, signs, held))
        before = message
    return lines


def speaker(user: str) -> str:
    """Whether that user is a person in the room, the ghost of one who is not, or the bot that looks after it."""
    if user.startswith("@_junto_bot:"):
        return "bot"
    return "ghost" if user.startswith("@_junto_") else "member"


def _signs(room: Room, event: str, me: str) -> tuple[tuple[Sign, ...], bool]:
    """The reactions to a message; the bot's hourglass is not one of them: with it the message waits for a moderator."""
    found, held = [], False
    for key, users in room.signs.get(event, {}).items():
        people = sorted(user for user in users if speaker(user) != "bot")
        held = held or (key.startswith(HOURGLASS) and len(people) < len(users))
        if people:
            names = ", ".join(room.name(user) for user in people)
            found.append(Sign(key, len(people), names, any(user.startswith(me) for user in people)))
    return tuple(found), held


def _quoted(room: Room, message: Message) -> tuple[str, str, str] | None:
    """(event, name, first words) of what a message answers, where its author chose that and it is known."""
    answered = room.messages.get(message.answers) if message.quotes else None
    if answered is None:
        return None
    return answered.id, room.name(answered.sender), " ".join((answered.body or "removed").split())[:80]


def event_root(message: Message, ledger: Ledger) -> Page | None:
    """The first post of the thread that a message belongs to."""
    post = ledger.post_of(message.id)
    return post.root if post else None


def clock(moment: datetime | float) -> str:
    """A time as clients show it: today's hour, else the day."""
    when = moment if isinstance(moment, datetime) else datetime.fromtimestamp(moment, UTC)
    when = when.astimezone()
    return when.strftime("%H:%M") if when.date() == datetime.now().astimezone().date() else when.strftime("%-d %b")


def initials(name: str) -> str:
    """One or two letters for a round picture."""
    words = [word for word in name.lstrip("@").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[1:][-1:])).upper() or "?"


def hue(name: str) -> int:
    """A colour for a person, 0 to 11, the same each time."""
    return sum(name.encode()) % 12


def size(octets: int) -> str:
    """ "22 B", "80 kB", "1.4 MB"."""
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.0f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"
