"""What becomes of posts: held, queue, trace."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa

from server.bridge import WEB, Accepted, Author, Duplicate, Failed, Held, Later, NewPost, Proof, Ref, Sent
from server.delivery import outbox, overview
from server.house import Household
from server.store.schema import deliveries, posts
from tests.cli.conftest import Operator, letter


@pytest.fixture
def place(operator: Operator) -> Operator:
    """Ana, who writes, and Bea and Cleo, who read."""
    for address in ("ana@shore.example", "bea@shore.example", "cleo@shore.example"):
        operator.do("member", "add", address, "--forum", "tides", "--name", address.partition("@")[0].title())
    return operator


def _posts_queued(operator: Operator) -> list[dict[str, Any]]:
    rows = operator.do("queue", "list", "--json").json["deliveries"]
    return [row for row in rows if row["item"].startswith("post:")]


def _say(home: Household, outcomes: dict[str, Any]) -> None:
    """What a courier does: claim what is due and settle it as the far side answers."""
    (made,) = [made for made in home.bridges.values() if not made.traits.takes_back]

    def work(tx: sa.Connection) -> None:
        now = home.now()
        rows = outbox.claim(tx, made.traits, "test", 100, now)
        shown = {row.id: row.address for row in overview.listing(tx, 100)}
        settled = [
            outbox.Settled(row.id, row.attempts, outcomes[shown[row.id]]) for row in rows if shown[row.id] in outcomes
        ]
        outbox.settle(tx, made.traits, settled, now)

    home.store.write_now(work)


def test_trace_tells_where_a_post_came_from_and_where_it_goes(place: Operator) -> None:
    place.accept(letter(1), letter(2, answers=1))
    told = place.do("trace", "tides/2", "--json").json
    assert (told["post"], told["thread"], told["parent"], told["state"]) == (
        "tides/2",
        "tides/1",
        "tides/1",
        "published",
    )
    assert (told["author"], told["address"], told["subject"]) == ("Ana", "ana@shore.example", "Anemones 2")
    assert {"space": "message-id", "name": "<2@shore.example>", "part": 0} in told["refs"]
    assert [original["part"] for original in told["originals"]] == [0]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:]+\.\d{3}Z", told["arrived_at"])
    assert {each["address"] for each in told["deliveries"]} == {"bea@shore.example", "cleo@shore.example"}
    for each in told["deliveries"]:
        assert (each["state"], each["attempts_made"], each["attempts"], each["settled_at"]) == ("due", 0, [], None)


def test_an_answer_from_a_page_is_traced_without_an_address_and_by_its_thread(place: Operator) -> None:
    place.accept(letter(1))
    ana = place.do("trace", "tides/1", "--json").json
    assert ana["subject"] == "Anemones 1"
    with place.home() as home:
        person, parent = home.store.read_now(lambda tx: tx.execute(sa.select(posts.c.person_id, posts.c.id)).one())
    by = Author(WEB, str(person), "Ana", Proof.SESSION)
    place.accept(NewPost("tides", by, (Ref("form", "f1"),), (Ref("post", str(parent)),), None, "Yes."))
    said = place.do("trace", "tides/2").out
    assert "tides/2  Re: Anemones 1" in said
    assert "from       Ana by web" in said
    assert "None" not in said


@pytest.mark.parametrize(
    "name",
    [
        "tides/1",
        "TIDES/1",
        "<1@shore.example>",
        "1@shore.example",
        "http://localhost:8080/f/tides/1",
        "http://localhost:8080/f/tides/1/raw",
        "http://localhost:8080/m/1%40shore.example",
        "/f/tides/1",
        " tides/1 ",
    ],
)
def test_a_post_is_found_by_each_of_its_names(place: Operator, name: str) -> None:
    place.accept(letter(1), letter(2))
    assert place.do("trace", name, "--json").json["post"] == "tides/1"


@pytest.mark.parametrize(
    "name", ["tides/9", "kelp/1", "H-zzzz", "<9@x.example>", "http://x/y", "", "' OR 1=1", "tides/" + "9" * 40]
)
def test_what_we_do_not_know_is_said(place: Operator, name: str) -> None:
    place.accept(letter(1))
    assert "know no post" in place.fails("trace", name)


def test_trace_shows_each_attempt_with_its_answer(place: Operator) -> None:
    place.accept(letter(1))
    with place.home() as home:
        _say(home, {"bea@shore.example": Sent(detail="250 ok"), "cleo@shore.example": Later("busy", "4.3.2")})
    told = {each["address"]: each for each in place.do("trace", "tides/1", "--json").json["deliveries"]}
    bea, cleo = told["bea@shore.example"], told["cleo@shore.example"]
    assert (bea["state"], bea["attempts_made"]) == ("sent", 1)
    assert bea["settled_at"] is not None
    assert [(each["number"], each["outcome"]) for each in bea["attempts"]] == [(1, "sent")]
    assert cleo["state"] == "due"
    assert [(each["outcome"], each["code"], each["detail"]) for each in cleo["attempts"]] == [
        ("later", "4.3.2", "busy")
    ]
    shown = place.do("trace", "tides/1").out
    for word in ("tides/1", "Anemones 1", "ana@shore.example", "bea@shore.example", "sent", "busy"):
        assert word in shown


def test_a_failed_delivery_is_listed_tried_again_or_given_up(place: Operator) -> None:
    place.accept(letter(1))
    with place.home() as home:
        _say(
            home, {"bea@shore.example": Failed("no such user", "5.1.1"), "cleo@shore.example": Failed("full", "5.2.2")}
        )
    failed = place.do("queue", "list", "--state", "failed", "--json").json["deliveries"]
    assert {row["address"] for row in failed} == {"bea@shore.example", "cleo@shore.example"}
    assert "no such user" in place.do("queue", "list").out
    first = str(failed[0]["id"])
    assert place.do("queue", "drop", first, "--json").json == {"dropped": 1}
    assert place.do("queue", "retry", "--failed", "--json").json == {"retried": 1}
    assert [row["state"] for row in _posts_queued(place)] == ["due"]
    assert place.do("queue", "retry", first, "--json").json == {"retried": 1}
    assert "queue list" in place.fails("queue", "retry")
    assert "queue list" in place.fails("queue", "drop")


def test_what_is_held_says_why_until_it_is_released(place: Operator) -> None:
    place.do("queue", "hold", "--reason", "moving house")
    place.do("queue", "hold", "--forum", "tides")
    assert place.do("queue", "list", "--json").json["held"] == {"*": "moving house", "tides": "held by the operator"}
    assert "moving house" in place.do("queue", "list").out
    place.accept(letter(1))
    with place.home() as home:
        _say(home, {"bea@shore.example": Sent()})
    assert {row["state"] for row in _posts_queued(place)} == {"due"}
    place.do("queue", "release")
    place.do("queue", "release", "--forum", "tides")
    assert place.do("queue", "list", "--json").json["held"] == {}
    assert "no forum" in place.fails("queue", "hold", "--forum", "kelp")


def test_a_strangers_post_waits_and_is_approved_by_its_name(place: Operator) -> None:
    (held,) = place.accept(letter(7, "eve@far.example"))
    assert isinstance(held, Held)
    (row,) = place.do("held", "list", "--json").json
    assert (row["name"], row["forum"], row["author"], row["subject"]) == (
        held.name,
        "tides",
        "eve@far.example",
        "Anemones 7",
    )
    assert place.do("trace", held.name, "--json").json["held"]["name"] == held.name
    assert held.name in place.do("trace", "<7@shore.example>").out
    assert _posts_queued(place) == []
    assert place.do("held", "approve", held.name.upper(), "--json").json == [
        {"name": held.name.upper(), "post": "tides/1"}
    ]
    assert "Nothing waits" in place.do("held", "list").out
    assert len(place.do("trace", "tides/1", "--json").json["deliveries"]) == 3
    assert "no held post" in place.fails("held", "approve", held.name)


def test_a_rejected_post_goes_nowhere_and_its_author_is_told_why(place: Operator) -> None:
    (held,) = place.accept(letter(7, "eve@far.example"))
    assert isinstance(held, Held)
    place.do("held", "reject", held.name, "--reason", "This is about cars.")
    assert place.do("held", "list", "--forum", "tides", "--json").json == []
    told = place.do("trace", "7@shore.example", "--json").json
    assert (told["state"], told["post"], told["deliveries"]) == ("rejected", None, [])
    notices = [
        row["address"] for row in place.do("queue", "list", "--json").json["deliveries"] if "notice" in row["item"]
    ]
    assert notices.count("eve@far.example") == 2  # the question whether it was them, and the answer


def test_one_unknown_name_leaves_the_others_undecided(place: Operator) -> None:
    (held,) = place.accept(letter(7, "eve@far.example"))
    assert isinstance(held, Held)
    assert "no held post" in place.fails("held", "approve", held.name, "H-none")
    assert len(place.do("held", "list", "--json").json) == 1


def test_what_strangers_write_cannot_steer_the_terminal(place: Operator) -> None:
    place.do("forum", "create", "kelp", "--community", "shore")
    place.do("member", "add", "eve@far.example", "--forum", "tides", "--name", "Eve\x1b[2J\x07")
    for words in (["member", "list", "--forum", "tides"], ["member", "list", "--forum", "tides", "--json"]):
        out = place.do(*words).out
        assert "Eve" in out
        assert "\x1b" not in out
        assert "\x07" not in out


def test_commands_beside_each_other_see_what_was_done(place: Operator) -> None:
    assert [type(result) for result in place.accept(letter(1), letter(1))] == [Accepted, Duplicate]
    with place.home() as home:
        place.do("member", "add", "dora@shore.example", "--forum", "tides")
        count = home.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(deliveries)))
        assert count == 4  # two readers of the post, the receipt of its author, and the room's state
