"""Power cuts while digests are booked and sent: every post is in one digest of every reader, and the same digest is the same mail."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import app, clock, config
from server.desk import forums
from server.house import Household
from server.people import identity, membership, subscriptions
from server.store.schema import deliveries, posts
from server.store.schema import subscriptions as subscribed
from tests.faults.crashing import copies, send_until_taken, wait_until_sent
from tests.faults.serving import Serving
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.stories.town import letter, read, write_config

POSTS, READERS, ROUNDS = 12, 25, 4


def furnish(home: Household, domain: str, readers: list[str], author: str) -> None:
    def work(tx: sa.Connection) -> None:
        forums.create_community(tx, "shore", "Shore", 1)
        forum = forums.create_forum(tx, "pools", "shore", title="Pools", mail_domain=domain, settle_ms=0, now=1)
        for address in [*readers, author]:
            known = identity.ensure(tx, "email", address, address[:2], 1, verified=True)
            mode = "none" if address == author else "daily"
            membership.join(tx, forum, known.person_id, known.address_id, clock.now_ms(), mode)

    home.store.write_now(work)


def morning(tx: sa.Connection) -> None:
    """It is the hour of everybody's digest."""
    for row in tx.execute(sa.select(subscribed).where(subscribed.c.mode == "daily")).all():
        subscriptions.digested(tx, row.id, row.digest_seq, clock.now_ms())


def claimed(tx: sa.Connection) -> int:
    under_way = (deliveries.c.item_kind == "digest", deliveries.c.state == "claimed")
    return tx.scalar(sa.select(sa.func.count()).select_from(deliveries).where(*under_way)) or 0


@pytest.mark.timeout(300)
def test_power_cuts_between_booking_and_sending(tmp_path: Path, postfix: Postfix) -> None:
    chance = random.Random(7)
    domain, members = postfix.list_domain(), postfix.member_domain()
    smtp, web = free_port(), free_port()
    sections = {
        "server": {"base_url": f"http://localhost:{web}"},
        "web": {"listen": f"127.0.0.1:{web}"},
        "email": {
            "domain": domain,
            "listen": f"127.0.0.1:{smtp}",
            "relay": f"smtp://127.0.0.1:{postfix.port}",
        },
    }
    path = write_config(tmp_path, f"sqlite:///{tmp_path}/junto.db", sections)
    modules = app.discover()
    home = app.household(config.load(path, app.sections(modules)), modules)
    home.store.open()
    readers, ana = [f"r{n}@{members}" for n in range(READERS)], f"ana@{members}"
    furnish(home, domain, readers, ana)
    deadline = time.monotonic() + 200
    server = Serving(path, smtp)
    server.start()
    to, sent, in_flight = f"pools@{domain}", 0, 0
    try:
        for _ in range(ROUNDS):
            for _ in range(POSTS // ROUNDS):
                raw = letter(ana, to, f"Post {sent}", f"Words {sent}\n", f"<d{sent}@crash.test>")
                send_until_taken(smtp, raw, ana, to, deadline)
                sent += 1
            home.store.write_now(morning)
            time.sleep(chance.uniform(0.3, 1.5))
            server.kill()
            in_flight += home.store.read_now(claimed)
            server.start()
        home.store.write_now(morning)
        everything = home.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.max(posts.c.seq))))
        assert everything == POSTS
        done = sa.select(sa.func.min(subscribed.c.digest_seq)).where(subscribed.c.mode == "daily")
        while home.store.read_now(lambda tx: tx.scalar(done)) < POSTS:
            assert time.monotonic() < deadline, "some digest was never booked"
            time.sleep(0.2)
        wait_until_sent(home.store, deadline)
        server.stop()
        received = copies(postfix, readers, deadline)
        again = sum(count - 1 for count in received.values())
        print(f"{POSTS} posts, {len(received)} digests, {ROUNDS} kills, {in_flight} in flight, {again} twice")
        for reader in readers:
            mails = {str(read(raw)["Message-ID"]): raw for raw in postfix.mailbox(reader).messages()}
            words = [found for raw in mails.values() for found in sorted(_words(raw))]
            assert sorted(words) == sorted(f"Words {n}" for n in range(POSTS)), reader
        assert again <= in_flight
    finally:
        server.stop()
        home.store.close()


def _words(raw: bytes) -> set[str]:
    body = read(raw).get_body(("plain",))
    assert body is not None
    return set(re.findall(r"Words \d+", body.get_content()))
