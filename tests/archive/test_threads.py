"""A thread in reading order, in stretches, with everything that a page shows; a forum's threads, newest activity first."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from server import limits
from server.archive import threads
from server.archive.access import STRANGER
from server.errors import NotFound
from server.store.db import Store
from tests.archive.sample import Town


def talk(tx: Connection) -> dict[str, int]:
    """#1 opens; #2 and #3 answer it; #4 answers #2; #5 answers #4; #6 opens another thread."""
    town = Town(tx)
    tides = town.forum("tides", town.community("shore", "Shore watchers"), "Tide pools")
    ana, bruno = town.person("Ana"), town.person("Bruno")
    first = town.post(tides, ana, subject="Limpets")
    thread = town.thread_of(first)
    second = town.post(tides, bruno, thread=thread, parent=first, channel="room")
    third = town.post(tides, ana, thread=thread, parent=first, channel="web")
    fourth = town.post(tides, ana, thread=thread, parent=second)
    town.post(tides, bruno, thread=thread, parent=fourth, channel="room")
    town.post(tides, bruno, subject="Whelks", channel="room")
    town.react(third, bruno, "🌊")
    town.file(third, "ab" * 32, "limpet.jpg", "image/jpeg")
    return {"tides": tides, "thread": thread, "ana": ana, "first": first, "third": third}


def test_answers_stand_under_what_they_answer(store: Store) -> None:
    store.write_now(talk)
    page = store.read_now(threads.page, STRANGER, "tides", 1)
    assert [(post.number, post.depth) for post in page.posts] == [(1, 0), (2, 1), (4, 1), (5, 1), (3, 1)]
    assert [post.parent for post in page.posts] == [None, 1, 2, 4, 1]
    assert (page.root, page.total, page.people) == (1, 5, 2)
    assert page.channels == {"post": 2, "room": 2, "web": 1}


def test_any_post_of_a_thread_leads_to_the_whole_of_it(store: Store) -> None:
    store.write_now(talk)
    page = store.read_now(threads.page, STRANGER, "TIDES", 4)
    assert page.chosen.number == 4
    assert len(page.posts) == 5
    assert page.subject == "Limpets"


def test_a_post_brings_its_files_and_signs(store: Store) -> None:
    store.write_now(talk)
    third = next(p for p in store.read_now(threads.page, STRANGER, "tides", 1).posts if p.number == 3)
    assert third.reactions == [("🌊", 1)]
    assert [(file.filename, file.url) for file in third.files] == [("limpet.jpg", f"/blob/{'ab' * 32}/limpet.jpg")]


def test_a_page_of_a_thread_takes_a_handful_of_statements(store: Store) -> None:
    store.write_now(talk)

    def counted(tx: Connection) -> int:
        statements: list[str] = []
        sa.event.listen(tx, "before_cursor_execute", lambda *about: statements.append(about[2]))
        threads.page(tx, STRANGER, "tides", 1)
        return len(statements)

    assert store.read_now(counted) <= 8


def test_a_forum_lists_its_threads_by_newest_activity(store: Store) -> None:
    store.write_now(talk)
    found = store.read_now(threads.listing, STRANGER, "tides")
    assert [(thread.number, thread.subject, thread.posts) for thread in found.threads] == [
        (6, "Whelks", 1),
        (1, "Limpets", 5),
    ]
    assert found.channels[found.threads[1].id] == ["post", "room", "web"]
    assert found.older is None


def test_older_threads_follow_a_cursor_without_gap_or_repetition(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def many(tx: Connection) -> None:
        town = Town(tx)
        tides = town.forum("tides", town.community("shore", "Shore"), "Tide pools")
        for number in range(limits.PAGE_THREADS + 3):
            town.post(tides, town.person(f"P{number}"), subject=f"T{number}")

    store.write_now(many)
    newest = store.read_now(threads.listing, STRANGER, "tides")
    older = store.read_now(threads.listing, STRANGER, "tides", newest.older)
    numbers = [thread.number for thread in [*newest.threads, *older.threads]]
    assert numbers == list(range(limits.PAGE_THREADS + 3, 0, -1))
    assert older.older is None


def test_a_long_thread_is_shown_in_stretches(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_now(talk)
    monkeypatch.setattr(limits, "PAGE_POSTS", 2)
    page = store.read_now(threads.page, STRANGER, "tides", 5)
    assert page.pages == [1, 4, 3]
    assert page.page == 1
    assert [post.number for post in page.posts] == [4, 5]
    assert page.posts[0].parent == 2  # it stands on another stretch and is named all the same


def test_what_was_taken_back_leaves_its_number_and_no_word(store: Store) -> None:
    rows = store.write_now(talk)
    store.write_now(lambda tx: tx.execute(sa.text(f"UPDATE posts SET state='retracted' WHERE id={rows['third']}")))
    third = next(p for p in store.read_now(threads.page, STRANGER, "tides", 1).posts if p.number == 3)
    assert third.gone
    assert (third.html, list(third.files), list(third.reactions)) == ("", [], [])


def test_a_held_post_is_not_there(store: Store) -> None:
    def hold(tx: Connection) -> None:
        rows = talk(tx)
        Town(tx).post(rows["tides"], rows["ana"], thread=rows["thread"], parent=rows["first"], state="held")

    store.write_now(hold)
    assert len(store.read_now(threads.page, STRANGER, "tides", 1).posts) == 5
    with pytest.raises(NotFound):
        store.read_now(threads.page, STRANGER, "tides", 7)


def bone(number: int, parent: int | None) -> Any:
    return SimpleNamespace(id=number, seq=number, parent_id=parent)


def test_a_talk_between_two_is_a_column_not_a_staircase() -> None:
    order = threads.in_reading_order([bone(1, None), bone(2, 1), bone(3, 2), bone(4, 3), bone(5, 4)])
    assert [depth for _, depth in order] == [0, 1, 1, 1, 1]


def test_depth_ends_somewhere() -> None:
    bones = [bone(1, None)]
    for level in range(1, 20):  # every answer has a sibling, so each level is deeper
        bones += [
            bone(2 * level, 2 * level - 2 if level > 1 else 1),
            bone(2 * level + 1, 2 * level - 2 if level > 1 else 1),
        ]
    assert max(depth for _, depth in threads.in_reading_order(bones)) == limits.THREAD_DEPTH_SHOWN


@given(st.lists(st.integers(0, 60), max_size=60))
def test_every_post_is_shown_once_whatever_the_parents_say(parents: list[int]) -> None:
    bones = [bone(number, parent or None) for number, parent in enumerate(parents, 1)]
    order = threads.in_reading_order(bones)
    assert sorted(each.id for each, _ in order) == [each.id for each in bones]
