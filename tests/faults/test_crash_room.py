"""Power cuts over three channels: mails, room messages and web posts in flight. Each Matrix event is there exactly once."""

from __future__ import annotations

import collections
import random
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import app, config
from server.desk import book, forums
from server.people import identity, membership, sessions
from server.store.schema import posts
from tests.faults.crashing import claimed, copies, send_until_taken, wait_until_sent
from tests.faults.serving import Serving
from tests.peers.net import free_port, wait_for
from tests.peers.postfix import Postfix
from tests.peers.synapse import Account, MatrixError, Synapse
from tests.stories.town import letter, write_config

MAILS, MESSAGES, WEB, KILLS = 60, 25, 15, 5
SEED = 1727


def _write_until_taken(base: str, session: str, text: str, deadline: float) -> None:
    """As a browser and its user do: fetch the form, send it, send the very same form again when nothing came back."""
    cookie = {"Cookie": f"junto={session}"}
    fields: dict[str, str] = {}
    while True:
        try:
            if not fields:
                with urllib.request.urlopen(
                    urllib.request.Request(base + "/f/pools/new", headers=cookie), timeout=10
                ) as page:
                    html = page.read().decode()
                for name in ("csrf", "form"):
                    found = re.search(rf'name="{name}" value="([^"]+)"', html)
                    assert found is not None
                    fields[name] = found[1]
                fields |= {"subject": text, "text": text}
            data = urllib.parse.urlencode(fields).encode()
            with urllib.request.urlopen(urllib.request.Request(base + "/f/pools/new", data, cookie), timeout=10):
                return
        except urllib.error.HTTPError as answer:
            if answer.code < 500:
                raise
        except OSError:
            pass
        assert time.monotonic() < deadline, "never taken"
        time.sleep(0.1)


def _join(synapse: Synapse, user: Account) -> str | None:
    try:
        return synapse.join(user, f"#_junto_pools:{synapse.server_name}")
    except MatrixError:
        return None


@pytest.mark.timeout(300)
def test_power_cuts_over_three_channels(tmp_path: Path, postfix: Postfix, synapse: Synapse) -> None:
    chance = random.Random(SEED)
    synapse.reset()
    domain, members = postfix.list_domain(), postfix.member_domain()
    smtp, web, listen = free_port(), free_port(), free_port()
    base = f"http://localhost:{web}"
    matrix = {"homeserver": synapse.url, "server_name": synapse.server_name, "listen": f"127.0.0.1:{listen}"}
    path = write_config(
        tmp_path,
        f"sqlite:///{tmp_path}/junto.db",
        {
            "server": {"base_url": base},
            "web": {"listen": f"127.0.0.1:{web}"},
            "email": {"domain": domain, "listen": f"127.0.0.1:{smtp}", "relay": f"smtp://127.0.0.1:{postfix.port}"},
            "matrix": matrix | {"registration": str(synapse.registration)},
        },
    )
    modules = app.discover()
    home = app.household(config.load(path, app.sections(modules)), modules)
    home.store.open()
    ana, bo = f"ana@{members}", f"bo@{members}"

    def furnish(tx: sa.Connection) -> str:
        now = home.now()
        forums.create_community(tx, "shore", "Shore", now)
        forum = forums.create_forum(tx, "pools", "shore", title="Pools", mail_domain=domain, settle_ms=0, now=now)
        forums.set_options(tx, "pools", {"room_messages": "topics"})  # each message of the room is a post of its own
        known = [identity.ensure(tx, "email", a, a[:3], now, verified=True) for a in (ana, bo)]
        for each in known:
            membership.join(tx, forum, each.person_id, each.address_id, now)
        book.tend(tx, home.desk, forum, now)
        return sessions.open(tx, known[1].person_id, now)

    session = home.store.write_now(furnish)
    to, deadline = f"pools@{domain}", time.monotonic() + 240
    synapse.route_to(listen)
    server = Serving(path, smtp)
    server.start()
    user = synapse.register("bruno")
    room = wait_for(lambda: _join(synapse, user), "the room", 60)

    def mails() -> None:
        for i in range(MAILS):
            raw = letter(ana, to, f"Mail {i}", f"mail words {i}.\n", f"<m{i}@crash.test>")
            send_until_taken(smtp, raw, ana, to, deadline)

    def messages() -> None:
        for i in range(MESSAGES):
            synapse.send(user, room, {"msgtype": "m.text", "body": f"room words {i}."})
            time.sleep(chance.uniform(0.02, 0.2))

    def pages() -> None:
        for i in range(WEB):
            _write_until_taken(base, session, f"web words {i}.", deadline)

    senders = [threading.Thread(target=each) for each in (mails, messages, pages)]
    for sender in senders:
        sender.start()
    in_flight: collections.Counter[tuple[str, str]] = collections.Counter()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.2, 1.2))
        server.kill()
        in_flight.update(home.store.read_now(claimed))
        server.start()
    for sender in senders:
        sender.join()
    try:
        total = MAILS + MESSAGES + WEB
        count = sa.select(sa.func.count()).select_from(posts)
        wait_for(lambda: home.store.read_now(lambda tx: tx.scalar(count)) == total, f"{total} posts", 90)
        wait_until_sent(home.store, deadline)
        server.stop()
        said = collections.Counter(
            event["content"]["body"].strip().splitlines()[-1]
            for event in synapse.messages(user, room)
            if event["type"] == "m.room.message"
        )
        wanted = {f"mail words {i}." for i in range(MAILS)} | {f"web words {i}." for i in range(WEB)}
        spoken = {f"room words {i}." for i in range(MESSAGES)}
        received = copies(postfix, [ana, bo], deadline)
        twice = {copy: n for copy, n in received.items() if n > 1}
        print(
            f"seed {SEED}: {total} posts, {KILLS} kills, {len(said)} events, {sum(received.values())} mails, {len(twice)} mails twice"
        )
        assert set(said) == wanted | spoken
        assert set(said.values()) == {1}  # each event exactly once
        assert len(received) == MAILS + 2 * MESSAGES + WEB
        assert all(n <= 1 + in_flight[copy] for copy, n in twice.items())
    finally:
        home.store.close()
