"""What the DNS says: an answer, that there is none, or nothing; and each question once."""

from __future__ import annotations

import socket

import pytest

from bridges.email.dns import Resolver, Temporary
from tests.peers.names import Names


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_strings_of_a_record_are_joined(names: Names) -> None:
    names.txt("long.test", "x" * 450, "second")
    assert sorted(await Resolver(names.server).txt("Long.Test.")) == [b"second", b"x" * 450]


async def test_no_such_record_and_no_such_name_are_answers(names: Names) -> None:
    names.txt("below.there.test", "x")
    resolver = Resolver(names.server)
    assert await resolver.txt("there.test") == []
    assert (await resolver.ask("there.test", "TXT")).exists
    assert not (await resolver.ask("elsewhere.test", "TXT")).exists


async def test_a_server_that_cannot_say_is_temporary(names: Names) -> None:
    names.silent.add("broken.test")
    with pytest.raises(Temporary):
        await Resolver(names.server).txt("broken.test")


async def test_a_server_that_says_nothing_is_temporary() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(Temporary):
            await Resolver(f"127.0.0.1:{deaf.getsockname()[1]}", seconds=0.2).txt("members.test")


async def test_an_answer_is_remembered_as_long_as_it_allows(names: Names) -> None:
    names.txt("kept.test", "x")
    clock = Clock()
    resolver = Resolver(names.server, clock)
    for wait in (0, names.ttl - 1, 2):
        clock.now += wait
        assert await resolver.txt("kept.test") == [b"x"]
    assert names.asked["kept.test", "TXT"] == 2


async def test_silence_is_remembered_for_a_moment_only(names: Names) -> None:
    names.silent.add("broken.test")
    clock = Clock()
    resolver = Resolver(names.server, clock)
    for _ in range(3):
        with pytest.raises(Temporary):
            await resolver.txt("broken.test")
    assert names.asked["broken.test", "TXT"] == 1
    clock.now += 11
    names.silent.clear()
    assert await resolver.txt("broken.test") == []


@pytest.mark.parametrize(
    "name", ["localhost", "mail.demo.example", "x.invalid", "", "." * 3, "a" * 64 + ".test", "x" * 300]
)
async def test_names_that_cannot_be_are_not_asked(names: Names, name: str) -> None:
    assert await Resolver(names.server).txt(name) == []
    assert not names.asked


async def test_an_answer_too_long_for_a_datagram_comes_by_stream_and_a_huge_one_not_at_all(names: Names) -> None:
    names.txt("keys.test", *(f"{n} " + "k" * 200 for n in range(20)))
    names.txt("bomb.test", *("b" * 200 + str(n) for n in range(200)))
    assert len(await Resolver(names.server).txt("keys.test")) == 20
    with pytest.raises(Temporary):
        await Resolver(names.server).txt("bomb.test")


async def test_what_is_remembered_is_bounded_in_bytes(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridges.email.dns.REMEMBERED_BYTES", 5_000)
    resolver = Resolver(names.server)
    for n in range(10):
        names.txt(f"{n}.test", "x" * 400)
        await resolver.txt(f"{n}.test")
    await resolver.txt("9.test")
    await resolver.txt("0.test")
    assert (names.asked["9.test", "TXT"], names.asked["0.test", "TXT"]) == (1, 2)


async def test_what_is_remembered_is_bounded_in_number(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridges.email.dns.REMEMBERED", 3)
    resolver = Resolver(names.server)
    for n in (1, 2, 3, 4, 2, 1):
        await resolver.txt(f"{n}.test")
    assert (names.asked["2.test", "TXT"], names.asked["1.test", "TXT"]) == (1, 2)
