"""The walk: five posts of one thread through the real peers, every hop timed, every copy counted."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from uuid import uuid4

from deploy.demo.community import ANA, BRUNO, CHANNELS, CHIDI, DOMAIN, MAIL, MEMBERS, ROOM, WEB
from deploy.demo.ledger import Page, Post, essence
from deploy.demo.mailread import Mail, fresh
from deploy.demo.mailwrite import Correspondent, compose, new_id, reply
from deploy.demo.patience import until
from deploy.demo.peers import Peers, alias
from deploy.demo.roomview import Message

FORUM = "tidepools"
HOP_PATIENCE = 90.0
"""Seconds for a hop: an outage of a minute in the middle is ridden out."""

READING = 0.3
"""Seconds before somebody answers what they have just seen: no person is quicker."""

QUIET = 1.5
"""Seconds in which a second copy would show before copies are counted."""


@dataclass(slots=True)
class Step:
    """One post of the walk and what was seen of it."""

    number: int
    channel: str
    text: str
    at: float = 0.0
    parent: Step | None = None
    page: Page | None = None
    mail: Mail | None = None
    message: Message | None = None
    problems: list[str] = field(default_factory=list)
    hops: dict[str, float] = field(default_factory=dict)


class Walk:
    """Plays, looks, counts. The words of each post hold a mark that no other post has."""

    def __init__(self, peers: Peers, mailboxes: Container[str], say: Callable[[str], None] | None = None) -> None:
        self.peers, self.mailboxes = peers, mailboxes
        self.say = say or _print
        self.mark = f"walk {uuid4().hex[:6]}"
        self.steps: list[Step] = []

    async def run(self) -> int:
        """0 if all ten hops were seen, once each and in their place, else 1."""
        subject = f"Low water on Saturday ({self.mark})"
        words = (
            (MAIL, "Who comes along on Saturday? Low water is at 10:40, I bring the tray and tea."),
            (ROOM, "I come, with the lens and an umbrella against the glare."),
            (WEB, "Me too. Shall we count the *blue-rayed limpets* again, five fronds each?"),
            (MAIL, "Five fronds each, and who counted goes beside the number. I am so glad."),
            (ROOM, "Then see you at the slipway at half past nine!"),
        )
        for number, (channel, text) in enumerate(words, 1):
            # The mark comes first: long texts are compared by how they begin.
            step = Step(
                number, channel, f"[{self.mark}-{number}] {text}", parent=self.steps[-1] if self.steps else None
            )
            self.steps.append(step)
            await self._play(step, subject)
            await self._look(step)
            await asyncio.sleep(READING)
        await asyncio.sleep(QUIET)
        return self._count()

    async def _play(self, step: Step, subject: str) -> None:
        step.at = time.time()
        self.peers.ledger.hand(step.channel, FORUM, step.text, step.at)
        self.peers.watch.wake.set()
        if step.channel == MAIL:
            await self._mail(step, subject)
        elif step.channel == ROOM:
            await self._room(step)
        else:
            root = self.steps[0].page
            path = f"/f/{root[0]}/{root[1]}/reply" if root else f"/f/{FORUM}/new"
            await self.peers.web_user(CHIDI).write(path, step.text, "" if root else subject, HOP_PATIENCE)

    async def _mail(self, step: Step, subject: str) -> None:
        author, message_id = Correspondent(ANA.name, ANA.address), new_id(ANA.address)
        answered = step.parent.mail if step.parent else None
        if answered:
            data = reply(author, answered, step.text, message_id=message_id)
        else:
            data = compose(author, f"{FORUM}@{DOMAIN}", subject, step.text, message_id=message_id)
        await self.peers.post_mail(ANA, data, HOP_PATIENCE)
        step.mail = self.peers.office.box(ANA.address)[-1]

    async def _room(self, step: Step) -> None:
        view = self.peers.room
        assert view is not None
        root, parent = self.steps[0].message, step.parent.message if step.parent else None
        await self.peers.room_users[BRUNO.key].write(
            view.aliases[alias(FORUM)],
            step.text,
            transaction=f"{self.mark}-{step.number}",
            root=root.id if root else None,
            answers=parent.id if root and parent and parent is not root else None,
            patience=HOP_PATIENCE,
        )

    # What is to be seen
    async def _look(self, step: Step) -> None:
        looks: dict[str, Callable[[], float | None]] = {
            MAIL: lambda: self._mail_seen(step),
            ROOM: lambda: self._room_seen(step),
            WEB: lambda: self._web_seen(step),
        }
        # The author's own channel is no hop, but what answers the post there has to know it.
        seen = await asyncio.gather(*(until(looks[channel], HOP_PATIENCE) for channel in CHANNELS))
        for channel, when in zip(CHANNELS, seen, strict=True):
            if channel == step.channel:
                continue
            name = f"{step.number}  {step.channel:>4} -> {channel:<4}"
            if when is None:
                self.say(f"{name}  not seen within {HOP_PATIENCE:.0f} s")
                continue
            step.hops[channel] = (when - step.at) * 1000
            problem = self._misplaced(step, channel)
            if problem:
                step.problems.append(problem)
            self.say(f"{name}  {step.hops[channel]:7.0f} ms" + (f"  but {problem}" if problem else ""))

    def _holds(self, text: str, step: Step) -> bool:
        return self._token(step) in text

    def _mail_seen(self, step: Step) -> float | None:
        if step.mail is None:
            box = self.peers.office.box(ANA.address)
            step.mail = next((mail for mail in box if _own(mail, self._token(step))), None)
        return step.mail.arrived if step.mail else None

    def _token(self, step: Step) -> str:
        return f"[{self.mark}-{step.number}]"

    def _room_seen(self, step: Step) -> float | None:
        view = self.peers.room
        if step.message is None and view:
            step.message = next((message for message in view.all() if self._holds(message.body, step)), None)
        return step.message.seen if step.message else None

    def _web_seen(self, step: Step) -> float | None:
        post = self._post(step)
        step.page = post.page if post else None
        return post.seen["web"] if post else None

    def _post(self, step: Step) -> Post | None:
        posts = self.peers.ledger.posts.values()
        return next(
            (post for post in posts if post.words.startswith(essence(self._token(step))) and "web" in post.seen), None
        )

    def _misplaced(self, step: Step, channel: str) -> str:
        """What is wrong with where the post stands on that channel; "" if nothing."""
        root = self.steps[0]
        if step is root:
            return ""
        if channel == WEB:
            post = self._post(step)
            return "" if post and root.page and post.root == root.page else "the page shows it in another thread"
        if channel == ROOM:
            threaded = step.message and root.message and step.message.root == root.message.id
            return "" if threaded else "it is not in the Matrix thread"
        assert step.mail is not None
        assert root.mail is not None
        thread = [earlier.mail.message_id for earlier in self.steps[: step.number - 1] if earlier.mail]
        parent = step.mail.in_reply_to
        # Generated mail names itself last, for relays that give messages new names.
        above = [name for name in step.mail.references if name != step.mail.message_id]
        if parent not in thread or above[-1:] != [parent]:
            return "In-Reply-To and References do not name its parent"
        if step.channel == ROOM and step.parent and step.parent.mail and parent != step.parent.mail.message_id:
            return "In-Reply-To names another post than the one answered"
        if root.mail.message_id not in step.mail.references:
            return "References do not begin at the thread's root"
        return "" if re.match(r"(?i)re: ", step.mail.subject) else "its subject has no Re:"

    # What must be there once
    def _count(self) -> int:
        copies: Counter[str] = Counter()
        for member in MEMBERS.values():
            for mail in self.peers.office.box(member.address):
                for step in self.steps:
                    if not mail.sent and _own(mail, self._token(step)):
                        copies[f"post {step.number} in {member.name}'s mailbox"] += 1
        for message in self.peers.room.all() if self.peers.room else ():
            copies.update(f"post {step.number} in the room" for step in self.steps if self._holds(message.body, step))
            if message.message_id:
                copies[f"{message.message_id} in the room ({message.kind} {message.body[:40]!r})"] += 1
        for post in self.peers.ledger.posts.values():
            copies.update(
                f"post {step.number} on the web"
                for step in self.steps
                if post.words.startswith(essence(self._token(step)))
            )
        twice = sum(count - 1 for count in copies.values())
        for name, count in copies.items():
            if count > 1:
                self.say(f"{count} times: {name}")
        expected = [
            f"post {step.number} in {member.name}'s mailbox"
            for step in self.steps
            for member in MEMBERS.values()
            if member.address in self.mailboxes and not (step.channel == MAIL and member is ANA)
        ]
        missing = [name for name in expected if name not in copies]
        for name in missing:
            self.say(f"missing: {name}")
        good = sum(len(step.hops) - len(step.problems) for step in self.steps)
        lost = 10 - sum(len(step.hops) for step in self.steps) + len(missing)
        self.say(f"{good} of 10 hops, {lost} lost, {twice} twice")
        return 0 if (good, lost, twice) == (10, 0, 0) else 1


def _print(words: str) -> None:
    print(words, flush=True)


def _own(mail: Mail, token: str) -> bool:
    """Whether the mark stands in what the author wrote, not in what they quoted."""
    return token in fresh(mail.text)
