"""Power cuts: kill -9 at seeded, random points while posts are under way. Nothing is lost; mail comes twice only if it was in flight."""

from __future__ import annotations

import collections
import random
import smtplib
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import app, config
from server.desk import forums
from server.people import identity, membership
from server.store.schema import addresses, deliveries, posts
from tests.faults.serving import Serving
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.stories.town import letter, read, write_config

POSTS, MEMBERS, KILLS, SENDERS = 100, 4, 6, 4


def _send_until_taken(port: int, raw: bytes, sender: str, to: str, deadline: float) -> None:
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


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.timeout(300)
def test_power_cuts(engine: str, tmp_path: Path, postfix: Postfix, request: pytest.FixtureRequest) -> None:
    seed = 2026
    chance = random.Random(seed)
    database = f"sqlite:///{tmp_path}/junto.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
    domain, members = postfix.list_domain(), postfix.member_domain()
    smtp, web = free_port(), free_port()
    relay = f"smtp://127.0.0.1:{postfix.port}"
    path = write_config(
        tmp_path,
        database,
        {
            "server": {"base_url": f"http://localhost:{web}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "email": {"domain": domain, "listen": f"127.0.0.1:{smtp}", "relay": relay},
        },
    )
    modules = app.discover()
    home = app.household(config.load(path, app.sections(modules)), modules)
    home.store.open()
    people = [f"m{i}@{members}" for i in range(MEMBERS)]

    def furnish(tx: sa.Connection) -> None:
        forums.create_community(tx, "shore", "Shore", 1)
        forum = forums.create_forum(tx, "pools", "shore", title="Pools", mail_domain=domain, now=1)
        for address in people:
            known = identity.ensure(tx, "email", address, address[:2], 1, verified=True)
            membership.join(tx, forum, known.person_id, known.address_id, 1)

    home.store.write_now(furnish)
    to = f"pools@{domain}"
    raws = [letter(people[i % MEMBERS], to, f"Post {i}", f"Words {i}\n", f"<p{i}@crash.test>") for i in range(POSTS)]
    deadline = time.monotonic() + 200
    server = Serving(path, smtp)
    server.start()

    def sender(part: int) -> None:
        for i in range(part, POSTS, SENDERS):
            _send_until_taken(smtp, raws[i], people[i % MEMBERS], to, deadline)

    threads = [threading.Thread(target=sender, args=(part,)) for part in range(SENDERS)]
    for thread in threads:
        thread.start()
    in_flight: collections.Counter[tuple[str, str]] = collections.Counter()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        server.kill()
        in_flight.update(home.store.read_now(_claimed))
        server.start()
    for thread in threads:
        thread.join()
    try:
        _wait_until_sent(home.store, deadline)
        server.stop()
        numbers = home.store.read_now(lambda tx: list(tx.scalars(sa.select(posts.c.seq).order_by(posts.c.seq))))
        assert numbers == list(range(1, POSTS + 1))
        copies = _copies(postfix, people, deadline)
        expected = {(f"<p{i}@crash.test>", a) for i in range(POSTS) for a in people if a != people[i % MEMBERS]}
        twice = {copy: count for copy, count in copies.items() if count > 1}
        print(
            f"seed {seed}, {engine}: {POSTS} posts, {len(expected)} copies, {KILLS} kills, {len(in_flight)} in flight, {len(twice)} twice"
        )
        assert set(copies) == expected  # nothing lost, nothing invented
        assert all(
            count <= 1 + in_flight[copy] for copy, count in twice.items()
        )  # once more for each cut that it was under way at
    finally:
        home.store.close()


def _claimed(tx: sa.Connection) -> list[tuple[str, str]]:
    query = (
        sa.select(posts.c.message_id, addresses.c.address)
        .join_from(deliveries, posts, posts.c.id == deliveries.c.item_id)
        .join(addresses, addresses.c.id == deliveries.c.address_id)
        .where(deliveries.c.item_kind == "post", deliveries.c.state == "claimed")
    )
    return [(row.message_id, row.address) for row in tx.execute(query)]


def _wait_until_sent(store: object, deadline: float) -> None:
    unsent = sa.select(sa.func.count()).select_from(deliveries).where(deliveries.c.state != "sent")
    while store.read_now(lambda tx: tx.scalar(unsent)):  # type: ignore[attr-defined]
        assert time.monotonic() < deadline, "some mail was never sent"
        time.sleep(0.2)


def _copies(postfix: Postfix, people: list[str], deadline: float) -> collections.Counter[tuple[str, str]]:
    """What lies in the mailboxes, once the relay's own queue is empty."""
    while postfix.queue():
        assert time.monotonic() < deadline, "the relay's queue does not empty"
        time.sleep(0.2)
    found: collections.Counter[tuple[str, str]] = collections.Counter()
    for address in people:
        for raw in postfix.mailbox(address).messages():
            found[str(read(raw)["Message-ID"]), address] += 1
    return found
