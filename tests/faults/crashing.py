"""What the crash tests share: senders that come again, what was in flight at a cut, what lies in the mailboxes."""

from __future__ import annotations

import collections
import smtplib
import time

import sqlalchemy as sa

from server.store.db import Store
from server.store.schema import addresses, deliveries, posts
from tests.peers.postfix import Postfix
from tests.stories.town import read


def send_until_taken(port: int, raw: bytes, sender: str, to: str, deadline: float) -> None:
    """As an MTA does: the same message again until it is taken."""
    while True:
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                client.sendmail(sender, [to], raw)
            return
        except (OSError, smtplib.SMTPException) as problem:
            permanent = isinstance(problem, smtplib.SMTPResponseException) and problem.smtp_code >= 500
            if permanent:
                raise
        assert time.monotonic() < deadline, "never taken"
        time.sleep(0.1)


def claimed(tx: sa.Connection) -> list[tuple[str, str]]:
    query = (
        sa.select(posts.c.message_id, addresses.c.address)
        .join_from(deliveries, posts, posts.c.id == deliveries.c.item_id)
        .join(addresses, addresses.c.id == deliveries.c.address_id)
        .where(deliveries.c.item_kind == "post", deliveries.c.state == "claimed")
    )
    return [(row.message_id, row.address) for row in tx.execute(query)]


def wait_until_sent(store: Store, deadline: float) -> None:
    unsent = (
        sa.select(sa.func.count())
        .select_from(deliveries)
        .where(deliveries.c.state != "sent", deliveries.c.item_kind != "notice")
    )
    while store.read_now(lambda tx: tx.scalar(unsent)):
        assert time.monotonic() < deadline, "some mail was never sent"
        time.sleep(0.2)


def copies(postfix: Postfix, people: list[str], deadline: float) -> collections.Counter[tuple[str, str]]:
    """What lies in the mailboxes, once the relay's own queue is empty."""
    while postfix.queue():
        assert time.monotonic() < deadline, "the relay's queue does not empty"
        time.sleep(0.2)
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for address in people:
        for raw in postfix.mailbox(address).messages():
            found[str(read(raw)["Message-ID"]), address] += 1
    return found
