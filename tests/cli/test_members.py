"""Members, one by one and from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.bridge import Author, Join, Proof
from server.people import subscriptions
from tests.cli.conftest import Operator


def _members(operator: Operator) -> dict[str, dict[str, Any]]:
    rows = operator.do("member", "list", "--forum", "tides", "--json").json
    return {row["addresses"][0]["address"]: row for row in rows}


def test_a_mailbox_is_added_with_what_it_is_sent(operator: Operator) -> None:
    words = ("ANA@Shore.Example", "--forum", "tides", "--name", "Ana", "--delivery", "daily", "--role", "owner")
    told = operator.do("member", "add", *words, "--json").json
    address = told["address"]
    member = _members(operator)[address]
    assert address.endswith("@shore.example")
    assert (member["name"], member["role"], member["state"], member["may_post"]) == ("Ana", "owner", "active", True)
    assert member["addresses"] == [
        {
            "channel": told["channel"],
            "address": address,
            "verified": True,
            "delivery": "daily",
            "stopped": None,
            "stopped_at": None,
        }
    ]


def test_somebody_in_the_room_is_a_member_and_gets_no_copy(operator: Operator) -> None:
    operator.do("member", "add", "@bruno:shore.example", "--forum", "tides", "--name", "Bruno")
    (address,) = _members(operator)["@bruno:shore.example"]["addresses"]
    assert address["delivery"] is None
    assert "mailboxes" in operator.fails(
        "member", "add", "@cleo:shore.example", "--forum", "tides", "--delivery", "daily"
    )


def test_adding_again_sets_only_what_is_said(operator: Operator) -> None:
    operator.do("member", "add", "ana@x.example", "--forum", "tides", "--delivery", "daily", "--role", "owner")
    operator.do("member", "add", "ana@x.example", "--forum", "tides")
    member = _members(operator)["ana@x.example"]
    assert (member["role"], member["addresses"][0]["delivery"]) == ("owner", "daily")
    operator.do("member", "add", "ana@x.example", "--forum", "tides", "--delivery", "none")
    assert _members(operator)["ana@x.example"]["addresses"][0]["delivery"] == "none"


@pytest.mark.parametrize("option", ["delivery=each", "state=active"])
def test_mail_that_was_stopped_is_shown_and_resumed(operator: Operator, option: str) -> None:
    operator.do("member", "add", "ana@x.example", "--forum", "tides", "--delivery", "topics")
    with operator.home() as home:
        home.store.write_now(subscriptions.stop, 1, "bounces", 1_700_000_000_000)
    (address,) = _members(operator)["ana@x.example"]["addresses"]
    assert (address["delivery"], address["stopped"]) == (None, "bounces")
    assert address["stopped_at"].startswith("2023-11-14")
    assert "stopped (bounces, 2023-11-14)" in operator.do("member", "list", "--forum", "tides").out
    operator.do("member", "set", "ana@x.example", "own_posts=yes", "--forum", "tides")
    assert _members(operator)["ana@x.example"]["addresses"][0]["stopped"] == "bounces"
    operator.do("member", "set", "ana@x.example", option, "--forum", "tides")
    (address,) = _members(operator)["ana@x.example"]["addresses"]
    assert (address["delivery"], address["stopped"]) == ("each" if "delivery" in option else "topics", None)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["nonsense", "--forum", "tides"], "no address"),
        (["ana@x.example", "--forum", "kelp"], "no forum"),
        (["ana@x.example", "--forum", "tides", "--delivery", "hourly"], "one of each, topics"),
        (["ana@x.example", "--forum", "tides", "--role", "king"], "one of member, moderator, owner"),
    ],
)
def test_a_member_that_cannot_be_is_refused(operator: Operator, words: list[str], why: str) -> None:
    assert why in operator.fails("member", "add", *words)
    assert _members(operator) == {}


def test_options_of_a_member(operator: Operator) -> None:
    operator.do("member", "add", "ana@x.example", "--forum", "tides")
    values = ("name=Ana Sá", "role=moderator", "delivery=none", "may_post=no")
    operator.do("member", "set", "ana@x.example", *values, "--forum", "tides")
    member = _members(operator)["ana@x.example"]
    assert (member["name"], member["role"], member["may_post"]) == ("Ana Sá", "moderator", False)
    assert member["addresses"][0]["delivery"] == "none"
    assert "no option colour" in operator.fails("member", "set", "ana@x.example", "colour=red", "--forum", "tides")
    assert "nobody" in operator.fails("member", "set", "eve@x.example", "role=owner", "--forum", "tides")


def test_removing_ends_it_and_a_ban_keeps_out(operator: Operator) -> None:
    operator.do("member", "add", "ana@x.example", "--forum", "tides")
    operator.do("member", "remove", "ana@x.example", "--forum", "tides")
    member = _members(operator)["ana@x.example"]
    assert (member["state"], member["addresses"][0]["delivery"]) == ("left", None)
    assert "no member" in operator.fails("member", "remove", "ana@x.example", "--forum", "tides")
    operator.do("member", "set", "ana@x.example", "state=banned", "--forum", "tides")
    assert "banned" in operator.fails("member", "add", "ana@x.example", "--forum", "tides")


def _file(tmp_path: Path, text: str) -> str:
    file = tmp_path / "members.csv"
    file.write_bytes(text.encode())
    return str(file)


def test_a_file_of_people_who_agreed_makes_them_members(operator: Operator, tmp_path: Path) -> None:
    text = "\ufeffaddress,name,delivery,role\r\nana@x.example,Ana,daily,owner\r\n@bruno:x.example,Bruno,,\r\n"
    words = ("member", "import", _file(tmp_path, text), "--forum", "tides", "--confirmed", "--json")
    assert operator.do(*words).json == {"joined": 2, "invited": 0, "unchanged": 0}
    members = _members(operator)
    assert (members["ana@x.example"]["role"], members["ana@x.example"]["addresses"][0]["delivery"]) == (
        "owner",
        "daily",
    )
    assert members["@bruno:x.example"]["name"] == "Bruno"
    assert operator.do(*words).json == {"joined": 0, "invited": 0, "unchanged": 2}


def test_without_their_word_people_are_asked_and_not_members_yet(operator: Operator, tmp_path: Path) -> None:
    file = _file(tmp_path, "address,role\nana@x.example,moderator\n")
    told = operator.do("member", "import", file, "--forum", "tides", "--json").json
    assert told == {"joined": 0, "invited": 1, "unchanged": 0}
    member = _members(operator)["ana@x.example"]
    assert (member["state"], member["role"], member["addresses"][0]["delivery"]) == ("pending", "moderator", None)
    waiting = operator.do("queue", "list", "--json").json["deliveries"]
    assert [row["address"] for row in waiting if row["item"].startswith("notice:")] == ["ana@x.example"]
    again = operator.do("member", "import", file, "--forum", "tides", "--json").json
    assert again == {"joined": 0, "invited": 0, "unchanged": 1}


def test_one_bad_line_stops_the_file_and_every_bad_line_is_named(operator: Operator, tmp_path: Path) -> None:
    text = (
        "address,name,delivery,role\n"
        "ana@x.example,Ana,,\n"
        "nonsense,N,,\n"
        "bea@x.example,Bea,hourly,\n"
        "cleo@x.example,Cleo,,king\n"
        "ana@x.example,Ana again,,\n"
        "too,many,fields,in,it\n"
        "few\n"
    )
    said = operator.fails("member", "import", _file(tmp_path, text), "--forum", "tides", "--confirmed").splitlines()
    assert [line.split(":")[0] for line in said[:-1]] == [f"Line {number}" for number in (3, 4, 5, 6, 7, 8)]
    assert said[-1] == "Nothing was imported."
    assert _members(operator) == {}


def test_a_banned_person_in_the_file_stops_it_too(operator: Operator, tmp_path: Path) -> None:
    operator.do("member", "add", "eve@x.example", "--forum", "tides")
    operator.do("member", "set", "eve@x.example", "state=banned", "--forum", "tides")
    file = _file(tmp_path, "address\nana@x.example\neve@x.example\n")
    for more in ([], ["--confirmed"]):
        assert "Line 3: eve@x.example is banned" in operator.fails("member", "import", file, "--forum", "tides", *more)
    assert list(_members(operator)) == ["eve@x.example"]


@pytest.mark.parametrize("text", ["", "name\nAna\n", "address,colour\na@x.example,red\n", "address,address\na,b\n"])
def test_a_file_without_its_columns_is_refused(operator: Operator, tmp_path: Path, text: str) -> None:
    assert "first line" in operator.fails("member", "import", _file(tmp_path, text), "--forum", "tides")


def test_a_file_that_is_no_text_or_not_there_is_refused(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "members.csv"
    file.write_bytes(b"address\n\xff\xfe\n")
    assert "UTF-8" in operator.fails("member", "import", str(file), "--forum", "tides")
    assert "No such file" in operator.fails("member", "import", str(tmp_path / "gone.csv"), "--forum", "tides")


def test_somebody_of_a_room_cannot_be_invited_by_mail(operator: Operator, tmp_path: Path) -> None:
    file = _file(tmp_path, "address\n@bruno:x.example\n")
    assert "--confirmed" in operator.fails("member", "import", file, "--forum", "tides")


def test_who_asked_to_be_let_in_is_let_in_or_not(operator: Operator) -> None:
    operator.do("forum", "set", "tides", "join=approval")
    knocks = [
        Join("tides", Author("matrix", f"@{who}:x.example", who.title(), Proof.HOMESERVER)) for who in ("kim", "li")
    ]
    operator.accept(*knocks)
    assert {row["state"] for row in operator.do("member", "list", "--forum", "tides", "--json").json} == {"pending"}
    operator.do("member", "approve", "@kim:x.example", "--forum", "tides")
    operator.do("member", "reject", "@li:x.example", "--forum", "tides", "--reason", "Full.")
    members = _members(operator)
    assert [members[f"@{who}:x.example"]["state"] for who in ("kim", "li")] == ["active", "left"]
    assert "did not ask" in operator.fails("member", "approve", "@li:x.example", "--forum", "tides")


def test_who_is_of_another_homeserver_is_no_member_where_the_room_does_not_federate(
    operator: Operator, tmp_path: Path
) -> None:
    operator.do("forum", "create", "kelp", "--community", "shore", "--federate", "no")
    ours, theirs = "@bruno:shore.example", "@cleo:far.example"
    assert "federate=no" in operator.fails("member", "add", theirs, "--forum", "kelp")
    people = tmp_path / "people.csv"
    people.write_text(f"address\n{ours}\n{theirs}\n")
    assert "Line 3" in operator.fails("member", "import", str(people), "--forum", "kelp", "--confirmed")
    operator.do("member", "add", ours, "--forum", "kelp")
    operator.do("member", "add", theirs, "--forum", "tides")
