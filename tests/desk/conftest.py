"""A desk over a real database: a forum, its members, and words as they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from server.bridge import MESSAGE_ID, Author, Doubt, Edit, NewPost, Proof, Ref, Traits
from server.content.attachments import Blobs
from server.delivery import receipts
from server.desk import Desk, accept, change, forums
from server.desk.prepare import prepare
from server.people import identity, membership
from server.store.db import Store
from server.store.schema import letters

T = TypeVar("T")
POST = Traits("post", takes_back=False, ordered=False, tends=False, backoff_ms=(1_000,), give_up_ms=60_000)
ROOM = Traits("room", takes_back=True, ordered=True, tends=True, backoff_ms=(1_000,), give_up_ms=60_000)


class Table:
    """What lies on the desk: `now` is set by the test."""

    def __init__(self, root: Path) -> None:
        self.now = 1_700_000_000_000
        self.store = Store(f"sqlite:///{root}/junto.db")
        self.store.open()
        self.blobs = Blobs(root / "blobs")
        self.desk = Desk(b"k" * 32, "https://talk.test", {"post": POST, "room": ROOM}, now=lambda: self.now)
        self._made = 0

    def do(self, work: Callable[..., T], *args: Any) -> T:
        return self.store.write_now(work, *args)

    def forum(self, slug: str = "pools", **how: Any) -> int:
        def work(tx: Connection) -> int:
            if forums.find(tx, slug) is None and not forums.all_forums(tx):
                forums.create_community(tx, "shore", "Shore", self.now)
            return forums.create_forum(tx, slug, "shore", title=slug.title(), mail_domain="x.test", now=self.now, **how)

        return self.do(work)

    def member(
        self, name: str, slug: str = "pools", channel: str = "post", novice: bool = False, **how: Any
    ) -> identity.Known:
        """A member; unless they are a novice, they had the receipt of their first post long ago."""

        def work(tx: Connection) -> identity.Known:
            known = identity.ensure(tx, channel, f"{name}@x.test", name.title(), self.now, verified=True)
            membership.join(tx, forums.get(tx, slug).id, known.person_id, known.address_id, self.now, **how)
            if not novice:
                told = {"kind": "notice", "template": receipts.TEMPLATE, "person_id": known.person_id, "created_at": 0}
                tx.execute(letters.insert().values(**told))
            return known

        return self.do(work)

    def post(self, by: str, text: str = "words", channel: str = "post", **more: Any) -> Any:
        """Somebody writes; the desk's answer."""
        self._made += 1
        name = more.pop("name", f"<{self._made}@x.test>")
        proof = more.pop("proof", Proof.HOMESERVER if channel == "room" else Proof.NONE)
        space = "room" if channel == "room" else MESSAGE_ID
        new = NewPost(
            more.pop("forum", "pools"),
            Author(channel, f"{by}@x.test", by.title(), proof, more.pop("doubt", Doubt.NONE)),
            (Ref(space, name),),
            tuple(Ref(space, parent) for parent in more.pop("parents", ())),
            more.pop("subject", "Tides"),
            text,
            **more,
        )
        return self.do(accept.new_post, self.desk, prepare(new, self.blobs))

    def edit(self, by: str, target: str, text: str, channel: str = "room") -> Any:
        author = Author(channel, f"{by}@x.test", by.title(), Proof.HOMESERVER)
        change_ = Edit("pools", author, Ref("room", target), Ref("room", f"edit-of-{target}"), text)
        return self.do(change.edit, self.desk, prepare(change_, self.blobs))


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    made = Table(tmp_path)
    yield made
    made.store.close()
