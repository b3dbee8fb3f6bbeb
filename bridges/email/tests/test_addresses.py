"""What local parts of ours mean, and how foreign addresses are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.addresses import FUNCTIONS, Mailbox, ascii_domain, normal, read_local, split
from server.tokens import random_token

TOKEN = "abcdefghijklmnopqrstuvwx23"


@pytest.mark.parametrize(
    ("local", "meaning"),
    [
        ("tides", Mailbox("tides")),
        ("TiDeS", Mailbox("tides")),
        ("tide-pools-2", Mailbox("tide-pools-2")),
        ("tides-join", Mailbox("tides", "join")),
        ("tides-leave", Mailbox("tides", "leave")),
        ("tides-owner", Mailbox("tides", "owner")),
        ("Tides-Request", Mailbox("tides", "request")),
        (f"tides-leave+{TOKEN}", Mailbox("tides", "leave", TOKEN)),
        (f"tides-confirm+{TOKEN.upper()}", Mailbox("tides", "confirm", TOKEN)),
        (f"tide-pools-bounces+{TOKEN}", Mailbox("tide-pools", "bounces", TOKEN)),
        (f"tides-via+{TOKEN}", Mailbox("tides", "via", TOKEN)),
        (f"tides-item+{TOKEN}", Mailbox("tides", "item", TOKEN)),
        ("postmaster", Mailbox("", "operator")),
        ("ABUSE", Mailbox("", "operator")),
    ],
)
def test_a_local_part_has_one_meaning(local: str, meaning: Mailbox) -> None:
    assert read_local(local) == meaning


@pytest.mark.parametrize(
    "local",
    ["", "-tides", "tides-", "tides+x", "tides-confirm", "tides-bounces", "tides-via", "tides-confirm+short", "a b", "tidés",
     f"tides-join+{TOKEN}", f"tides-leave+{TOKEN}a", "-join", "x" * 30, "tides-via+", "a/../b"],
)  # fmt: skip
def test_what_cannot_be_ours_means_nothing(local: str) -> None:
    assert read_local(local) is None


@given(st.text(max_size=60))
def test_any_local_part_is_read_without_an_error(local: str) -> None:
    found = read_local(local)
    assert found is None or found.function in FUNCTIONS | {"post", "operator"}


def test_our_own_tokens_are_read_back() -> None:
    token = random_token()
    assert read_local(f"tides-via+{token}") == Mailbox("tides", "via", token)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Ana@Example.ORG", "ana@example.org"),
        ("ana@example.org.", "ana@example.org"),
        (" ana@example.org ", "ana@example.org"),
        ('"ana"@example.org', "ana@example.org"),
        ('"ana b"@example.org', '"ana b"@example.org'),
        ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
        ("ana@straße.example", "ana@xn--strae-oqa.example"),
        ("ana+shore@localhost", "ana+shore@localhost"),
        ("ana@[192.0.2.7]", "ana@[192.0.2.7]"),
        ("ana@[IPv6:2001:db8::1]", "ana@[ipv6:2001:db8::1]"),
    ],
)
def test_addresses_are_compared_in_one_form(written: str, stored: str) -> None:
    assert normal(written) == stored


@pytest.mark.parametrize(
    "nonsense",
    ["", "ana", "@", "ana@", "@example.org", "a..b@example.org", ".a@example.org", "a b@example.org", "a@b c", "a@-\n", "a@x..y",
     "@bruno:example.org", "a@[300.1.1.1]", "a\r\nb@example.org", 'a"b@example.org', "a@" + "x" * 64 + ".org", "a" * 129 + "@x.org",
     "a@b\0", "<a@b.org>", "a,b@c.org"],
)  # fmt: skip
def test_nonsense_is_no_address(nonsense: str) -> None:
    assert normal(nonsense) is None


@given(st.text(max_size=400))
def test_a_normal_address_stays_as_it_is(text: str) -> None:
    once = normal(text)
    assert once is None or (normal(once) == once and not set(once) & set("\r\n\0<>"))


@given(st.text(max_size=300))
def test_a_domain_on_the_wire_is_ascii(text: str) -> None:
    wire = ascii_domain(text)
    assert wire is None or (wire.isascii() and ascii_domain(wire) == wire)


def test_postmaster_may_stand_without_a_domain() -> None:
    assert split("Postmaster") == ("Postmaster", "")
    assert split("a@b@c") == ("a@b", "c")
