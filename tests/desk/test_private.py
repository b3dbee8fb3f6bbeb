"""An author's address and the one that reaches them through the forum: hidden by their wish or the forum's, renewed at will."""

from __future__ import annotations

from typing import Any

import pytest

from server.bridge import Author, Letter, PostItem, Proof, Writer
from server.delivery import items, outbox
from server.desk import forums, letters
from server.errors import CommandError, Rejected
from server.people import membership
from tests.desk.conftest import POST, Table


def writers(table: Table) -> list[Writer]:
    """The writers of the posts that are due, as bridges get them."""
    claimed = table.do(outbox.claim, POST, "me", 100, table.now)
    ready, _dropped = table.do(items.check, table.desk, claimed, table.now)
    lots, _gone = table.do(items.load, table.desk, ready)
    return [lot.item.post.writer for lot in lots if isinstance(lot.item, PostItem)]


def write(table: Table, token: str | None) -> Any:
    letter = Letter(
        "author", Author("post", "bo@x.test", "Bo", Proof.AUTHENTICATED), "pools", token, "Hello", "in private"
    )
    return table.do(letters.accept, table.desk, letter)


@pytest.fixture
def shore(table: Table) -> Table:
    table.forum()
    table.member("bo")
    return table


def test_an_address_is_shown_unless_its_owner_or_the_forum_hides_it(shore: Table) -> None:
    ana = shore.member("ana")
    shore.post("ana")
    assert [writer.hidden for writer in writers(shore)] == [False]
    shore.do(membership.set_member, 1, ana.person_id, {"hide_address": True})
    shore.post("ana")
    assert [writer.hidden for writer in writers(shore)] == [True]
    shore.do(membership.set_member, 1, ana.person_id, {"hide_address": False})
    shore.do(forums.set_options, "pools", {"hide_addresses": "yes"}, shore.now)
    shore.post("ana")
    assert [writer.hidden for writer in writers(shore)] == [True]


def test_a_private_address_is_renewed_and_the_old_one_reaches_nobody(shore: Table) -> None:
    ana = shore.member("ana")
    shore.post("ana")
    (old,) = writers(shore)
    write(shore, old.via)
    shore.do(membership.renew_via, shore.desk.secret, 1, ana.person_id, shore.now)
    shore.post("ana")
    (new,) = writers(shore)
    assert new.via != old.via
    write(shore, new.via)
    with pytest.raises(Rejected, match="no such address"):
        write(shore, old.via)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("subject_prefix", " [pools] ", "[pools]"),
        ("subject_prefix", "-", ""),
        ("footer", "one  \ntwo\n", "one\ntwo"),
        ("footer", "-", ""),
    ],
)
def test_what_stands_on_every_mail_is_set(shore: Table, key: str, text: str, value: str) -> None:
    shore.do(forums.set_options, "pools", {key: text}, shore.now)
    forum = shore.store.read_now(lambda tx: forums.get(tx, "pools"))
    assert getattr(forum, key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [("subject_prefix", "a\nb"), ("subject_prefix", "x" * 41), ("footer", "x" * 1_001), ("footer", "a\0b")],
)
def test_what_cannot_stand_there_is_refused(shore: Table, key: str, text: str) -> None:
    with pytest.raises(CommandError):
        shore.do(forums.set_options, "pools", {key: text}, shore.now)
