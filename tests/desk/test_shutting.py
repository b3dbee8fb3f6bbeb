"""Who is shut out of a forum: however it came about, at every door, until it is lifted."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server.archive import access, places
from server.bridge import (
    MESSAGE_ID,
    WEB,
    Accepted,
    Act,
    Author,
    Edit,
    Held,
    Join,
    Leave,
    Letter,
    NewPost,
    Proof,
    Reaction,
    Ref,
    Request,
    Retract,
)
from server.desk import accept, book, change, commands, forums, letters, members, shutting
from server.desk.prepare import prepare
from server.errors import CommandError, Rejected
from server.moderation import bans
from server.people import handles, identity, membership, subscriptions
from server.store.schema import addresses, deliveries, memberships
from tests.desk.conftest import Table

EVE = "eve@x.test"
WAYS = [
    pytest.param((bans.ADDRESS, EVE), id="address"),
    pytest.param((bans.DOMAIN, "x.test"), id="domain"),
    pytest.param((bans.PATTERN, "e?e@*"), id="pattern"),
]
PROVED = Author("post", EVE, "Eve", Proof.AUTHENTICATED)
ROOM = Author("room", EVE, "Eve", Proof.HOMESERVER)


def ban(table: Table, way: tuple[str, str], forum: int | None = None) -> bool:
    return table.do(shutting.ban, forum, *way, "", "command", table.now)


def lift(table: Table, value: str, forum: int | None = None) -> bool:
    return table.do(shutting.lift, forum, value, "command", table.now)


def states(table: Table) -> list[str]:
    return table.store.read_now(lambda tx: list(tx.scalars(sa.select(memberships.c.state).order_by("id"))))


def on_the_web(who: identity.Known) -> Author:
    return Author(WEB, str(who.person_id), who.name, Proof.SESSION)


def also_at(table: Table, who: identity.Known, address: str, channel: str = "post") -> None:
    """The person has a second address."""
    row = {"channel": channel, "address": address, "person_id": who.person_id, "created_at": table.now}
    table.do(lambda tx: tx.execute(addresses.insert().values(**row)))


def granted(table: Table, template: str, who: identity.Known, **more: Any) -> Act:
    """The answer to a question that was asked before."""
    data = {"address_id": who.address_id, "channel": "post", "template": template, **more}
    token = table.do(handles.grant, "confirm", 1, data, table.now, 60_000)
    return Act("pools", Author(WEB, ""), "confirm", token)


def doors(table: Table, eve: identity.Known) -> dict[str, Any]:
    """Every way in, by its name: what is called, and with what."""
    first = table.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.min(memberships.c.id))))
    via = table.do(handles.printed, table.desk.secret, "via", first)
    target = Ref("room", "$hers")
    held = table.post("eve", "held", name="<held@x.test>")
    assert isinstance(held, Held)

    def post(author: Author, space: str) -> Any:
        new = NewPost("pools", author, (Ref(space, f"new-{space}"),), text="words", subject="Tides")
        return accept.new_post, prepare(new, table.blobs)

    return {
        "a mail": post(PROVED, MESSAGE_ID),
        "a room message": post(ROOM, "room"),
        "a form": post(on_the_web(eve), "form"),
        "a machine's mail": (
            accept.new_post,
            prepare(NewPost("pools", PROVED, (Ref(MESSAGE_ID, "<ci@x>"),), text="words", automatic=True), table.blobs),
        ),
        "joining by mail": (members.join, Join("pools", PROVED)),
        "joining on a page": (members.join, Join("pools", on_the_web(eve))),
        "a word": (commands.run, Request("pools", PROVED, (("delivery", "none"),))),
        "a word to join": (commands.run, Request("pools", PROVED, (("join",),))),
        "an answer to us": (members.act, Act("pools", PROVED, "help")),
        "a sign": (change.react, Reaction("pools", ROOM, target, "+")),
        "an edit": (change.edit, prepare(Edit("pools", ROOM, target, Ref("room", "$e"), "new words"), table.blobs)),
        "a letter": (letters.accept, Letter("author", PROVED, "pools", via, "Hello", "words")),
        "confirming to join": (members.act, granted(table, "confirm-join", eve)),
        "taking an invitation": (members.act, granted(table, "invite", eve)),
        "confirming a post": (members.act, granted(table, "confirm-post", eve)),
        "confirming words": (members.act, granted(table, "confirm-words", eve, commands=[["delivery", "none"]])),
        "it was me": (members.act, granted(table, "was-this-you", eve, held=held.name)),
    }


def enter(table: Table, door: Any) -> Any:
    work, inbound = door
    return table.do(work, table.desk, inbound)


def refusal(table: Table, door: Any) -> tuple[str, str] | None:
    try:
        enter(table, door)
    except Rejected as no:
        return no.code, no.reason
    return None


@pytest.fixture
def eve(table: Table) -> identity.Known:
    table.forum(post_policy="anyone")
    table.member("bo")
    table.do(lambda tx: tx.execute(addresses.update().values(address="bo@y.test")))
    known = table.member("eve")
    table.member("eve", channel="room")
    table.post("eve", "hers", channel="room", name="$hers")
    table.do(forums.set_options, "pools", {"proof": "strict"}, table.now)
    return known


@pytest.mark.parametrize("forum", [1, None], ids=["here", "everywhere"])
@pytest.mark.parametrize("way", WAYS)
def test_every_door_is_shut_also_for_what_was_asked_before(
    table: Table, eve: identity.Known, way: tuple[str, str], forum: int | None
) -> None:
    made = doors(table, eve)
    table.do(forums.set_options, "pools", {"machines": EVE}, table.now)
    assert ban(table, way, forum)
    shut = ("5.7.1", "You are shut out of Pools. Its owners can tell you why.")
    assert {name: refusal(table, door) for name, door in made.items()} == dict.fromkeys(made, shut)


@pytest.mark.parametrize("way", WAYS)
def test_every_door_is_open_again_when_it_is_lifted(table: Table, eve: identity.Known, way: tuple[str, str]) -> None:
    ban(table, way, 1)
    assert states(table) == ["active", "banned", "banned"]
    assert not lift(table, way[1])  # it is one of this forum, not of all
    assert lift(table, way[1], 1)
    assert states(table) == ["active", "left", "left"]
    assert isinstance(table.do(members.join, table.desk, Join("pools", ROOM)), Accepted)
    assert isinstance(table.post("eve", "again", channel="room"), Accepted)


def test_who_is_shut_out_may_leave_take_words_back_and_write_to_the_owners(table: Table, eve: identity.Known) -> None:
    ban(table, (bans.ADDRESS, EVE), 1)
    assert isinstance(table.do(members.leave, table.desk, Leave("pools", PROVED)), Accepted)
    assert isinstance(enter(table, (members.act, granted(table, "confirm-leave", eve))), Accepted)
    owners = Letter("owners", PROVED, "pools", None, "Why?", "words")
    assert isinstance(table.do(letters.accept, table.desk, owners), Accepted)
    taken = table.do(change.retract, table.desk, Retract("pools", ROOM, Ref("room", "$hers")))
    assert isinstance(taken, Accepted)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_sent_to_who_is_shut_out(table: Table, eve: identity.Known, way: tuple[str, str]) -> None:
    def told(words: str) -> list[int]:
        """Whose addresses a post of Bo's is booked for."""
        table.do(lambda tx: tx.execute(deliveries.delete()))
        new = NewPost(
            "pools", Author(WEB, "1", "Bo", Proof.SESSION), (Ref("form", words),), text=words, subject="Tides"
        )
        assert isinstance(table.do(accept.new_post, table.desk, prepare(new, table.blobs)), Accepted)
        return table.store.read_now(lambda tx: list(tx.scalars(sa.select(deliveries.c.address_id))))

    assert eve.address_id in told("before")
    ban(table, way, 1)
    assert told("after") == []
    ours = table.store.read_now(subscriptions.at, 1, eve.address_id)
    assert ours is not None
    assert ours.state == "ended"


