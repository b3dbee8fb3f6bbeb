"""How a received message goes on: untouched where its signature carries it, with our From where nothing else would arrive."""

from __future__ import annotations

from typing import Any

import dkim
import pytest

from bridges.email.compose import Passage, compose
from bridges.email.dns import Resolver
from bridges.email.passage import TRIES, Passages
from bridges.email.settings import Settings
from bridges.email.tests.posts import VIA, mailed, target
from bridges.email.tests.signing import publish, record, signed
from server.bridge import Writer
from server.errors import Deferred
from tests.fakes import forum
from tests.peers.names import Names

MAIL = b"From: Ana <ana@members.test>\r\nTo: tides@lists.test\r\nSubject: Limpets\r\nDate: x\r\n\r\nForty.\r\n"
COVERS = ("from", "to", "subject", "date")
OVERSIGNED = (*COVERS, "from", "subject", "reply-to", "list-post", "precedence", "message-id")


async def passage(names: Names, original: bytes, attempt: int = 1, settings: Any = None, **of: Any) -> Passage:
    passages = Passages(Settings(**(settings or {})), Resolver(names.server))
    return await passages.of(mailed(original, **of), attempt)


def enforces(names: Names, policy: str = "p=reject") -> None:
    names.txt("_dmarc.members.test", f"v=DMARC1; {policy}")
    publish(names, "members.test")


async def rewrites(names: Names, original: bytes, **of: Any) -> bool:
    return (await passage(names, original, **of)).rewrite


# From -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("covers", [COVERS, OVERSIGNED])
async def test_a_signature_that_survives_carries_the_authors_own_from(names: Names, covers: tuple[str, ...]) -> None:
    enforces(names)
    original = signed(MAIL, "members.test", covers)
    found = await passage(names, original)
    assert not found.rewrite
    sent = compose(mailed(original), {}, "https://talk.test/leave/", found).copy(target())
    assert dkim.verify(sent, dnsfunc=lambda name, timeout=5: record().encode())


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("p=reject", True),
        ("p=quarantine", True),
        ("p=reject; t=y", True),
        ("p=quarantine; t=y", False),
        ("p=none", False),
    ],
)
async def test_without_a_signature_the_domain_decides(names: Names, policy: str, expected: bool) -> None:
    enforces(names, policy)
    assert await rewrites(names, MAIL) is expected


async def test_a_domain_that_says_nothing_keeps_its_from(names: Names) -> None:
    assert not await rewrites(names, MAIL)


@pytest.mark.parametrize(
    "original",
    [
        signed(MAIL, "members.test", COVERS).replace(b"Forty", b"Fifty"),
        signed(MAIL, "far.test", COVERS),
        signed(MAIL, "members.test", (*COVERS, "list-id")),
        signed(MAIL, "members.test", (*COVERS, "list-unsubscribe")),
        signed(MAIL, "members.test", (*COVERS, "list-unsubscribe-post")),
        signed(MAIL, "members.test", COVERS, length=True) + b"more\r\n",
    ],
    ids=["changed", "of another domain", "over List-Id", "over List-Unsubscribe", "over one-click", "over a part"],
)
async def test_a_signature_that_does_not_carry_it_is_as_none(names: Names, original: bytes) -> None:
    publish(names, "far.test")
    enforces(names)
    assert await rewrites(names, original)
    enforces(names, "p=none")
    assert not await rewrites(names, original)


async def test_what_a_forum_adds_breaks_a_signature(names: Names) -> None:
    enforces(names)
    original = signed(MAIL, "members.test", COVERS)
    assert await rewrites(names, original, forum=forum(footer="Be kind."))
    assert await rewrites(names, original, forum=forum(subject_prefix="[tides]"))
    prefixed = signed(MAIL.replace(b"Limpets", b"[tides] Limpets"), "members.test", COVERS)
    assert not await rewrites(names, prefixed, forum=forum(subject_prefix="[tides]"))


async def test_a_strict_domain_is_carried_by_its_own_signature_alone(names: Names) -> None:
    publish(names, "mail.members.test")
    original = signed(MAIL, "mail.members.test", COVERS)
    enforces(names)
    assert not await rewrites(names, original)
    enforces(names, "p=reject; adkim=s")
    assert await rewrites(names, original)


async def test_who_hides_is_rewritten_and_nobody_is_asked(names: Names) -> None:
    assert await rewrites(names, MAIL, writer=Writer("key", "Ana", VIA, hidden=True))
    assert (await passage(names, MAIL, settings={"rewrite_from": "always"})).rewrite
    assert not names.asked


# A DNS that does not answer -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("silent", ["_dmarc.members.test", "k1._domainkey.members.test"])
async def test_silence_makes_it_wait_but_not_for_ever(names: Names, silent: str) -> None:
    enforces(names)
    names.silent.add(silent)
    original = MAIL if silent.startswith("_dmarc") else signed(MAIL, "members.test", COVERS)
    with pytest.raises(Deferred) as raised:
        await passage(names, original)
    assert raised.value.code == "4.4.3"
    assert (await passage(names, original, attempt=TRIES)).rewrite


async def test_silence_that_decides_nothing_is_no_reason_to_wait(names: Names) -> None:
    enforces(names)
    names.silent.add("_dmarc.members.test")
    assert not await rewrites(names, signed(MAIL, "members.test", COVERS))


# Promises -------------------------------------------------------------------------------------------------------------
async def test_only_what_can_be_kept_is_promised(names: Names) -> None:
    original = signed(MAIL, "members.test", OVERSIGNED)
    assert (await passage(names, original)).promised == {name.encode() for name in OVERSIGNED}
    assert (await passage(names, signed(MAIL, "far.test", OVERSIGNED))).promised == frozenset()
    assert (await passage(names, signed(MAIL, "members.test", (*OVERSIGNED, "list-id")))).promised == frozenset()


async def test_nobody_speaks_for_our_server(names: Names) -> None:
    settings = {"domain": "lists.test", "trusted_authserv_id": "MX.lists.test"}
    assert (await passage(names, MAIL, settings=settings)).impersonated == {"lists.test", "mx.lists.test"}
