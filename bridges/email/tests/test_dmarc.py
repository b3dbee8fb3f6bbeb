"""What a domain asks for mail in its name, found by walking up the tree (RFC 9989 sections 4.7 and 4.10)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.dmarc import Dmarc, Policy, read, steps
from bridges.email.dns import Resolver, Temporary
from tests.peers.names import Names


def at(names: Names, domain: str, *texts: str) -> None:
    names.txt(f"_dmarc.{domain}", *texts)


async def policy(names: Names, domain: str) -> Policy | None:
    return await Dmarc(Resolver(names.server)).policy(domain)


async def wish(names: Names, domain: str) -> str | None:
    found = await policy(names, domain)
    return found.wish if found else None


# Whose policy ---------------------------------------------------------------------------------------------------------
async def test_a_domain_says_itself_what_it_wants(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject; sp=none; adkim=s; t=y")
    assert await policy(names, "members.test") == Policy("members.test", "reject", testing=True, strict_dkim=True)
    assert set(names.asked) == {("_dmarc.members.test", "TXT")}


async def test_a_domain_below_gets_what_its_organization_wants_below_it(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject; sp=quarantine")
    names.zone["mail.members.test", "A"] = ["192.0.2.1"]
    assert await wish(names, "mail.members.test") == "quarantine"
    at(names, "members.test", "v=DMARC1; p=reject")
    assert await wish(names, "mail.members.test") == "reject"


async def test_a_name_that_does_not_exist_gets_what_is_wanted_for_those(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=none; sp=quarantine; np=reject")
    names.zone["mail.members.test", "MX"] = ["10 mail.members.test."]
    assert await wish(names, "nothing.members.test") == "reject"
    assert await wish(names, "mail.members.test") == "quarantine"


async def test_a_registry_may_speak_for_names_below_it(names: Names) -> None:
    at(names, "bank.test", "v=DMARC1; p=none; sp=reject; psd=y")
    names.zone["teller.bank.test", "A"] = ["192.0.2.1"]
    assert await wish(names, "teller.bank.test") == "reject"


async def test_no_record_is_no_policy(names: Names) -> None:
    assert await policy(names, "a.b.members.test") is None


async def test_two_records_are_as_none(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject", "v=DMARC1; p=none", "v=spf1 -all")
    assert await policy(names, "members.test") is None


async def test_a_dns_that_does_not_answer_is_never_no_policy(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject")
    names.silent.add("_dmarc.mail.members.test")
    with pytest.raises(Temporary):
        await policy(names, "mail.members.test")


async def test_it_is_asked_once(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject")
    dmarc = Dmarc(Resolver(names.server))
    for _ in range(3):
        assert await dmarc.policy("a.members.test")
    assert set(names.asked.values()) == {1}


@pytest.mark.parametrize(
    ("record", "enforces", "harms"),
    [
        ("p=none", False, False),
        ("p=quarantine", True, True),
        ("p=reject", True, True),
        ("p=quarantine; t=y", False, False),
        ("p=reject; t=y", False, True),
    ],
)
async def test_a_test_asks_for_one_step_less(names: Names, record: str, enforces: bool, harms: bool) -> None:
    at(names, "members.test", f"v=DMARC1; {record}")
    found = await policy(names, "members.test")
    assert found
    assert (found.enforces, found.harms) == (enforces, harms)


# The walk -------------------------------------------------------------------------------------------------------------
def test_a_walk_asks_eight_names_at_most() -> None:
    assert steps("a.members.test") == ["a.members.test", "members.test", "test"]
    long = "a.b.c.d.e.f.g.h.i.j.mail.members.test"
    assert steps(long)[:2] == [long, "g.h.i.j.mail.members.test"]
    assert len(steps(long)) == len(steps("a.b.c.d.e.f.g.h")) == 8


@pytest.mark.parametrize(
    ("records", "domain", "organization"),
    [
        ({}, "a.members.test", "a.members.test"),
        ({"members.test": ""}, "a.b.members.test", "members.test"),
        ({"members.test": "", "b.members.test": ""}, "a.b.members.test", "members.test"),
        ({"members.test": "", "b.members.test": "; psd=n"}, "a.b.members.test", "b.members.test"),
        ({"test": "; psd=y"}, "a.b.members.test", "members.test"),
        ({"test": "; psd=y"}, "test", "test"),
        ({"b.members.test": "; psd=y", "members.test": ""}, "b.members.test", "b.members.test"),
    ],
)
async def test_where_an_organization_begins(
    names: Names, records: dict[str, str], domain: str, organization: str
) -> None:
    for name, more in records.items():
        at(names, name, f"v=DMARC1; p=none{more}")
    assert await Dmarc(Resolver(names.server)).organization(domain) == organization


async def test_who_speaks_for_whom(names: Names) -> None:
    at(names, "members.test", "v=DMARC1; p=reject")
    at(names, "far.test", "v=DMARC1; p=reject")
    dmarc = Dmarc(Resolver(names.server))
    assert await dmarc.aligned("members.test", "members.test", strict=True)
    assert await dmarc.aligned("mail.members.test", "members.test", strict=False)
    assert await dmarc.aligned("members.test", "ana.members.test", strict=False)
    assert not await dmarc.aligned("mail.members.test", "members.test", strict=True)
    assert not await dmarc.aligned("far.test", "members.test", strict=False)
    assert not await dmarc.aligned("members.example", "members.test", strict=False)


# Records --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("v=DMARC1;p=reject", "reject"),
        (" v = DMARC1 ; P = Reject ; pct=0; rf=afrf; ri=86400", "reject"),
        ("v=DMARC1; p=maybe; rua=mailto:x@members.test", "none"),
        ("v=DMARC1; rua=mailto:x@members.test", "none"),
        ("v=DMARC1; p=reject; sp=maybe", None),
        ("v=DMARC1; p=maybe", None),
        ("v=DMARC1", None),
        ("v=DMARC2; p=reject", None),
        ("v=dmarc1; p=reject", None),
        ("p=reject; v=DMARC1", None),
    ],
)
async def test_what_a_record_asks(names: Names, text: str, found: str | None) -> None:
    at(names, "members.test", text)
    assert await wish(names, "members.test") == found


@given(st.binary(max_size=300))
def test_no_record_breaks_the_reader(text: bytes) -> None:
    read(b"v=DMARC1;" + text, "members.test")
