"""A room that is new is told what was posted before it, in order, before anything else and before anybody is in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Row

from server.bridge import MESSAGE_ID, Author, Edit, HistoryItem, NewPost, Proof, Ref, Retract, Sent, Traits
from server.content.attachments import Blobs
from server.delivery import items, outbox
from server.desk import Desk, accept, bring, change, forums, history, rooms
from server.desk.bring import Old
from server.desk.prepare import prepare
from server.people import subscriptions
from server.store.schema import deliveries, posts
from tests.people.conftest import NOW, Place

CHAT = Traits("chat", takes_back=True, ordered=True, tends=True, backoff_ms=(1_000,), give_up_ms=60_000)
POST = Traits("post", takes_back=False, ordered=False, tends=False, backoff_ms=(1_000,), give_up_ms=60_000)
DESK = Desk(b"k" * 32, "https://talk.test", {"chat": CHAT, "post": POST}, now=lambda: NOW)
DAY = 86_400_000
ANA = Author("post", "ana@shore.example", "Ana", Proof.SESSION)


class Room:
    """A forum with an archive, and a channel that has a new room for it."""

    def __init__(self, place: Place, root: Path) -> None:
        self.place, self.blobs = place, Blobs(root / "blobs")
        self.said: list[str] = []

    def post(self, name: str, *answers: str, day: int) -> NewPost:
        parents = tuple(Ref(MESSAGE_ID, f"<{each}>") for each in reversed(answers))
        own = (Ref(MESSAGE_ID, f"<{name}>"),)
        return NewPost("tides", ANA, own, parents, name, f"words of {name}", written_at=NOW - 900 * DAY + day * DAY)

    def bring(self, *old: NewPost) -> None:
        self.place.do(bring.bring, DESK, "tides", [Old(prepare(each, self.blobs, empty=True)) for each in old])

    def posted(self, new: NewPost) -> None:
        self.place.do(accept.new_post, DESK, prepare(new, self.blobs))

    def attach(self, empty: bool = True) -> bool:
        return self.place.do(rooms.attach, DESK, "chat", "tides", "!new", False, empty)

    def claim(self) -> Sequence[items.Ready]:
        def work(tx: Connection) -> Sequence[items.Ready]:
            rows = outbox.claim(tx, CHAT, "me", 100, NOW)
            ready, dropped = items.check(tx, DESK, rows, NOW)
            outbox.set_aside(tx, dropped, NOW)
            return ready

        return self.place.do(work)

    def lot(self) -> HistoryItem:
        """What the room is told next."""
        ready = [each for each in self.claim() if each.kind == "history"]
        (found,), _gone = self.place.do(lambda tx: items.load(tx, DESK, ready))
        assert isinstance(found.item, HistoryItem)
        assert found.targets[0].address == "!new"
        self._row = ready[0].rows[0]
        return found.item

    def tell(self, item: HistoryItem, most: int = 1_000) -> None:
        for post in item.posts[:most]:
            self.said.append(post.message_id.strip("<>"))
            names = [Ref("chat", f"$said-{post.id}")]
            self.place.do(history.told, DESK, "chat", item, post.id, post.revision, names, "")

    def settle(self, item: HistoryItem) -> None:
        def work(tx: Connection) -> None:
            outbox.settle(tx, CHAT, [outbox.Settled(self._row.id, self._row.attempts, Sent())], NOW)
            history.went_on(tx, DESK, item)

        self.place.do(work)

    def tell_all(self) -> None:
        while self.waiting("history"):
            item = self.lot()
            self.tell(item)
            self.settle(item)

    def waiting(self, kind: str) -> list[Row[Any]]:
        query = sa.select(deliveries).where(deliveries.c.item_kind == kind, deliveries.c.state == "due")
        return self.place.do(lambda tx: list(tx.execute(query.order_by(deliveries.c.id))))

    def filling(self) -> bool:
        return bool(self.place.do(lambda tx: subscriptions.of_forum(tx, self.place.forum))[-1].filling)


@pytest.fixture
def room(place: Place, tmp_path: Path) -> Room:
    place.do(forums.set_options, "tides", {"post": "anyone"}, NOW)
    return Room(place, tmp_path)


def test_threads_come_one_after_another_by_their_first_posts_and_each_in_order(room: Room) -> None:
    old = [
        room.post("a", day=1),
        room.post("b", day=2),
        room.post("a1", "a", day=3),
        room.post("b1", "b", day=4),
        room.post("a2", "a", "a1", day=5),
    ]
    random.Random(3).shuffle(old)
    room.bring(*old)
    assert room.attach()
    room.tell_all()
    assert room.said == ["a", "a1", "a2", "b", "b1"]


def test_where_no_threads_are_shown_all_come_by_their_times(room: Room) -> None:
    room.place.do(forums.set_options, "tides", {"replies": "yes"}, NOW)
    room.bring(room.post("a", day=1), room.post("b", day=2), room.post("a1", "a", day=3))
    room.attach()
    room.tell_all()
    assert room.said == ["a", "b", "a1"]


def test_a_large_archive_comes_lot_by_lot_with_its_times_and_names(room: Room) -> None:
    room.bring(*(room.post(f"p{n}", day=n) for n in range(2 * history.LOT + 3)))
    room.attach()
    first = room.lot()
    assert [post.message_id for post in first.posts] == [f"<p{n}>" for n in range(history.LOT)]
    assert first.posts[3].written_at == NOW - 897 * DAY
    assert len(room.claim()) == 0  # one lot of a room is under way, not two
    room.tell(first)
    room.settle(first)
    room.tell_all()
    assert room.said == [f"p{n}" for n in range(2 * history.LOT + 3)]


def test_a_lot_that_was_cut_off_goes_on_with_the_first_that_was_not_told(room: Room) -> None:
    room.bring(*(room.post(f"p{n}", day=n) for n in range(5)))
    room.attach()
    room.tell(room.lot(), most=2)
    room.place.do(outbox.free_claims, NOW, ["me"])
    room.tell_all()
    assert room.said == ["p0", "p1", "p2", "p3", "p4"]


def test_what_is_posted_meanwhile_is_told_at_the_end_and_only_once(room: Room) -> None:
    room.bring(room.post("a", day=1), room.post("b", day=2))
    room.attach()
    item = room.lot()
    room.posted(room.post("a1", "a", day=900))
    assert not room.waiting("post")
    room.tell(item)
    room.settle(item)
    assert room.filling()
    room.tell_all()
    assert room.said == ["a", "b", "a1"]
    assert not room.filling()
    room.posted(room.post("a2", "a", "a1", day=900))
    assert len(room.waiting("post")) == 1


def test_the_room_opens_when_everything_is_in_and_not_before(room: Room) -> None:
    room.bring(room.post("a", day=1))
    assert room.attach()
    assert room.attach(empty=False)  # said again by every state of the forum
    room.place.do(
        lambda tx: tx.execute(deliveries.update().where(deliveries.c.item_kind == "state").values(state="sent"))
    )
    room.tell_all()
    assert len(room.waiting("state")) == 1
    assert not room.attach(empty=False)


def test_a_forum_without_posts_has_an_open_room_at_once(room: Room) -> None:
    assert not room.attach()
    assert not room.waiting("history")


def test_a_room_with_people_in_it_is_told_nothing_of_before(room: Room) -> None:
    room.bring(room.post("a", day=1))
    room.posted(room.post("b", day=899))
    assert not room.attach(empty=False)
    assert not room.waiting("history")
    assert not room.waiting("post")


def test_nothing_old_is_booked_for_anybody_else(room: Room) -> None:
    room.bring(room.post("a", day=1))
    room.attach()
    room.tell_all()
    kinds = {(row.item_kind, row.channel) for row in room.place.do(lambda tx: tx.execute(sa.select(deliveries)).all())}
    assert {kind for kind in kinds if kind[1] != "chat"} == set()


def test_words_that_change_while_they_are_told_are_put_right_after(room: Room) -> None:
    room.bring(room.post("a", day=1), room.post("b", day=2))
    room.attach()
    item = room.lot()
    changed = Edit("tides", ANA, Ref(MESSAGE_ID, "<a>"), Ref(MESSAGE_ID, "<edit>"), "other words")
    room.place.do(change.edit, DESK, prepare(changed, room.blobs))
    room.place.do(change.retract, DESK, Retract("tides", ANA, Ref(MESSAGE_ID, "<b>")))
    room.tell(item)
    assert [row.item_id for row in room.waiting("edit")]
    assert [row.item_id for row in room.waiting("retraction")]


def test_a_post_that_the_room_can_never_have_keeps_no_other_out(room: Room) -> None:
    room.bring(room.post("a", day=1), room.post("b", day=2))
    room.attach()
    item = room.lot()
    room.place.do(history.told, DESK, "chat", item, item.posts[0].id, 0, [], "too large")
    room.settle(item)
    room.tell_all()
    assert room.said == ["b"]
    failed = sa.select(deliveries.c.detail).where(deliveries.c.state == "failed")
    assert room.place.do(lambda tx: tx.scalars(failed).all()) == ["too large"]


def test_an_answer_to_an_old_post_goes_where_the_room_has_it(room: Room) -> None:
    room.bring(room.post("a", day=1))
    room.attach()
    room.tell_all()
    room.posted(room.post("a1", "a", day=900))
    ready = [each for each in room.claim() if each.kind == "post"]
    (lot,), _gone = room.place.do(lambda tx: items.load(tx, DESK, ready))
    old = room.place.do(lambda tx: tx.scalar(sa.select(posts.c.id).where(posts.c.message_id == "<a>")))
    assert Ref("chat", f"$said-{old}") in lot.item.post.root_refs  # type: ignore[union-attr]
