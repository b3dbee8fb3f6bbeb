"""Held posts and the record of decisions."""

from __future__ import annotations

import re

import sqlalchemy as sa
from sqlalchemy import Connection

from server.bridge import Ref
from server.moderation import audit, queue
from server.store.schema import audit as audit_table
from server.store.schema import posts
from server.store.upsert import insert_id
from tests.people.conftest import NOW, Place

BY = "post:eve@x.example"
REFS = [Ref("message-id", "<a@x.example>")]


def _post(tx: Connection, forum: int) -> int:
    facts = {"forum_id": forum, "channel": "post", "message_id": "<a@x.example>", "subject": "Kelp", "state": "held"}
    return insert_id(tx, posts, **facts, arrived_at=NOW, author_name="Eve")


def test_a_held_post_has_a_name_by_which_it_is_found(place: Place) -> None:
    post = place.do(_post, place.forum)
    name = place.do(queue.hold, post, place.forum, BY, "hash", "no member yet", REFS, [])
    assert re.fullmatch("H-[a-z2-7]{4}", name)
    row = place.see(queue.find, name.upper())
    assert (row.post_id, row.reason, queue.names(row)) == (post, "no member yet", REFS)
    assert place.see(queue.find, "H-") is None


def test_the_same_words_of_the_same_author_wait_once(place: Place) -> None:
    first = place.do(_post, place.forum)
    name = place.do(queue.hold, first, place.forum, BY, "hash", "why", REFS, [])
    assert place.see(queue.same, place.forum, BY, "hash") == name
    assert place.see(queue.same, place.forum, BY, "other") is None
    second = place.do(_post, place.forum)
    assert place.do(queue.hold, second, place.forum, BY, "hash", "why", REFS, []) == name
    assert place.see(queue.find, name).post_id == first
    assert len(place.see(queue.listing, None)) == 1


def test_the_list_shows_what_waits_and_forgets_what_was_decided(place: Place) -> None:
    posts_ = [place.do(_post, place.forum) for _ in range(3)]
    for number, post in enumerate(posts_):
        place.do(queue.hold, post, place.forum, BY, f"hash {number}", "why", REFS, [])
    rows = place.see(queue.listing, place.forum)
    assert [(row.post_id, row.slug, row.subject, row.author_name) for row in rows] == [
        (post, "tides", "Kelp", "Eve") for post in posts_
    ]
    place.do(queue.release, posts_[0])
    assert [row.post_id for row in place.see(queue.listing, None)] == posts_[1:]
    assert place.see(queue.listing, place.forum + 1) == []


def test_a_decision_is_recorded(place: Place) -> None:
    place.do(audit.record, "person:1", "approve", "H-abcd", NOW, forum_id=place.forum, detail="tides/1")
    row = place.see(lambda tx: tx.execute(sa.select(audit_table)).one())
    assert (row.actor, row.verb, row.thing, row.at, row.detail) == ("person:1", "approve", "H-abcd", NOW, "tides/1")
