"""Rooms that stand for a forum: what one gets, who is in it, and what becomes of its posts when it is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server import bridge
from server.bridge import MESSAGE_ID, Author, NewPost, Proof, Ref, Traits
from server.content.attachments import Blobs
from server.delivery import items, outbox
from server.desk import Desk, accept, book, change, forums, rooms, shutting
from server.desk.prepare import prepare
from server.moderation import bans
from server.people import identity, membership, subscriptions
from server.store.schema import deliveries, letters, refs
from tests.people.conftest import NOW, Place

CHAT = Traits("chat", takes_back=True, ordered=True, tends=True, backoff_ms=(1_000,), give_up_ms=60_000)
POST = Traits("post", takes_back=False, ordered=False, tends=False, backoff_ms=(1_000,), give_up_ms=60_000)


def _of_chat(address: str) -> str | None:
    return address if address.startswith("@") else None


DESK = Desk(b"k" * 32, "https://talk.test", {"chat": CHAT, "post": POST}, claims={"chat": _of_chat}, now=lambda: NOW)


def says(place: Place, tmp_path: Any, number: int = 1) -> int:
    """Ana writes by mail; the post's id."""
    author = Author("post", "ana@shore.example", "Ana", Proof.AUTHENTICATED)
    new = NewPost("tides", author, (Ref(MESSAGE_ID, f"<{number}@shore.example>"),), (), "Tides", "words")
    place.do(accept.new_post, DESK, prepare(new, Blobs(tmp_path / "blobs")))
    return number


def claimed(place: Place) -> list[tuple[str, str]]:
    """What leaves by the channel now, as the courier sees it: (kind, room)."""

    def work(tx: Connection) -> list[tuple[str, str]]:
        rows = outbox.claim(tx, CHAT, "me", 100, NOW)
        ready, dropped = items.check(tx, DESK, rows, NOW)
        outbox.set_aside(tx, dropped, NOW)
        return [(each.kind, row.address or "") for each in ready for row in each.rows]

    return place.do(work)


def settled(place: Place) -> None:
    place.do(lambda tx: tx.execute(deliveries.update().values(state="sent", lease_until=None)))


def option(place: Place, **options: str) -> None:
    place.do(forums.set_options, "tides", options, NOW)


def join(place: Place, who: identity.Known, **how: Any) -> None:
    def work(tx: Connection) -> None:
        membership.join(tx, place.forum, who.person_id, None, NOW, **how)
        forums.changed(tx, place.forum, "member", who.person_id, NOW)

    place.do(work)


def member_is(place: Place, who: identity.Known, **values: Any) -> None:
    place.do(membership.set_member, place.forum, who.person_id, values)


def state(place: Place) -> bridge.StateItem:
    found: bridge.StateItem = place.see(rooms.state, DESK, place.forum, "chat")
    return found


@pytest.fixture
def home(place: Place) -> Place:
    join(place, place.ana)
    place.do(book.tend, DESK, place.forum, NOW)
    assert claimed(place) == [("state", "")]
    settled(place)
    return place


def test_a_change_of_a_member_or_of_the_forum_is_told_once_for_many(home: Place) -> None:
    join(home, home.bruno)
    option(home, title="Low tide", join="invite")
    assert claimed(home) == [("state", "")]
    option(home, title="High tide")  # while it is under way
    assert claimed(home) == [("state", "")]
    assert claimed(home) == []


def test_a_bridge_that_is_turned_on_later_is_told_of_what_there_is(place: Place) -> None:
    place.do(book.tend_new, DESK)
    place.do(book.tend_new, DESK)
    assert claimed(place) == [("state", "")]


PLACES: list[tuple[str, Mapping[str, Any], Mapping[str, tuple[str, ...]]]] = [
    ("an owner", {"role": "owner"}, {"owners": ("@bruno:shore.example",)}),
    ("a moderator", {"role": "moderator"}, {"moderators": ("@bruno:shore.example",)}),
    ("who may not write", {"may_post": False}, {"muted": ("@bruno:shore.example",)}),
    ("a moderator, muted or not", {"role": "moderator", "may_post": False}, {"moderators": ("@bruno:shore.example",)}),
    ("who asked", {"state": "pending"}, {"asking": ("@bruno:shore.example",)}),
    ("who left", {"state": "left", "role": "owner"}, {}),
    ("who is banned", {"state": "banned", "role": "owner"}, {"banned": ("@bruno:shore.example",)}),
]


@pytest.mark.parametrize(("values", "wanted"), [row[1:] for row in PLACES], ids=[row[0] for row in PLACES])
def test_everybody_has_the_place_that_they_have_in_the_forum(
    home: Place, values: Mapping[str, Any], wanted: Mapping[str, tuple[str, ...]]
) -> None:
    join(home, home.bruno)
    member_is(home, home.bruno, **values)
    found = state(home)
    told = {name: getattr(found, name) for name in ("owners", "moderators", "members", "asking", "banned", "muted")}
    assert {name: who for name, who in told.items() if who} == wanted