@pytest.mark.parametrize("way", WAYS)
def test_pages_show_no_form_and_no_hidden_forum(table: Table, eve: identity.Known, way: tuple[str, str]) -> None:
    hidden = table.forum("board", visibility="members")
    table.member("eve", "board")

    def seen(tx: sa.Connection) -> tuple[list[str], list[str | None]]:
        viewer = places.viewer(tx, eve.person_id)
        rows = [forums.get(tx, "pools"), forums.get(tx, "board")]
        acts: tuple[access.Act, ...] = ("join", "post")
        readable = [row.slug for row in rows if access.may(viewer, "read", row) is None]
        return readable, [access.may(viewer, act, rows[0]) for act in acts]

    assert table.store.read_now(seen)[0] == ["pools", "board"]
    ban(table, way)
    readable, refusals = table.store.read_now(seen)
    assert readable == ["pools"]
    assert refusals == ["You are shut out of Pools. Its owners can tell you why."] * 2
    lift(table, way[1])
    assert table.store.read_now(seen)[1] == [None, None]
    assert hidden


def test_a_ban_without_a_membership_shuts_a_reader_out_too(table: Table) -> None:
    """The row alone, as where the address was added to the person later."""
    table.forum("board", visibility="members")
    eve = table.member("eve", "board", role="moderator")
    also_at(table, eve, "eve@spam.test")
    table.do(bans.add, None, bans.DOMAIN, "spam.test", "", "command", table.now)
    viewer = table.store.read_now(places.viewer, eve.person_id)
    row = table.store.read_now(forums.get, "board")
    assert access.may(viewer, "read", row) == "There is no such forum."
    assert not viewer.moderates(row.id)


