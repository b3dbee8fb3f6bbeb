"""What a forum keeps out or holds back: bans, limits, spam, strangers, first posts, machines, an emergency."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from server import globs
from server.bridge import WEB, Accepted, Act, Attachment, Author, Held, Join, NewPost, Proof, Ref, Spam
from server.desk import accept, decide, forums, members, shutting
from server.desk.prepare import prepare
from server.errors import CommandError, Rejected
from server.moderation import bans, queue
from server.people import handles
from server.store.schema import held, memberships, posts
from tests.desk.conftest import Table

AUTHENTIC = Proof.AUTHENTICATED


def options(table: Table, **values: str) -> None:
    table.do(forums.set_options, "pools", values, table.now)


def ban(table: Table, kind: str, value: str, forum: int | None = None) -> bool:
    return table.do(shutting.ban, forum, kind, value, "", "command", table.now)


def waiting(table: Table) -> list[Any]:
    return table.store.read_now(lambda tx: queue.listing(tx, None))


def confirm(table: Table, forum: int, by: str) -> None:
    known = table.store.read_now(lambda tx: tx.execute(sa.select(posts.c.address_id)).scalar())
    name = table.store.read_now(lambda tx: tx.execute(sa.select(held.c.name)).scalar())
    data = {"address_id": known, "template": "confirm-post", "held": name}
    token = table.do(handles.grant, "confirm", forum, data, table.now, 60_000)
    table.do(members.act, table.desk, Act("pools", Author("post", f"{by}@x.test"), "confirm", token))


# Bans -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bans.ADDRESS, "eve@x.test"),
        (bans.DOMAIN, "x.test"),
        (bans.DOMAIN, "test"),
        (bans.PATTERN, "e?e@*.test"),
        (bans.PATTERN, "*"),
    ],
)
def test_who_is_banned_neither_posts_nor_joins_nor_commands(table: Table, kind: str, value: str) -> None:
    table.forum(post_policy="anyone")
    assert ban(table, kind, value)
    eve = Author("post", "eve@x.test", "Eve", AUTHENTIC)
    with pytest.raises(Rejected, match="shut out"):
        table.post("eve", proof=AUTHENTIC)
    for asked in (Join("pools", eve), Act("pools", eve, "help")):
        with pytest.raises(Rejected) as refused:
            table.do(members.join if isinstance(asked, Join) else members.act, table.desk, asked)
        assert refused.value.code == "5.7.1"
    assert table.do(shutting.lift, None, value, "command", table.now)
    assert isinstance(table.post("eve", proof=AUTHENTIC), Accepted)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(bans.ADDRESS, "ev@x.test"), (bans.DOMAIN, "ve@x.test"), (bans.DOMAIN, "y.x.test"), (bans.PATTERN, "e?@x.test")],
)
def test_others_are_not_banned_with_them(table: Table, kind: str, value: str) -> None:
    table.forum(post_policy="anyone")
    ban(table, kind, value)
    assert isinstance(table.post("eve", proof=AUTHENTIC), Accepted)


def test_a_ban_of_one_forum_holds_there_only_and_ends_the_membership(table: Table) -> None:
    pools = table.forum()
    table.forum("rocks")
    for slug in ("pools", "rocks"):
        table.member("eve", slug)
    assert ban(table, bans.ADDRESS, "eve@x.test", pools)
    assert not ban(table, bans.ADDRESS, "eve@x.test", pools)
    states = table.store.read_now(lambda tx: list(tx.scalars(sa.select(memberships.c.state).order_by("id"))))
    assert states == ["banned", "active"]
    assert isinstance(table.post("eve", forum="rocks"), Accepted)
    with pytest.raises(Rejected):
        table.post("eve")


def test_a_ban_covers_whoever_signs_in_with_the_address(table: Table) -> None:
    table.forum()
    eve = table.member("eve")
    ban(table, bans.DOMAIN, "x.test")
    new = NewPost("pools", Author(WEB, str(eve.person_id), "Eve", Proof.SESSION), (Ref("form", "f"),), text="words")
    with pytest.raises(Rejected, match="shut out"):
        table.do(accept.new_post, table.desk, prepare(new, table.blobs))


def test_a_room_address_has_a_domain_too(table: Table) -> None:
    assert bans.domain("@eve:spam.example") == "spam.example"
    assert bans.domain("@eve:spam.example:8448") == "spam.example"


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_a_glob_covers_what_its_meaning_says(pattern: str, text: str) -> None:
    def means(p: str, t: str) -> bool:
        if not p:
            return not t
        if p[0] == "*":
            return means(p[1:], t) or (bool(t) and means(p, t[1:]))
        return bool(t) and p[0] in ("?", t[0]) and means(p[1:], t[1:])

    assert globs.matches(pattern, text) == means(pattern, text)


def test_a_hostile_glob_costs_little() -> None:
    assert not globs.matches("*a" * 150 + "b", "a" * 300)


# Limits ---------------------------------------------------------------------------------------------------------------
def test_too_many_recipients(table: Table) -> None:
    table.forum()
    table.member("ana")
    options(table, max_recipients="2")
    assert isinstance(table.post("ana", addressed=("pools@x.test", "bo@x.test")), Accepted)
    with pytest.raises(Rejected, match="3 addresses at once; Pools takes mail that names 2"):
        table.post("ana", addressed=("pools@x.test", "bo@x.test", "cy@x.test"))
    options(table, max_recipients="0")
    assert isinstance(table.post("ana", addressed=tuple(f"{n}@x.test" for n in range(99))), Accepted)


@pytest.mark.parametrize(
    ("refused", "file"),
    [
        ("exe .scr", Attachment("Invoice.PDF.EXE", "application/pdf", b"MZ")),
        ("exe", Attachment("setup.exe.", "application/pdf", b"MZ")),
        ("application/x-msdownload", Attachment("a.bin", "application/x-msdownload", b"MZ")),
        ("video/*", Attachment("tide.mp4", "video/mp4", b"film")),
        ("image/png", Attachment("shot", "application/octet-stream", b"\x89PNG\r\n\x1a\n")),
    ],
)
def test_a_refused_file_is_named(table: Table, refused: str, file: Attachment) -> None:
    table.forum()
    table.member("ana")
    options(table, refused_types=refused)
    if file.filename == "shot":  # nothing says that it is a picture but its bytes, and pictures are told by name too
        assert isinstance(table.post("ana", attachments=(file,)), Accepted)
        file = replace(file, filename="shot.png")
    with pytest.raises(Rejected) as no:
        table.post("ana", attachments=(Attachment("fine.txt", "text/plain", b"fine"), file))
    assert no.value.code == "5.7.1"
    assert f"“{file.filename.rstrip('.')}”" in no.value.reason
    assert isinstance(table.post("ana", attachments=(Attachment("fine.txt", "text/plain", b"fine"),)), Accepted)


# Spam -----------------------------------------------------------------------------------------------------------------
def test_spam_is_held_or_refused(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.member("mod", role="moderator")
    assert isinstance(table.post("ana", spam=Spam.SUSPECT), Held)
    assert "unwanted" in waiting(table)[0].reason
    with pytest.raises(Rejected, match="unwanted") as refused:
        table.post("ana", spam=Spam.CERTAIN)
    assert refused.value.code == "5.7.1"
    assert isinstance(table.post("mod", spam=Spam.SUSPECT, proof=AUTHENTIC), Accepted)


def test_a_strangers_spam_is_not_answered_with_a_question(table: Table) -> None:
    table.forum()
    table.post("eve", spam=Spam.SUSPECT)
    (row,) = waiting(table)
    assert row.awaits == queue.MODERATORS


# Who is no member -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("join_policy", ["open", "approval", "invite"])
def test_strangers_are_held_for_a_moderator_where_the_forum_says_so(table: Table, join_policy: str) -> None:
    table.forum(join_policy=join_policy)
    options(table, strangers="hold")
    for proof in (Proof.NONE, AUTHENTIC):
        assert isinstance(table.post("eve", f"proof {proof}", proof=proof), Held)
    assert {row.awaits for row in waiting(table)} == {queue.MODERATORS}
    assert table.do(decide.approve, table.desk, waiting(table)[0].name, "command", table.now) == "pools/1"


def test_strangers_are_refused_where_the_forum_says_so(table: Table) -> None:
    table.forum()
    options(table, strangers="refuse")
    with pytest.raises(Rejected, match="join first"):
        table.post("eve")
    with pytest.raises(Rejected, match="join first"):
        table.post("eve", channel="room", proof=Proof.HOMESERVER)


def test_strangers_rules_leave_members_and_open_doors_alone(table: Table) -> None:
    table.forum(post_policy="anyone")
    table.member("ana")
    for rule in ("hold", "refuse"):
        options(table, strangers=rule)
        assert isinstance(table.post("ana"), Accepted)
        assert isinstance(table.post("eve", proof=AUTHENTIC), Accepted)


# First posts, and everything ------------------------------------------------------------------------------------------
def test_a_first_post_waits_and_the_next_does_not(table: Table) -> None:
    table.forum()
    table.member("ana")
    options(table, first_post="hold")
    for words in ("one", "two"):
        assert isinstance(table.post("ana", words), Held)
    for row in waiting(table):
        table.do(decide.approve, table.desk, row.name, "command", table.now)
    assert isinstance(table.post("ana", "three"), Accepted)


def test_whose_first_post_waits_is_a_member_already_where_posting_joins(table: Table) -> None:
    table.forum()
    options(table, first_post="hold")
    assert isinstance(table.post("cy", channel="room"), Held)
    assert table.store.read_now(lambda tx: tx.scalar(sa.select(memberships.c.state))) == "active"


@pytest.mark.parametrize("rule", [{"first_post": "hold"}, {"hold_all": "yes"}])
def test_who_confirms_still_waits_for_a_moderator_where_the_forum_says_so(table: Table, rule: dict[str, str]) -> None:
    forum = table.forum()
    assert isinstance(table.post("eve"), Held)
    options(table, **rule)
    confirm(table, forum, "eve")
    (row,) = waiting(table)
    assert row.awaits == queue.MODERATORS
    assert "waits for a moderator" in row.reason


def test_in_an_emergency_everything_waits_but_what_a_moderator_proves(table: Table) -> None:
    table.forum()
    table.member("ana")
    table.member("mod", role="moderator")
    options(table, hold_all="yes")
    assert isinstance(table.post("ana", proof=AUTHENTIC), Held)
    assert isinstance(table.post("cy", channel="room"), Held)
    assert isinstance(table.post("eve"), Held)
    assert isinstance(table.post("mod", "forged"), Held)
    assert {row.awaits for row in waiting(table)} == {queue.MODERATORS}
    assert isinstance(table.post("mod", proof=AUTHENTIC), Accepted)
    options(table, hold_all="no")
    assert isinstance(table.post("ana"), Accepted)


# Machines -------------------------------------------------------------------------------------------------------------
def test_a_listed_machine_posts_with_proof_only(table: Table) -> None:
    table.forum(join_policy="invite")
    options(table, machines="ci@x.test, Builds@x.test", first_post="hold")
    assert isinstance(table.post("ci", automatic=True, proof=AUTHENTIC), Accepted)
    assert isinstance(table.post("builds", proof=AUTHENTIC), Accepted)  # its mail does not say that it is one
    with pytest.raises(Rejected, match="DKIM"):
        table.post("ci", automatic=True)
    with pytest.raises(Rejected, match="machines"):
        table.post("eve", automatic=True, proof=AUTHENTIC)


# Shutting out ---------------------------------------------------------------------------------------------------------
def test_the_author_of_a_held_post_is_shut_out_but_never_a_moderator(table: Table) -> None:
    table.forum()
    table.member("eve")
    table.member("mod", role="moderator")
    options(table, hold_all="yes")
    table.post("eve", "bad", proof=AUTHENTIC)
    table.post("mod", "forged")
    names = {row.author: row.name for row in waiting(table)}
    with pytest.raises(CommandError):
        table.do(shutting.ban_author, names["post:mod@x.test"], "command", table.now)
    table.do(shutting.ban_author, names["post:eve@x.test"], "command", table.now)
    options(table, hold_all="no")
    with pytest.raises(Rejected):
        table.post("eve")
    assert table.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(held))) == 2
