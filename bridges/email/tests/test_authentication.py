"""Who vouches for an author: a host of ours, the server in front, a signature, the peer; and what it means that nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from bridges.email.authentication import Authentication, Peer, Verdict
from bridges.email.dns import Resolver
from bridges.email.parse import parse
from bridges.email.settings import Settings
from bridges.email.tests.signing import publish, signed
from server.bridge import Doubt, Proof
from server.errors import Deferred
from tests.peers.names import Names

MAIL = b"From: Ana <ana@members.test>\r\nTo: tides@lists.test\r\nSubject: Limpets\r\n\r\nForty.\r\n"
COVERS = ("from", "to", "subject")
LMTP = Peer("127.0.0.1", "mx.lists.test", "ana@members.test")
DIRECT = Peer("8.8.4.4", "mail.members.test", "ana@members.test", asked=True)
VOUCHED, NOTHING = Verdict(Proof.AUTHENTICATED), Verdict()
FAILS, FORBIDDEN = Verdict(doubt=Doubt.FAILS), Verdict(doubt=Doubt.FORBIDDEN)


async def verdict(names: Names, raw: bytes = MAIL, peer: Peer = LMTP, **settings: Any) -> Verdict:
    authentication = Authentication(Settings(**settings), Resolver(names.server))
    return await authentication.verdict(parse(raw, peer.envelope_from, "lists.test", 1_800_000_000_000), peer)


def said(text: str, raw: bytes = MAIL) -> bytes:
    return b"Authentication-Results: " + text.encode() + b"\r\n" + raw


def wants(names: Names, policy: str, domain: str = "members.test") -> None:
    names.txt(f"_dmarc.{domain}", f"v=DMARC1; {policy}")


# What proves ------------------------------------------------------------------------------------------------------------
async def test_a_host_of_ours_vouches_and_nobody_is_asked(names: Names) -> None:
    assert await verdict(names, trusted_networks=("127.0.0.0/8",)) == VOUCHED
    assert not names.asked


@pytest.mark.parametrize("policy", ["", "p=none", "p=reject"])
async def test_a_signature_of_the_authors_domain(names: Names, policy: str) -> None:
    publish(names, "members.test")
    if policy:
        wants(names, policy)
    raw = signed(MAIL, "members.test", COVERS)
    assert await verdict(names, raw) == VOUCHED
    assert await verdict(names, raw.replace(b"Forty", b"Fifty")) != VOUCHED


async def test_a_signature_of_the_same_organization(names: Names) -> None:
    publish(names, "mail.members.test")
    wants(names, "p=reject")
    raw = signed(MAIL, "mail.members.test", COVERS)
    assert await verdict(names, raw) == VOUCHED
    wants(names, "p=reject; adkim=s")
    assert await verdict(names, raw) == FAILS


async def test_a_signature_of_anybody_else_proves_nothing(names: Names) -> None:
    publish(names, "far.test")
    wants(names, "p=reject")
    assert await verdict(names, signed(MAIL, "far.test", COVERS)) == FAILS


@pytest.mark.parametrize(
    "text",
    [
        "mx.lists.test; dmarc=pass header.from=members.test",
        "mx.lists.test; dkim=fail header.d=far.test; dkim=pass header.d=members.test",
        "mx.lists.test; dkim=pass header.i=@members.test",
        "mx.lists.test; spf=pass smtp.mailfrom=ana@members.test",
        "mx.lists.test; spf=pass smtp.mailfrom=members.test",
        "mx.lists.test; spf=pass smtp.helo=mail.members.test",
    ],
)
async def test_the_trusted_server_vouches(names: Names, text: str) -> None:
    wants(names, "p=reject")
    assert await verdict(names, said(text), trusted_authserv_id="mx.lists.test") == VOUCHED
    assert await verdict(names, said(text), trusted_authserv_id="mx.other.test") == FAILS
    assert await verdict(names, said(text)) == FAILS


@pytest.mark.parametrize(
    "text",
    [
        "mx.lists.test; dmarc=pass header.from=far.test",
        "mx.lists.test; dmarc=pass",
        "mx.lists.test; dmarc=fail header.from=members.test; dkim=pass header.d=far.test",
        "mx.lists.test; spf=pass smtp.mailfrom=ana@far.test",
        "mx.lists.test; spf=softfail smtp.mailfrom=ana@members.test",
    ],
)
async def test_what_the_trusted_server_says_of_others_proves_nothing(names: Names, text: str) -> None:
    wants(names, "p=reject")
    assert await verdict(names, said(text), trusted_authserv_id="mx.lists.test") == FORBIDDEN


# The peer -----------------------------------------------------------------------------------------------------------
async def test_a_peer_that_may_send_for_the_domain_vouches(names: Names) -> None:
    wants(names, "p=reject")
    names.txt("members.test", "v=spf1 include:hosts.far.test -all")
    names.txt("hosts.far.test", "v=spf1 ip4:8.8.4.0/24 ?all")
    assert await verdict(names, peer=DIRECT) == VOUCHED
    elsewhere = Peer("9.9.9.9", DIRECT.greeting, DIRECT.envelope_from, asked=True)
    assert await verdict(names, peer=elsewhere) == FORBIDDEN


async def test_a_null_sender_is_known_by_its_greeting(names: Names) -> None:
    wants(names, "p=reject")
    names.txt("mail.members.test", "v=spf1 a -all")
    names.zone["mail.members.test", "A"] = ["8.8.4.4"]
    assert await verdict(names, peer=Peer("8.8.4.4", "mail.members.test", "", asked=True)) == VOUCHED


async def test_the_envelope_must_be_of_the_authors_domain(names: Names) -> None:
    wants(names, "p=reject")
    names.txt("far.test", "v=spf1 +all")
    assert await verdict(names, peer=Peer("8.8.4.4", "mail.far.test", "eve@far.test", asked=True)) == FORBIDDEN


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "192.168.0.9", "::1", "fe80::1%eth0", "::ffff:10.0.0.1", ""]
)
async def test_behind_an_mta_the_peer_says_nothing(names: Names, address: str) -> None:
    wants(names, "p=reject")
    names.txt("members.test", "v=spf1 +all")
    peer = Peer(address, "mail.members.test", "ana@members.test", asked=True)
    assert await verdict(names, peer=peer) == FAILS
    assert ("members.test", "TXT") not in names.asked


async def test_over_lmtp_the_peer_says_nothing(names: Names) -> None:
    names.txt("members.test", "v=spf1 +all")
    assert await verdict(names, peer=Peer("8.8.4.4", "mail.members.test", "ana@members.test")) == NOTHING


@pytest.mark.parametrize("record", ["v=spf1 include:members.test -all", "v=spf1 a:%{i}%{ -all", "v=spf1 " + "mx " * 40])
async def test_a_record_that_makes_no_sense_allows_nobody(names: Names, record: str) -> None:
    names.txt("members.test", record)
    assert await verdict(names, peer=DIRECT) == NOTHING


# What it means that nobody does ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("voids", "expected"), [(2, VOUCHED), (3, NOTHING)])
async def test_a_record_may_name_two_hosts_that_are_not_there(names: Names, voids: int, expected: Verdict) -> None:
    hosts = " ".join(f"a:no{n}.far.test" for n in range(voids))
    names.txt("members.test", f"v=spf1 {hosts} ip4:8.8.4.0/24 -all")
    assert await verdict(names, peer=DIRECT) == expected


async def test_a_domain_that_says_nothing_leaves_no_doubt(names: Names) -> None:
    assert await verdict(names) == NOTHING
    assert await verdict(names, peer=DIRECT) == NOTHING


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("p=none", FAILS),
        ("p=quarantine", FORBIDDEN),
        ("p=reject", FORBIDDEN),
        ("p=reject; t=y", FAILS),
    ],
)
async def test_a_domain_that_says_how_to_know_its_mail(names: Names, policy: str, expected: Verdict) -> None:
    wants(names, policy)
    assert await verdict(names, peer=DIRECT) == expected


async def test_nothing_is_forbidden_where_nobody_could_look_at_the_peer(names: Names) -> None:
    wants(names, "p=reject")
    assert await verdict(names, peer=LMTP) == FAILS
    looked = said("mx.lists.test; spf=fail smtp.mailfrom=eve@members.test")
    assert await verdict(names, looked, peer=LMTP, trusted_authserv_id="mx.lists.test") == FORBIDDEN


# A DNS that does not answer ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("silent", ["_dmarc.members.test", "_dmarc.test"])
async def test_no_policy_is_never_made_of_silence(names: Names, silent: str) -> None:
    names.silent.add(silent)
    with pytest.raises(Deferred) as raised:
        await verdict(names)
    assert raised.value.code == "4.4.3"


async def test_a_proof_that_might_be_there_is_waited_for(names: Names) -> None:
    wants(names, "p=none")
    raw = signed(MAIL, "members.test", COVERS)
    names.silent.add("k1._domainkey.members.test")
    with pytest.raises(Deferred):
        await verdict(names, raw)
    names.silent = {"members.test"}
    with pytest.raises(Deferred):
        await verdict(names, peer=DIRECT)


async def test_while_the_policy_is_unknown_only_the_very_domain_vouches(names: Names) -> None:
    mail = MAIL.replace(b"@members.test", b"@boats.members.test")
    publish(names, "members.test")
    publish(names, "boats.members.test")
    names.txt("_dmarc.members.test", "v=DMARC1; p=reject; np=none; adkim=s")
    names.silent = {"boats.members.test"}  # whether it exists decides which of the two is meant
    with pytest.raises(Deferred):
        await verdict(names, signed(mail, "members.test", COVERS))
    assert await verdict(names, signed(mail, "boats.members.test", COVERS)) == VOUCHED


async def test_silence_that_decides_nothing_is_no_reason_to_wait(names: Names) -> None:
    publish(names, "members.test")
    raw = signed(MAIL, "members.test", COVERS)
    names.silent = {"_dmarc.members.test", "_dmarc.test"}
    assert await verdict(names, raw) == VOUCHED
    names.silent = {"k1._domainkey.members.test"}
    assert await verdict(names, raw) == NOTHING
