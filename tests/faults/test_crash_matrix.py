"""Homeserver and server cut off in the worst moments of their talk: nothing is lost, nothing is there twice, order stays."""

from __future__ import annotations

import collections
import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import app, config
from server.bridge import MESSAGE_ID, Author, NewPost, Proof, Ref
from server.content.attachments import Blobs
from server.desk import book, bring, forums
from server.desk.bring import Old
from server.desk.prepare import prepare
from server.house import Household
from server.people import identity, membership
from server.store.schema import posts, subscriptions
from tests.faults.crashing import send_until_taken
from tests.faults.serving import Serving
from tests.peers.net import free_port, wait_for
from tests.peers.synapse import Account, MatrixError, Synapse
from tests.stories.town import letter, write_config

ANA = "ana@far.test"
YEARS = 3 * 365 * 24 * 3600 * 1000


@dataclass
class Shore:
    """A server in a process of its own and a homeserver, with a forum between them."""

    home: Household
    server: Serving
    synapse: Synapse
    smtp: int
    listen: int

    def mail(self, n: int, **fields: str) -> None:
        raw = letter(ANA, "pools@lists.test", f"Mail {n}", f"mail words {n}.\n", f"<m{n}@crash.test>", **fields)
        send_until_taken(self.smtp, raw, ANA, "pools@lists.test", time.monotonic() + 60)

    def room(self, user: Account) -> str:
        def join() -> str | None:
            try:
                return self.synapse.join(user, f"#_junto_pools:{self.synapse.server_name}")
            except (MatrixError, OSError):
                return None

        return wait_for(join, "the room", 90)

    def words(self, user: Account, room: str) -> list[str]:
        """The last line of each message in the room, oldest first."""
        events = self.synapse.messages(user, room)
        return [e["content"]["body"].strip().splitlines()[-1] for e in events if e["type"] == "m.room.message"]

    def posts(self) -> int:
        return self.home.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(posts))) or 0


@pytest.fixture
def shore(tmp_path: Path, synapse: Synapse) -> Iterator[Shore]:
    synapse.reset()
    smtp, web, listen = free_port(), free_port(), free_port()
    matrix = {"homeserver": synapse.url, "server_name": synapse.server_name, "listen": f"127.0.0.1:{listen}"}
    path = write_config(
        tmp_path,
        f"sqlite:///{tmp_path}/junto.db",
        {
            "server": {"base_url": f"http://localhost:{web}"},
            "web": {"listen": f"127.0.0.1:{web}"},
            "email": {"domain": "lists.test", "listen": f"127.0.0.1:{smtp}", "relay": "smtp://127.0.0.1:9"},
            "matrix": matrix | {"registration": str(synapse.registration)},
        },
    )
    modules = app.discover()
    home = app.household(config.load(path, app.sections(modules)), modules)
    home.store.open()

    def furnish(tx: sa.Connection) -> None:
        now = home.now()
        forums.create_community(tx, "shore", "Shore", now)
        forum = forums.create_forum(tx, "pools", "shore", title="Pools", mail_domain="lists.test", settle_ms=0, now=now)
        forums.set_options(tx, "pools", {"room_messages": "topics"})
        ana = identity.ensure(tx, "email", ANA, "Ana", now, verified=True)
        membership.join(tx, forum, ana.person_id, ana.address_id, now)
        book.tend(tx, home.desk, forum, now)

    home.store.write_now(furnish)
    synapse.route_to(listen)
    found = Shore(home, Serving(path, smtp), synapse, smtp, listen)
    yield found
    found.server.stop()
    home.store.close()


@pytest.mark.timeout(240)
def test_a_homeserver_restarted_in_mid_send_has_every_event_once(shore: Shore) -> None:
    shore.server.start()
    user = shore.synapse.register()
    room = shore.room(user)
    for n in range(60):
        shore.mail(n)
        if n in (20, 40):
            shore.synapse.restart()
    wanted = {f"mail words {n}." for n in range(60)}
    wait_for(lambda: set(shore.words(user, room)) >= wanted, "all events", 90)
    assert collections.Counter(shore.words(user, room)) == collections.Counter(wanted)


@pytest.mark.timeout(240)
def test_a_server_killed_between_its_answer_and_its_work_loses_nothing(shore: Shore) -> None:
    shore.server.start()
    user = shore.synapse.register()
    room = shore.room(user)
    token = json.loads(shore.synapse.registration.read_text())["hs_token"]
    for n in range(4):
        events = [
            {
                "type": "m.room.message",
                "event_id": f"$burst{n}-{k}",
                "room_id": room,
                "sender": user.user_id,
                "origin_server_ts": int(time.time() * 1000),
                "content": {"msgtype": "m.text", "body": f"words {n} {k}"},
            }
            for k in range(50)
        ]
        door = http.client.HTTPConnection("127.0.0.1", shore.listen, timeout=30)
        body = json.dumps({"events": events})
        door.request("PUT", f"/_matrix/app/v1/transactions/cut{n}", body, {"Authorization": f"Bearer {token}"})
        assert door.getresponse().status == 200
        shore.server.kill()
        shore.server.start()
    wait_for(lambda: shore.posts() == 200, "every message", 90)
    said = sa.select(posts.c.message_id).order_by(posts.c.seq)
    assert len(set(shore.home.store.read_now(lambda tx: tx.scalars(said).all()))) == 200


@pytest.mark.timeout(240)
def test_an_archive_is_told_once_and_in_order_however_often_the_server_dies(shore: Shore, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    old = []
    for thread in range(12):
        for n in range(6):
            name, root = f"<{thread}-{n}@old.test>", Ref(MESSAGE_ID, f"<{thread}-0@old.test>")
            at = shore.home.now() - YEARS + (thread * 10 + n * 25) * 60_000  # threads overlap
            author = Author("email", f"p{n % 3}@old.test", f"P{n % 3}", Proof.NONE)
            new = NewPost("pools", author, (Ref(MESSAGE_ID, name),), (root,) if n else (), f"Old {thread}",
                          f"old words {thread} {n}.", written_at=at)  # fmt: skip
            old.append(Old(prepare(new, blobs, empty=True)))
    shore.home.store.write_now(bring.bring, shore.home.desk, "pools", old)
    shore.server.start()
    filling = sa.select(sa.func.count()).select_from(subscriptions).where(subscriptions.c.filling)
    for n in range(3):
        wait_for(lambda: shore.home.store.read_now(lambda tx: tx.scalar(filling)), "the room to be filled", 60)
        shore.mail(n, In_Reply_To=f"<{n}-0@old.test>")
        time.sleep(0.3)
        shore.server.kill()
        shore.server.start()
    user = shore.synapse.register()
    room = shore.room(user)  # it opens when everything is in
    words = shore.words(user, room)
    archive = [word for word in words if word.startswith("old")]
    assert archive == [f"old words {thread} {n}." for thread in range(12) for n in range(6)]
    wait_for(lambda: len(shore.words(user, room)) == 75, "what was posted meanwhile", 60)
    assert sorted(word for word in shore.words(user, room) if word.startswith("mail")) == [
        f"mail words {n}." for n in range(3)
    ]
