"""Old posts, many in one transaction: placed as if each had come alone, and nobody hears of it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.bridge import MESSAGE_ID, Author, NewPost, Proof, Ref
from server.content.attachments import Blobs
from server.desk import Desk, accept, bring, forums
from server.desk.bring import Brought, Old
from server.desk.prepare import prepare
from server.store.db import Store
from server.store.schema import addresses, changes, deliveries, memberships, originals, people, posts, refs, threads
from tests.desk.conftest import POST, ROOM

NOW = 1_700_000_000_000
DAY = 86_400_000


class Shelf:
    """A forum on one of the databases, and old posts for it."""

    def __init__(self, url: str, root: Path) -> None:
        self.store, self.blobs = Store(url), Blobs(root / "blobs")
        self.store.open()
        self.desk = Desk(b"k" * 32, "https://talk.test", {"post": POST, "room": ROOM}, now=lambda: NOW)

        def work(tx: Connection) -> None:
            forums.create_community(tx, "shore", "Shore", NOW)
            forums.create_forum(tx, "pools", "shore", title="P", mail_domain="x.test", post_policy="anyone", now=NOW)

        self.store.write_now(work)

    def new(self, name: str, *references: str, by: str = "ana", subject: str = "Tides", **more: Any) -> NewPost:
        """A post that names its References from the root to the parent, as mail does."""
        parents = tuple(Ref(MESSAGE_ID, f"<{each}>") for each in reversed(references))
        author = Author("post", f"{by}@x.test", by.title(), Proof.AUTHENTICATED)
        own = (Ref(MESSAGE_ID, f"<{name}>"),) if name else ()
        return NewPost("pools", author, own, parents, subject, f"words of {name}", **more)

    def bring(self, *old: NewPost, **more: Any) -> list[Brought]:
        ready = [Old(prepare(each, self.blobs, empty=True), **more) for each in old]
        return self.store.write_now(bring.bring, self.desk, "pools", ready)

    def accept(self, new: NewPost) -> None:
        self.store.write_now(accept.new_post, self.desk, prepare(new, self.blobs))

    def rows(self, table: sa.Table) -> list[sa.Row[Any]]:
        return self.store.read_now(lambda tx: list(tx.execute(sa.select(table).order_by(*table.primary_key))))

    def state(self) -> Any:
        """Everything that threads are made of, by names instead of ids."""
        every = self.rows(posts)
        name = {row.id: row.message_id for row in every} | {None: None}
        refs_ = {row.id: row.name for row in self.rows(refs)}
        family: dict[int, set[str]] = {}
        for row in self.rows(refs):
            family.setdefault(row.thread_id, set()).add(row.name)
        return (
            {row.message_id: (row.seq, name[row.parent_id], refs_.get(row.parent_ref_id)) for row in every},
            {
                frozenset(family.get(row.id, ())): (row.posts, row.last_seq, name[row.root_post_id], row.subject)
                for row in self.rows(threads)
                if row.merged_into is None
            },
            sorted((row.name, name[row.post_id]) for row in self.rows(refs)),
        )


@pytest.fixture
def shelf(database: str, tmp_path: Path) -> Any:
    made = Shelf(database, tmp_path)
    yield made
    made.store.close()


def some_posts(shelf: Shelf, seed: int) -> list[NewPost]:
    """Threads with branches, ghosts, late parents, new topics, made-up cycles and families that meet."""
    chance = random.Random(seed)
    chains: dict[str, list[str]] = {}
    made: list[NewPost] = []
    for number in range(60):
        name = f"p{number}"
        chain: list[str] = []
        if chains and chance.random() < 0.75:
            parent = chance.choice(list(chains)[-12:])
            chain = [*chains[parent], parent]
        if chance.random() < 0.1:
            chain = [*chain, f"p{chance.randrange(80)}"]
        chains[name] = chain
        if chance.random() < 0.1:
            continue  # never came
        shown = chain if chance.random() < 0.7 else chain[-1:]
        subject = "Weeds (was: Tides)" if chance.random() < 0.1 else "Re: Tides"
        made.append(shelf.new(name, *shown, by=chance.choice(["ana", "ben"]), subject=subject))
    for _ in range(15):
        here = chance.randrange(len(made) - 1)
        made[here], made[here + 1] = made[here + 1], made[here]
    return made


@pytest.mark.parametrize("seed", range(25))
def test_many_at_once_stand_as_if_each_had_come_alone(tmp_path: Path, seed: int) -> None:
    alone, together = (Shelf(f"sqlite:///{tmp_path}/{name}.db", tmp_path) for name in ("alone", "together"))
    old = some_posts(alone, seed)
    for each in old:
        alone.accept(each)
    for start in range(0, len(old), 23):
        together.bring(*old[start : start + 23])
    assert together.state() == alone.state()
    for made in (alone, together):
        made.store.close()


def test_old_posts_get_numbers_dates_people_and_changes_and_nothing_else(shelf: Shelf) -> None:
    old = [
        shelf.new("a", written_at=NOW - 9 * DAY, original=b"Subject: a\r\n\r\nwords\r\n"),
        shelf.new("b", "a", by="ben", written_at=NOW + 9 * DAY),
        shelf.new("c"),
    ]
    assert shelf.bring(*old, at=NOW - DAY) == [Brought(1), Brought(2), Brought(3)]
    rows = shelf.rows(posts)
    assert [(row.seq, row.published_at - NOW, row.imported) for row in rows] == [
        (1, -9 * DAY, True),
        (2, 0, True),
        (3, -DAY, True),
    ]
    assert [row.author_name for row in rows] == ["Ana", "Ben", "Ana"]
    assert len(shelf.rows(people)) == 2
    assert [row.verified_at for row in shelf.rows(addresses)] == [None, None]
    assert [row.thing_id for row in shelf.rows(changes) if row.kind == "post"] == [row.id for row in rows]
    assert len(shelf.rows(originals)) == 1
    assert shelf.rows(deliveries) == shelf.rows(memberships) == []
    forum = shelf.store.read_now(forums.get, "pools")
    assert (forum.last_seq, forum.modseq) == (3, max(row.modseq for row in shelf.rows(changes)))


def test_what_is_here_already_is_not_brought_again_whoever_wrote_it(shelf: Shelf) -> None:
    shelf.accept(shelf.new("a"))
    again = shelf.bring(shelf.new("a", by="munged"), shelf.new("b"), shelf.new("b"))
    assert again == [Brought(), Brought(2), Brought()]
    assert shelf.bring(shelf.new("b"), shelf.new("")) == [Brought(), Brought(3)]
    assert shelf.bring(shelf.new("")) == [Brought()]


def test_numbers_are_kept_where_they_fit(shelf: Shelf) -> None:
    assert shelf.bring(shelf.new("a"), number=7) == [Brought(7)]
    assert shelf.bring(shelf.new("b"), number=7) == [Brought(8)]
    assert shelf.bring(shelf.new("c"), number=2**62) == [Brought(9)]


def test_a_new_post_goes_on_after_old_ones_and_answers_them(shelf: Shelf) -> None:
    shelf.bring(*(shelf.new(f"p{n}", *([f"p{n - 1}"] if n else [])) for n in range(1_200)))
    shelf.accept(shelf.new("now", "p3"))
    state = shelf.state()[0]
    assert state["<now>"] == (1_201, "<p3>", "<p3>")
    forum = shelf.store.read_now(forums.get, "pools")
    assert forum.fuse_reason is None


def test_who_has_no_address_is_refused_and_the_others_are_taken(shelf: Shelf) -> None:
    nobody = shelf.new("a", by="")
    nobody = NewPost("pools", Author("post", ""), nobody.refs, text="x")
    assert [each.number for each in shelf.bring(nobody, shelf.new("b"))] == [None, 1]
