"""Who may see and do what; and that no way to a post goes round it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection

from server.archive import access, feeds, places, posts, threads
from server.archive.access import STRANGER, Viewer, may
from server.errors import NotFound
from server.store.db import Store
from tests.archive.sample import Town

MEMBER, MODERATOR, OTHER = Viewer(1, {7: "member"}), Viewer(2, {7: "moderator"}), Viewer(3, {8: "owner"})
BANNED = Viewer(4, {}, frozenset((7,)))


def forum(**changes: str) -> Any:
    values = {
        "title": "Pools",
        "visibility": "public",
        "join_policy": "open",
        "post_policy": "members",
        "state": "open",
        "strangers": "confirm",
        "proof_policy": "usual",
    }
    return SimpleNamespace(id=7, **values | changes)


@pytest.mark.parametrize(
    ("who", "act", "changes", "allowed"),
    [
        (STRANGER, "read", {}, True),
        (STRANGER, "read", {"visibility": "members"}, False),
        (OTHER, "read", {"visibility": "members"}, False),
        (BANNED, "read", {"visibility": "members"}, False),
        (MEMBER, "read", {"visibility": "members"}, True),
        (STRANGER, "post", {"post_policy": "anyone"}, False),
        (MEMBER, "post", {}, True),
        (MEMBER, "post", {"post_policy": "moderators"}, False),
        (MODERATOR, "post", {"post_policy": "moderators"}, True),
        (MODERATOR, "post", {"state": "closed"}, False),
        (OTHER, "post", {}, True),  # an open forum: the first post joins
        (OTHER, "post", {"join_policy": "approval"}, False),
        (OTHER, "post", {"join_policy": "approval", "strangers": "hold"}, True),  # a moderator decides
        (OTHER, "post", {"strangers": "refuse"}, False),
        (OTHER, "post", {"visibility": "members"}, False),
        (BANNED, "post", {"post_policy": "anyone"}, False),
        (OTHER, "join", {}, True),
        (OTHER, "join", {"join_policy": "invite"}, False),
        (OTHER, "join", {"visibility": "members"}, False),
        (MEMBER, "join", {}, False),
        (BANNED, "join", {}, False),
        (MEMBER, "moderate", {}, False),
        (MODERATOR, "moderate", {}, True),
    ],
)
def test_who_may_do_what(who: Viewer, act: access.Act, changes: dict[str, str], allowed: bool) -> None:
    assert (may(who, act, forum(**changes)) is None) == allowed


def test_exact_bytes_are_for_the_author_and_moderators() -> None:
    assert access.may_see_bytes(MEMBER, forum(), author_id=1)
    assert access.may_see_bytes(MODERATOR, forum(), author_id=1)
    assert not access.may_see_bytes(OTHER, forum(), author_id=1)
    assert not access.may_see_bytes(STRANGER, forum(), author_id=None)


def hidden(tx: Connection) -> dict[str, int]:
    town = Town(tx)
    shore = town.community("shore", "Shore")
    town.forum("tides", shore, "Tide pools")
    board = town.forum("board", shore, "Board", visibility="members")
    ana, left = town.person("Ana"), town.person("Left")
    town.member(ana, board)
    town.member(left, board, state="left")
    post = town.post(board, ana, subject="Secret", message_id="<secret@lists.test>")
    town.file(post, "cd" * 32, "plan.pdf", "application/pdf")
    return {"ana": ana, "left": left}


WAYS: list[Callable[[Connection, Viewer], object]] = [
    lambda tx, who: places.forum(tx, who, "board"),
    lambda tx, who: threads.listing(tx, who, "board"),
    lambda tx, who: threads.page(tx, who, "board", 1),
    lambda tx, who: posts.by_message_id(tx, who, "secret@lists.test"),
    lambda tx, who: posts.file(tx, who, "cd" * 32),
    lambda tx, who: posts.thread_numbers(tx, who, "board", 1),
    lambda tx, who: feeds.forum(tx, who, "board"),
]


@pytest.mark.parametrize("way", WAYS)
def test_what_one_may_not_see_does_not_exist(store: Store, way: Callable[[Connection, Viewer], object]) -> None:
    rows = store.write_now(hidden)
    store.read_now(lambda tx: way(tx, places.viewer(tx, rows["ana"])))
    for stranger in (None, rows["left"], 999):
        with pytest.raises(NotFound):
            store.read_now(lambda tx, who=stranger: way(tx, places.viewer(tx, who)))


def test_a_hidden_forum_is_in_no_list_and_no_feed_of_its_community(store: Store) -> None:
    rows = store.write_now(hidden)

    def seen(tx: Connection, person: int | None) -> tuple[list[str], int]:
        who = places.viewer(tx, person)
        place = places.community(tx, who, "shore")
        return [row.slug for row in place.forums], len(feeds.community(tx, who, "shore").entries)

    assert store.read_now(seen, None) == (["tides"], 0)
    assert store.read_now(seen, rows["ana"]) == (["board", "tides"], 1)


def test_a_file_of_a_post_that_was_taken_back_is_gone(store: Store) -> None:
    rows = store.write_now(hidden)
    store.write_now(lambda tx: tx.exec_driver_sql("UPDATE posts SET state='retracted'"))
    with pytest.raises(NotFound):
        store.read_now(lambda tx: posts.file(tx, places.viewer(tx, rows["ana"]), "cd" * 32))
