"""Power cuts: kill -9 at seeded, random points while posts are under way. Nothing is lost; mail comes twice only if it was in flight."""

from __future__ import annotations

import collections
import random
import threading
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import app, config
from server.desk import forums
from server.people import identity, membership
from server.store.schema import posts
from tests.faults.crashing import claimed, copies, send_until_taken, wait_until_sent
from tests.faults.serving import Serving
from tests.peers.net import free_port
from tests.peers.postfix import Postfix
from tests.stories.town import letter, write_config

POSTS, MEMBERS, KILLS, SENDERS = 100, 4, 6, 4


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
            send_until_taken(smtp, raws[i], people[i % MEMBERS], to, deadline)

    threads = [threading.Thread(target=sender, args=(part,)) for part in range(SENDERS)]
    for thread in threads:
        thread.start()
    in_flight: collections.Counter[tuple[str, str]] = collections.Counter()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.05, 0.6))
        server.kill()
        in_flight.update(home.store.read_now(claimed))
        server.start()
    for thread in threads:
        thread.join()
    try:
        wait_until_sent(home.store, deadline)
        server.stop()
        numbers = home.store.read_now(lambda tx: list(tx.scalars(sa.select(posts.c.seq).order_by(posts.c.seq))))
        assert numbers == list(range(1, POSTS + 1))
        received = copies(postfix, people, deadline)
        expected = {(f"<p{i}@crash.test>", a) for i in range(POSTS) for a in people if a != people[i % MEMBERS]}
        twice = {copy: count for copy, count in received.items() if count > 1}
        print(
            f"seed {seed}, {engine}: {POSTS} posts, {len(expected)} copies, {KILLS} kills, {len(in_flight)} in flight, {len(twice)} twice"
        )
        assert set(received) == expected  # nothing lost, nothing invented
        assert all(
            count <= 1 + in_flight[copy] for copy, count in twice.items()
        )  # once more for each cut that it was under way at
    finally:
        home.store.close()
