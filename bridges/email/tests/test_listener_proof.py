"""Dialogues with mail that claims to be somebody's: what the server is told of its author, and what the client is answered."""

from __future__ import annotations

from bridges.email.dns import Resolver
from bridges.email.tests.dialogue import HELLO, LHELLO, data, listening, posts, speak, to, two_forums
from server.bridge import Act, Doubt, Letter, Proof
from tests.peers.names import Names

TOKEN = "abcdefghijklmnopqrstuvwx23"
SAID = """
    C: Authentication-Results: mx.lists.test; spf=fail smtp.mailfrom=eve@far.test
    C: From: Ana <ana@members.test>
    C: Message-ID: <1@members.test>
    C:
    C: words
    C: .
"""
PASSES = SAID.replace("spf=fail smtp.mailfrom=eve@far.test", "dmarc=pass header.from=members.test")


async def test_a_domain_that_says_nothing_leaves_no_doubt(names: Names) -> None:
    house = two_forums()
    async with listening(house, resolver=Resolver(names.server)) as door:
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250 2.0.0"))
    (post,) = posts(house)
    assert (post.author.proof, post.author.doubt) == (Proof.NONE, Doubt.NONE)


async def test_a_forged_author_is_told_to_the_desk(names: Names) -> None:
    names.txt("_dmarc.members.test", "v=DMARC1; p=reject")
    house = two_forums()
    async with listening(house, resolver=Resolver(names.server), authserv_id="mx.lists.test") as door:
        await speak(door.ports["lmtp"], LHELLO + to("tides@lists.test") + data("250 2.0.0", message=SAID))
        await speak(door.ports["lmtp"], LHELLO + to("tides@lists.test") + data("250 2.0.0"))
        await speak(door.ports["lmtp"], LHELLO + to("tides@lists.test") + data("250 2.0.0", message=PASSES))
    assert [(post.author.proof, post.author.doubt) for post in posts(house)] == [
        (Proof.NONE, Doubt.FORBIDDEN),
        (Proof.NONE, Doubt.FAILS),
        (Proof.AUTHENTICATED, Doubt.NONE),
    ]


async def test_a_host_of_ours_vouches(names: Names) -> None:
    names.txt("_dmarc.members.test", "v=DMARC1; p=reject")
    house = two_forums()
    async with listening(house, trusted=("127.0.0.0/8",), resolver=Resolver(names.server)) as door:
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250 2.0.0"))
    assert posts(house)[0].author.proof is Proof.AUTHENTICATED


async def test_a_silent_dns_makes_it_come_again_where_the_author_matters(names: Names) -> None:
    names.silent.add("_dmarc.members.test")
    house = two_forums()
    async with listening(house, resolver=Resolver(names.server)) as door:
        await speak(
            door.ports["lmtp"],
            LHELLO
            + to("tides@lists.test")
            + to("tides-owner@lists.test")
            + to(f"tides-confirm+{TOKEN}@lists.test")
            + data("451 4.4.3", "250 2.0.0", "250 2.0.0"),
        )
    assert [type(one) for one in house.accepted] == [Letter, Act]


async def test_nobody_is_asked_where_the_author_does_not_matter(names: Names) -> None:
    house = two_forums()
    async with listening(house, resolver=Resolver(names.server)) as door:
        for function in (f"leave+{TOKEN}", f"confirm+{TOKEN}", "owner"):
            await speak(door.ports["lmtp"], LHELLO + to(f"tides-{function}@lists.test") + data("250 2.0.0"))
    assert len(house.accepted) == 3
    assert not names.asked
