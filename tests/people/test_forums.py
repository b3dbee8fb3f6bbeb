"""Names, options and counters of forums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.desk import forums
from server.desk.options import OPTIONS
from server.errors import CommandError, NotFound
from server.store.db import Store
from server.store.schema import changes
from server.store.schema import forums as table
from tests.people.conftest import NOW, Place


@pytest.mark.parametrize("slug", ["a", "tides", "tide-pools", "a1", "x" * 29, "2026"])
def test_a_good_name_is_taken(slug: str) -> None:
    forums.check_slug(slug)


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "-a",
        "a-",
        "Tides",
        "tide_pools",
        "x" * 30,
        "a b",
        "ä",
        "a\n",
        "tides-join",
        "tides-via",
        "postmaster",
        "abuse",
    ],
)
def test_a_bad_name_is_refused_with_a_sentence(slug: str) -> None:
    with pytest.raises(CommandError, match="cannot be a name"):
        forums.check_slug(slug)


def test_forums_and_communities_share_their_names(place: Place) -> None:
    with pytest.raises(CommandError, match="taken already"):
        place.do(forums.create_community, "tides", "Another", NOW)
    with pytest.raises(CommandError, match="taken already"):
        place.do(forums.create_forum, "shore", "shore", title="T", mail_domain="d", now=NOW)


def test_a_forum_needs_a_community_that_is_there(place: Place) -> None:
    with pytest.raises(CommandError, match="community create"):
        place.do(forums.create_forum, "kelp", "forest", title="T", mail_domain="d", now=NOW)
    assert place.see(forums.find, "kelp") is None


def test_a_forum_is_found_by_its_name_in_any_case_and_seen_with_its_community(place: Place) -> None:
    row = place.see(forums.find, "TIDES")
    seen = forums.view(row, "https://talk.example")
    assert (seen.slug, seen.title, seen.mail_domain, seen.url) == (
        "tides",
        "Tide pools",
        "shore.example",
        "https://talk.example/f/tides",
    )
    assert (seen.community.name, seen.community.url) == ("Shore watchers", "https://talk.example/c/shore")
    assert (seen.settle_ms, seen.visibility, seen.federate, seen.state) == (120_000, "public", True, "open")
    with pytest.raises(NotFound, match="no forum “kelp”"):
        place.see(forums.get, "kelp")


def test_options_are_set_by_their_public_names(place: Place) -> None:
    place.do(forums.set_options, "tides", {"settle": "0", "join": "invite", "reply_to": "author", "title": "Pools"})
    row = place.see(forums.get, "tides")
    assert (row.settle_ms, row.join_policy, row.reply_to, row.title) == (0, "invite", "author", "Pools")


def test_a_bad_option_changes_nothing_and_says_what_is_allowed(place: Place) -> None:
    bad = [
        ("settle", "soon"),
        ("settle", "-1"),
        ("settle", "90000"),
        ("join", "maybe"),
        ("reply_to", "2"),
        ("title", ""),
        ("title", "two\nlines"),
        ("max_size", "9" * 20),
        ("link_over", "-1"),
        ("colour", "red"),
    ]
    before = place.see(forums.get, "tides")
    for key, text in bad:
        with pytest.raises(CommandError, match=key):
            place.do(forums.set_options, "tides", {"post": "anyone", key: text})
        assert place.see(forums.get, "tides") == before


def test_every_option_names_a_column(place: Place) -> None:
    row = place.see(forums.get, "tides")
    assert [key for key, option in OPTIONS.items() if option.column not in row._fields] == []


def test_numbers_of_posts_follow_one_another(place: Place) -> None:
    numbers = [place.do(forums.next_number, place.forum) for _ in range(3)]
    assert [seq for seq, _modseq in numbers] == [1, 2, 3]
    assert [modseq - numbers[0][1] for _seq, modseq in numbers] == [0, 1, 2]


def test_a_change_is_written_under_its_number(place: Place) -> None:
    last = place.see(forums.by_id, place.forum).modseq

    def work(tx: Connection) -> int:
        forums.lock(tx, place.forum)
        forums.changed(tx, place.forum, "post", 7, NOW)
        return forums.changed(tx, place.forum, "edit", 7, NOW + 1)

    def since(tx: Connection, modseq: int) -> Sequence[sa.Row[Any]]:
        return tx.execute(sa.select(changes).where(changes.c.modseq > modseq).order_by(changes.c.modseq)).all()

    assert place.do(work) == last + 2
    rows = place.see(since, last)
    assert [(row.modseq, row.kind, row.thing_id, row.at) for row in rows] == [
        (last + 1, "post", 7, NOW),
        (last + 2, "edit", 7, NOW + 1),
    ]


def test_a_closed_forum_stays_and_says_so(place: Place) -> None:
    place.do(forums.close, "tides", NOW)
    assert place.see(forums.get, "tides").state == "closed"


def test_a_fuse_holds_and_lets_go(place: Place) -> None:
    place.do(forums.set_fuse, place.forum, "a loop")
    assert place.see(forums.get, "tides").fuse_reason == "a loop"
    place.do(forums.set_fuse, place.forum, None)
    assert place.see(forums.get, "tides").fuse_reason is None


def test_what_fails_leaves_no_name_behind(store: Store) -> None:
    store.write_now(forums.create_community, "shore", "Shore", NOW)
    with pytest.raises(CommandError):
        store.write_now(forums.create_forum, "tides", "shore", title="T", mail_domain="d", visibility="secret", now=NOW)
    assert store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(table))) == 0
    store.write_now(forums.create_forum, "tides", "shore", title="T", mail_domain="d", now=NOW)