def test_a_person_is_shut_out_by_each_of_their_addresses(table: Table) -> None:
    table.forum()
    eve = table.member("eve")
    also_at(table, eve, "@eve:y.test", "room")
    ban(table, (bans.DOMAIN, "y.test"), 1)
    assert states(table) == ["banned"]
    with pytest.raises(Rejected, match="shut out"):
        table.post("eve")
    assert lift(table, "y.test", 1)
    ban(table, (bans.ADDRESS, "@eve:y.test"), 1)
    assert lift(table, EVE, 1)  # an address stands for its person
    assert states(table) == ["left"]


def test_one_of_two_bans_is_not_enough_to_come_in(table: Table) -> None:
    table.forum()
    table.member("eve")
    ban(table, (bans.ADDRESS, EVE), 1)
    ban(table, (bans.DOMAIN, "x.test"))
    assert lift(table, EVE, 1)
    assert states(table) == ["banned"]
    with pytest.raises(Rejected):
        table.post("eve")
    assert lift(table, "x.test")
    assert states(table) == ["left"]


@pytest.mark.parametrize("way", WAYS)
def test_who_looks_after_a_forum_is_not_banned_by_a_slip(table: Table, way: tuple[str, str]) -> None:
    table.forum()
    table.member("eve", role="owner")
    table.member("bea")
    with pytest.raises(CommandError, match="Eve looks after pools"):
        ban(table, way)
    assert states(table) == ["active", "active"]
    assert table.store.read_now(bans.listing) == []


def test_a_membership_ended_by_a_ban_shuts_out_by_itself(table: Table) -> None:
    forum = table.forum()
    eve = table.member("eve")
    table.do(membership.set_member, forum, eve.person_id, {"state": "banned"})
    with pytest.raises(Rejected, match="shut out"):
        table.post("eve")
    with pytest.raises(Rejected, match="shut out"):
        table.do(members.join, table.desk, Join("pools", on_the_web(eve)))


@pytest.mark.parametrize("everywhere", [False, True])
def test_rooms_are_told_of_a_ban_of_somebody_who_never_came(table: Table, everywhere: bool) -> None:
    forum_id = table.forum()
    where = None if everywhere else forum_id

    def due() -> list[Any]:
        state = sa.select(deliveries.c.state).where(deliveries.c.item_kind == "state")
        return table.store.read_now(lambda tx: list(tx.scalars(state)))

    def said(tx: sa.Connection) -> None:
        tx.execute(deliveries.update().values(state="sent"))

    table.do(book.tend, table.desk, forum_id, table.now)
    for act in (
        lambda: ban(table, (bans.ADDRESS, "who@x.test"), where),
        lambda: lift(table, "who@x.test", where),
    ):
        table.do(said)
        act()
        assert due() == ["due"]