def test_members_are_named_where_not_everybody_comes_in_by_themselves(home: Place) -> None:
    join(home, home.bruno)
    assert state(home).members == ()
    for options in ({"visibility": "members"}, {"visibility": "public", "join": "approval"}, {"join": "invite"}):
        option(home, **options)
        assert state(home).members == ("@bruno:shore.example",)


def test_who_never_came_and_is_banned_is_named_too(home: Place) -> None:
    for kind, value in ((bans.ADDRESS, "@eve:far.example"), (bans.ADDRESS, "eve@far.example"), (bans.DOMAIN, "x.org")):
        home.do(shutting.ban, None, kind, value, "", "command", NOW)
    assert state(home).banned == ("@eve:far.example",)


def test_a_room_gets_nothing_of_a_forum_that_is_members_only_unless_only_they_are_in_it(
    home: Place, tmp_path: Any
) -> None:
    home.do(rooms.attach, DESK, "chat", "tides", "!open", False)
    says(home, tmp_path)
    option(home, visibility="members")
    assert claimed(home) == [("state", "")]
    home.do(rooms.detach, "chat", "!open")
    home.do(rooms.attach, DESK, "chat", "tides", "!closed", True)
    says(home, tmp_path, 2)
    assert claimed(home) == [("post", "!closed")]
    settled(home)
    option(home, visibility="public")
    says(home, tmp_path, 3)
    assert ("post", "!closed") in claimed(home)


def test_what_waits_for_a_room_goes_to_the_one_that_replaces_it_and_nothing_is_told_again(
    home: Place, tmp_path: Any
) -> None:
    home.do(rooms.attach, DESK, "chat", "tides", "!old", True)
    says(home, tmp_path, 1)
    assert claimed(home) == [("post", "!old")]
    settled(home)
    says(home, tmp_path, 2)
    says(home, tmp_path, 3)
    assert claimed(home) == [("post", "!old"), ("post", "!old")]  # under way when the room ended
    for _ in range(2):
        home.do(rooms.move, DESK, "chat", "tides", "!old", "!new", True)
    assert claimed(home) == [("state", ""), ("post", "!new"), ("post", "!new")]
    assert home.see(subscriptions.room_forum, "chat", "!old") is None
    assert home.see(subscriptions.room_forum, "chat", "!new") == home.forum
    settled(home)
    option(home, visibility="members")
    settled(home)
    says(home, tmp_path, 4)
    assert claimed(home) == [("post", "!new")]


def test_what_is_taken_back_is_taken_back_in_rooms_that_were(home: Place, tmp_path: Any) -> None:
    home.do(rooms.attach, DESK, "chat", "tides", "!old", False)
    says(home, tmp_path)
    settled(home)
    home.do(rooms.move, DESK, "chat", "tides", "!old", "!new", False)
    author = Author("post", "ana@shore.example", "Ana", Proof.SESSION)
    home.do(change.retract, DESK, bridge.Retract("tides", author, Ref(MESSAGE_ID, "<1@shore.example>")))
    assert claimed(home) == [("state", ""), ("retraction", "!old")]


def test_a_post_that_is_in_the_room_already_is_not_said_again(home: Place, tmp_path: Any) -> None:
    home.do(rooms.attach, DESK, "chat", "tides", "!room", False)
    post_id = says(home, tmp_path)
    named = [Ref("chat", "$a"), Ref("chat", "$b", 1)]
    other = home.do(rooms.note, "chat", "tides", "!room", post_id, "<another@shore.example>", named, NOW)
    assert not other
    for _ in range(2):
        assert home.do(rooms.note, "chat", "tides", "!room", post_id, "<1@shore.example>", named, NOW)
    assert claimed(home) == []
    found = home.see(lambda tx: tx.execute(sa.select(refs.c.name, refs.c.part).where(refs.c.space == "chat")).all())
    assert sorted(map(tuple, found)) == [("$a", 0), ("$b", 1)]


def test_the_forums_that_somebody_looks_after(home: Place) -> None:
    join(home, home.bruno)
    assert home.see(rooms.looked_after, "chat", "@bruno:shore.example") == []
    member_is(home, home.bruno, role="moderator")
    assert [row.slug for row in home.see(rooms.looked_after, "chat", "@bruno:shore.example")] == ["tides"]
    assert home.see(rooms.looked_after, "chat", "@nobody:shore.example") == []


def test_the_operator_is_told_once_a_day_that_a_room_is_closed(home: Place) -> None:
    watched = replace(DESK, operator=("post", "root@shore.example"))
    for _ in range(2):
        home.do(rooms.alarm, watched, "tides", "The bot was put out.")
    home.do(rooms.alarm, DESK, "tides", "Nobody is there to be told.")
    query = sa.select(letters.c.data).where(letters.c.template == "room-closed")
    (told,) = home.see(lambda tx: tx.scalars(query).all())
    assert "put out" in told
