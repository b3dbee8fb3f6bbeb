"""How often a stranger may make us write to somebody."""

from __future__ import annotations

import pytest

from bridges.email.slowing import A_SOURCE, AN_ADDRESS, Slowing
from server.bridge import Act, Author, Join, Leave, NewPost, Proof, Ref, Request
from server.errors import Deferred


def by(address: str, proof: Proof = Proof.NONE) -> Author:
    return Author("email", address, "", proof)


def test_an_address_is_heard_ten_times_an_hour_and_forum_and_then_dropped() -> None:
    slowing = Slowing()
    heard = [slowing.lets_through(Join("tides", by("vic@far.test")), "127.0.0.1") for _time in range(AN_ADDRESS + 5)]
    assert heard == [True] * AN_ADDRESS + [False] * 5
    assert not slowing.lets_through(Leave("tides", by("vic@far.test")), "127.0.0.1")
    assert slowing.lets_through(Join("kelp", by("vic@far.test")), "127.0.0.1")
    assert slowing.lets_through(Join("tides", by("ana@far.test")), "127.0.0.1")


@pytest.mark.parametrize(
    ("first", "second"), [("9.9.9.9", "9.9.9.9"), ("9.9.9.9", "::ffff:9.9.9.9"), ("2a00:1::1", "2a00:1::ffff")]
)
def test_a_host_that_asks_in_the_names_of_many_comes_again_later(first: str, second: str) -> None:
    slowing = Slowing()
    for number in range(A_SOURCE):
        assert slowing.lets_through(Request("tides", by(f"v{number}@far.test")), first)
    with pytest.raises(Deferred):
        slowing.lets_through(Request("tides", by("next@far.test")), second)
    assert slowing.lets_through(Request("tides", by("next@far.test")), "8.8.8.8")


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::1", "", "unix"])
def test_an_mta_in_front_of_us_is_not_one_host(peer: str) -> None:
    slowing = Slowing()
    assert all(slowing.lets_through(Join("tides", by(f"v{number}@far.test")), peer) for number in range(A_SOURCE + 5))


def test_who_proves_who_they_are_and_what_is_not_answered_is_not_counted() -> None:
    slowing = Slowing()
    proved = Request("tides", by("ana@far.test", Proof.AUTHENTICATED))
    post = NewPost("tides", by("ana@far.test"), (Ref("message-id", "<a@far.test>"),), text="Words")
    confirm, leave = Act("tides", by("ana@far.test"), "confirm", "a" * 26), Leave("tides", token="a" * 26)
    for thing in (proved, post, confirm, leave):
        assert all(slowing.lets_through(thing, "9.9.9.9") for _time in range(A_SOURCE + 5))
