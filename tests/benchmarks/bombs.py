"""What becomes of a subscription bomb, of two forums that are members of each other, and of vacation responders: counts in, counts out.

    .venv/bin/python -m tests.benchmarks.bombs [--requests 10000] [--addresses 500]

The real server stands in this process with its SMTP door; the rest of the world is `World`: it takes what we send, hands on what is for
our own forums as an MTA does (a refusal comes back as a delivery report), and lets people's programs answer.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiosmtpd.smtp import SMTP, Envelope
from rich.console import Console
from rich.table import Table

from server.store.schema import posts
from tests.stories.town import Town, letter, town

DOMAIN = "lists.test"
QUIET_S = 3.0  # so long nothing may move before we say that it is over; a fuse may hold what is left
LONGEST_S = 600.0
CONNECTIONS = 10
_NEW = itertools.count()
Row = dict[str, Any]
Answers = Callable[[str, str, EmailMessage], Iterator[tuple[str, str, bytes]]]
"""(mailbox, envelope sender, message that came) to what a program sends of itself: (envelope sender, to, message)."""


@dataclass
class World:
    """Everybody else's mail servers. `out`: what we sent, by its first words; `back`: what came back to our door, by our answer."""

    answers: dict[str, Answers] = field(default_factory=dict)
    out: Counter[str] = field(default_factory=Counter)
    got: Counter[str] = field(default_factory=Counter)
    back: Counter[str] = field(default_factory=Counter)
    door: int = 0
    waiting: asyncio.Queue[tuple[str, str, bytes]] = field(default_factory=asyncio.Queue)
    under_way: int = 0
    moved_at: float = 0.0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:
        self.moved_at = asyncio.get_running_loop().time()
        content = envelope.original_content or b""
        for receiver in envelope.rcpt_tos:
            self.out[_kind(content)] += 1
            self.got[receiver] += 1
            self.waiting.put_nowait((envelope.mail_from or "", receiver, content))
        return "250 2.0.0 taken"

    async def carry(self) -> None:
        """Bring what was sent to where it goes, until cancelled."""
        async with _Client(self.door) as client:
            while True:
                sender, receiver, content = await self.waiting.get()
                self.under_way += 1
                if receiver in self.answers:
                    message = message_from_bytes(content, policy=policy.default)
                    assert isinstance(message, EmailMessage)
                    for by, to, answer in self.answers[receiver](receiver, sender, message):
                        await self._hand(client, by, to, answer)
                elif receiver.endswith("@" + DOMAIN):
                    await self._hand(client, sender, receiver, b"Received: from world.test; now\r\n" + content)
                self.under_way -= 1
                self.moved_at = asyncio.get_running_loop().time()

    async def _hand(self, client: _Client, sender: str, to: str, content: bytes) -> None:
        code = await client.send(sender, to, content)
        self.back[code[:1] + "xx"] += 1
        if code.startswith("5") and sender.endswith("@" + DOMAIN):
            self.waiting.put_nowait(("", sender, _report(sender, to, code)))

    async def quiet(self) -> None:
        """Until nothing is under way, and nothing has moved for a while."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_S
        self.moved_at = loop.time()
        while loop.time() < end:
            if self.waiting.empty() and not self.under_way and loop.time() - self.moved_at > QUIET_S:
                return
            await asyncio.sleep(0.1)
        raise SystemExit("it did not come to an end")


class _Client:
    """One connection to our door."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> _Client:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        await self._answer()
        await self._say(b"EHLO world.test\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def send(self, sender: str, to: str, content: bytes) -> str:
        """The last answer of the transaction."""
        await self._say(f"MAIL FROM:<{sender}>\r\n".encode())
        answer = await self._say(f"RCPT TO:<{to}>\r\n".encode())
        if answer.startswith("2") and (await self._say(b"DATA\r\n")).startswith("3"):
            body = re.sub(rb"(?m)^\.", b"..", content if content.endswith(b"\r\n") else content + b"\r\n")
            return await self._say(body + b".\r\n")
        await self._say(b"RSET\r\n")
        return answer

    async def _say(self, line: bytes) -> str:
        self._writer.write(line)
        return await self._answer()

    async def _answer(self) -> str:
        while True:
            line = (await self._reader.readline()).decode("ascii", "replace")
            if line[3:4] != "-":
                return line


def _kind(content: bytes) -> str:
    """What a mail of ours is, for the table."""
    message = message_from_bytes(content[:4_000], policy=policy.default)
    if message["List-Id"]:
        return "copies of posts"
    return " ".join(str(message["Subject"]).split()[:4])


def _report(sender: str, refused: str, answer: str) -> bytes:
    """A delivery report (RFC 3464), as an MTA writes it."""
    return (
        f"From: MAILER-DAEMON@world.test\r\nTo: {sender}\r\nSubject: Undelivered\r\nAuto-Submitted: auto-replied\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        f"--b\r\nContent-Type: text/plain\r\n\r\n{answer.strip()}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        f"Reporting-MTA: dns; world.test\r\n\r\nFinal-Recipient: rfc822; {refused}\r\nAction: failed\r\n"
        f"Status: {answer[4:9]}\r\nDiagnostic-Code: smtp; {answer.strip()}\r\n\r\n--b--\r\n"
    ).encode()


# Three attacks --------------------------------------------------------------------------------------------------------
async def bomb(shore: Town, world: World, requests: int, addresses: int) -> list[Row]:
    """Somebody asks in the names of others: at -join and at -request, in two forums."""
    for slug in ("pools", "kelp"):
        await shore.forum(slug)
    ways = [(slug, function) for slug in ("pools", "kelp") for function in ("join", "request")]
    answers: Counter[str] = Counter()

    async def attack(part: int) -> None:
        async with _Client(shore.ports["smtp"]) as client:
            for number in range(part, requests, CONNECTIONS):
                victim = f"v{number % addresses}@victims.test"
                slug, function = ways[number // addresses % len(ways)]
                mail = letter(
                    victim, f"{slug}-{function}@{DOMAIN}", "subscribe", "subscribe\n", f"<{number}@victims.test>"
                )
                answers[(await client.send(victim, f"{slug}-{function}@{DOMAIN}", mail))[:1] + "xx"] += 1

    await asyncio.gather(*(attack(part) for part in range(CONNECTIONS)))
    await world.quiet()
    most = max(world.got.values(), default=0)
    return [
        _row("bomb: requests in", requests, addresses=addresses, forums=2, answers=dict(sorted(answers.items()))),
        _row("bomb: mails out", sum(world.out.values()), most_to_one_address=most, kinds=dict(world.out)),
    ]


async def loop(shore: Town, world: World, hostile: bool) -> list[Row]:
    """Two forums, each a member of the other; one person writes once. `hostile`: what carries mail between them hides that it is one."""
    for slug, other in (("pools", "kelp"), ("kelp", "pools")):
        await shore.forum(slug)
        await shore.member(slug, "ana@far.test", "Ana")
        await shore.member(slug, f"{other}@{DOMAIN}", other.title())
    if hostile:
        for slug in ("pools", "kelp"):
            world.answers[f"{slug}@{DOMAIN}"] = _launder
    await _post(shore, "ana@far.test", "pools", "One mail")
    await world.quiet()
    name = "loop, headers hidden" if hostile else "loop"
    return [_row(f"{name}: posts in", 1), *await _came_of_it(shore, world, name)]


def _launder(mailbox: str, sender: str, message: EmailMessage) -> Iterator[tuple[str, str, bytes]]:
    """A gateway that takes every mark off and gives each message a new name."""
    for name in list(message.keys()):
        if name.lower() not in ("from", "to", "subject", "date", "content-type", "mime-version", "received"):
            del message[name]
    message["Message-ID"] = f"<{next(_NEW)}.{mailbox}>"
    yield sender, mailbox, b"Received: from gate.test; now\r\n" + message.as_bytes(policy=policy.SMTP)


async def vacation(shore: Town, world: World, responders: int, manners: str, mails: int) -> list[Row]:
    """Some members are away, and their programs answer everything that comes, every time."""
    await shore.forum("pools")
    await shore.member("pools", "ana@far.test", "Ana")
    for number in range(responders):
        address = f"away{number}@far.test"
        await shore.member("pools", address, f"Away {number}")
        world.answers[address] = RESPONDERS[manners]
    for number in range(mails):
        await _post(shore, "ana@far.test", "pools", f"Mail {number}")
    await world.quiet()
    name = f"vacation, {manners}"
    return [_row(f"{name}: posts in", mails, responders=responders), *await _came_of_it(shore, world, name)]


def _polite(mailbox: str, sender: str, message: EmailMessage) -> Iterator[tuple[str, str, bytes]]:
    """RFC 3834, but to every mail: to the envelope sender, marked as an automatic answer."""
    if sender:
        yield "", sender, _away(mailbox, sender, message, "Auto-Submitted: auto-replied\r\n")


def _marked_by_subject(mailbox: str, sender: str, message: EmailMessage) -> Iterator[tuple[str, str, bytes]]:
    """To whom the mail names, from the person's own address; only its subject tells."""
    yield mailbox, _answered(message), _away(mailbox, _answered(message), message)


def _rude(mailbox: str, sender: str, message: EmailMessage) -> Iterator[tuple[str, str, bytes]]:
    """As a person would answer, in nothing different from one."""
    yield mailbox, _answered(message), _away(mailbox, _answered(message), message, subject="Re: ")


RESPONDERS: dict[str, Answers] = {
    "marked": _polite,
    "marked by its subject": _marked_by_subject,
    "like a person": _rude,
}


def _answered(message: EmailMessage) -> str:
    return re.sub(r".*<|>.*", "", str(message["Reply-To"] or message["From"]))


def _away(mailbox: str, to: str, message: EmailMessage, marks: str = "", subject: str = "Automatic reply: ") -> bytes:
    about = str(message["Subject"]).removeprefix("Re: ")
    return (
        f"From: {mailbox}\r\nTo: {to}\r\nSubject: {subject}{about}\r\nMessage-ID: <{next(_NEW)}.{mailbox}>\r\n{marks}"
        f"In-Reply-To: {message['Message-ID']}\r\nReferences: {message['Message-ID']}\r\n\r\nI am away until Monday.\r\n"
    ).encode()


async def _post(shore: Town, by: str, slug: str, subject: str) -> None:
    async with _Client(shore.ports["smtp"]) as client:
        mail = letter(by, f"{slug}@{DOMAIN}", subject, "Words.\n", f"<{subject.replace(' ', '-')}@far.test>")
        answer = await client.send(by, f"{slug}@{DOMAIN}", mail)
        assert answer.startswith("250"), answer


async def _came_of_it(shore: Town, world: World, name: str) -> list[Row]:
    counted = await shore.rows(sa.select(sa.func.count()).select_from(posts).where(posts.c.seq.is_not(None)))
    return [
        _row(f"{name}: mails out", sum(world.out.values()), kinds=dict(world.out)),
        _row(f"{name}: mails back", sum(world.back.values()), answers=dict(sorted(world.back.items()))),
        _row(f"{name}: posts published", int(counted[0][0])),
    ]


def _row(what: str, value: int, **more: Any) -> Row:
    return {"what": what, "value": value, "unit": "", **more}


# Playing them ---------------------------------------------------------------------------------------------------------
async def play(root: Path, database: str, attack: Callable[[Town, World], Any]) -> list[Row]:
    """One attack on a server of its own."""
    world = World()
    running = asyncio.get_running_loop()
    relay = await running.create_server(lambda: SMTP(world, enable_SMTPUTF8=True, loop=running), "127.0.0.1", 0)
    port = relay.sockets[0].getsockname()[1]
    try:
        async with town(root, database, {"email": {"domain": DOMAIN, "relay": f"smtp://127.0.0.1:{port}"}}) as shore:
            world.door = shore.ports["smtp"]
            carrying = asyncio.create_task(world.carry())
            try:
                rows: list[Row] = await attack(shore, world)
            finally:
                carrying.cancel()
            return rows
    finally:
        relay.close()


def attacks(requests: int, addresses: int) -> list[Callable[[Town, World], Any]]:
    return [
        lambda shore, world: bomb(shore, world, requests, addresses),
        lambda shore, world: loop(shore, world, hostile=False),
        lambda shore, world: loop(shore, world, hostile=True),
        *(
            lambda shore, world, manners=manners, count=count, mails=mails: vacation(
                shore, world, count, manners, mails
            )
            for manners in RESPONDERS
            for count, mails in ((1, 10), (20, 1))
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--addresses", type=int, default=500)
    options = parser.parse_args()
    table = Table("what", "count", "more")
    for attack in attacks(options.requests, options.addresses):
        with tempfile.TemporaryDirectory(prefix="junto-bombs-") as name:
            rows = asyncio.run(play(Path(name), f"sqlite:///{name}/junto.db", attack))
        for row in rows:
            more = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("what", "value", "unit"))
            table.add_row(row["what"], f"{row['value']:,}", more)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
