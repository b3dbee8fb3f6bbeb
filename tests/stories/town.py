"""A whole Junto for a story: the real server in this process, on a real database, with real peers around it."""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import sqlalchemy as sa

from server import app, clock, config
from server.desk import book, forums
from server.house import Household
from server.people import identity, membership
from server.store.schema import deliveries
from tests.peers.net import free_port
from tests.peers.postfix import Postfix

T = TypeVar("T")


class Town:
    """The running server and a few people; every wait has a deadline."""

    def __init__(self, home: Household, ports: dict[str, int], root: Path) -> None:
        self.home, self.ports, self.root = home, ports, root
        self.url = home.desk.base_url

    async def forum(self, slug: str, *, community: str = "shore", settle_ms: int = 0, **options: Any) -> str:
        """A forum (and its community, if new); its mail address."""
        domain = self.home.config.bridges["email"].domain

        def work(tx: sa.Connection) -> None:
            now = self.home.now()
            if not any(row.community_slug == community for row in forums.all_forums(tx)):
                with contextlib.suppress(Exception), tx.begin_nested():
                    forums.create_community(tx, community, "Shore watchers", now)
            made = forums.create_forum(
                tx, slug, community, title="Tide pools", mail_domain=domain, settle_ms=settle_ms, now=now, **options
            )
            book.tend(tx, self.home.desk, made, now)

        await self.home.store.write(work)
        return f"{slug}@{domain}"

    async def option(self, slug: str, **options: str) -> None:
        """As `junto forum set`."""
        await self.home.store.write(forums.set_options, slug, options)

    async def member(self, slug: str, address: str, name: str, channel: str = "email", **how: Any) -> int:
        """A member of the forum; the person's id."""

        def work(tx: sa.Connection) -> int:
            now = self.home.now()
            known = identity.ensure(tx, channel, address, name, now, verified=True)
            forum = forums.get(tx, slug)
            membership.join(tx, forum.id, known.person_id, known.address_id, now, **how)
            return known.person_id

        return await self.home.store.write(work)

    async def page(self, path: str, status: int = 200) -> str:
        """The text of a page, as a stranger gets it."""
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as answer:
            text = await answer.text()
            assert answer.status == status, f"{path}: {answer.status}"
            return text

    async def until(self, look: Callable[[], Awaitable[T]], what: str, timeout: float = 30) -> T:
        """Look again and again until the answer is true."""
        end = asyncio.get_running_loop().time() + timeout
        while True:
            found = await look()
            if found:
                return found
            assert asyncio.get_running_loop().time() < end, f"waited in vain for {what}"
            await asyncio.sleep(0.05)

    async def settled(self, timeout: float = 30) -> None:
        """Until nothing is due or under way."""

        async def none_open() -> bool:
            return not await self.home.store.read(_open)

        await self.until(none_open, "an empty queue", timeout)

    async def rows(self, statement: sa.Select[Any]) -> list[Any]:
        return await self.home.store.read(lambda tx: list(tx.execute(statement)))


def _open(tx: sa.Connection) -> int:
    later = sa.and_(
        deliveries.c.item_kind == "notice", deliveries.c.not_before > clock.now_ms()
    )  # a receipt has its time
    still = sa.select(sa.func.count()).select_from(deliveries)
    return tx.scalar(still.where(deliveries.c.state.in_(("due", "claimed")), ~later)) or 0


def letter(sender: str, to: str, subject: str, text: str, message_id: str | None = None, **fields: str) -> bytes:
    """A mail as a stock client writes it."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = "Mon, 23 Nov 2026 08:00:00 +0000"
    if message_id:
        message["Message-ID"] = message_id
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    message.set_content(text)
    return message.as_bytes()


def read(raw: bytes) -> EmailMessage:
    """A received mail, parsed."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


async def send(postfix: Postfix, raw: bytes, sender: str, to: str) -> None:
    """Hand a mail to Postfix, which takes it."""
    assert await asyncio.to_thread(postfix.send, raw, sender, to) == {}


async def arrived(postfix: Postfix, address: str, count: int) -> list[bytes]:
    """The mails of a mailbox, once there are so many."""
    return await asyncio.to_thread(postfix.mailbox(address).wait_for, count)


def write_config(root: Path, database: str, sections: dict[str, dict[str, Any]]) -> Path:
    path = root / "junto.toml"
    lines = []
    for name, values in ({"database": {"url": database}} | sections).items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    path.write_text("\n".join(lines) + "\n")
    return path


@contextlib.asynccontextmanager
async def town(
    root: Path, database: str, sections: dict[str, dict[str, Any]] | None = None, only: list[str] | None = None
) -> AsyncIterator[Town]:
    """Start the whole server; stop it when the block ends."""
    ports = {"web": free_port(), "smtp": free_port(), "lmtp": free_port()}
    given = sections or {}
    filled = {
        "server": {"base_url": f"http://localhost:{ports['web']}"} | given.get("server", {}),
        "web": {"listen": f"127.0.0.1:{ports['web']}"} | given.get("web", {}),
        "email": {"listen": f"127.0.0.1:{ports['smtp']}", "lmtp_listen": f"127.0.0.1:{ports['lmtp']}"}
        | given.get("email", {}),
    }
    path = write_config(root, database, given | filled)
    modules = app.discover()
    home = app.household(config.load(path, app.sections(modules)), modules)
    home.store.open()
    try:
        async with app.running(home, app.roles(home, only)):
            yield Town(home, ports, root)
    finally:
        home.store.close()
