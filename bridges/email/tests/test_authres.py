"""Authentication-Results (RFC 8601): read with its comments and quotes, and believed of one id only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.authres import Result, id_of, read, results

NAME = b"Authentication-Results: "


def field(text: str) -> bytes:
    return NAME + text.replace("\n", "\r\n").encode() + b"\r\n"


def test_a_field_with_everything_in_it() -> None:
    who, found = read(
        field(
            'MX.lists.test 1; spf=Pass (peer (really) \\) is fine) reason="x; y=z"\n smtp.mailfrom="a b"@members.test;\n'
            "\tdkim/1=pass (2048-bit) header.d=members.test header.i=@mail.members.test header.b=ab/c+d==;\n"
            " dmarc = fail (p=none dis=none) header.from=members.test policy.dmarc = none;"
        )
    )
    assert who == "mx.lists.test"
    assert found == [
        Result("spf", "pass", {"smtp.mailfrom": "a b@members.test"}),
        Result("dkim", "pass", {"header.d": "members.test", "header.i": "@mail.members.test", "header.b": "ab/c+d=="}),
        Result("dmarc", "fail", {"header.from": "members.test", "policy.dmarc": "none"}),
    ]


@pytest.mark.parametrize(
    ("text", "who", "methods"),
    [
        ("mx.lists.test; none", "mx.lists.test", []),
        ('"mx.lists.test"; auth=pass smtp.auth=ana', "mx.lists.test", ["auth"]),
        ("(a comment) mx.lists.test (another); spf=none", "mx.lists.test", ["spf"]),
        ("spf=pass smtp.mailfrom=members.test", "", []),
        ("mx.lists.test spf=pass", "", []),
        ("; spf=pass", "", []),
        ("", "", []),
        ("((((((((", "", []),
        ('"', "", []),
        ("mx.lists.test; =pass; spf=; spf;", "mx.lists.test", []),
    ],
)
def test_who_says_what(text: str, who: str, methods: list[str]) -> None:
    found = read(field(text))
    assert (found[0], [one.method for one in found[1]]) == (who, methods)


def test_only_the_trusted_id_is_believed() -> None:
    fields = [field("mx.far.test; dmarc=pass header.from=members.test"), b"From: ana@members.test\r\n"]
    assert results(fields, "mx.lists.test") is None
    assert results([field("mx.lists.test; spf=fail"), *fields], "MX.lists.test") == [Result("spf", "fail")]


def test_only_what_stands_together_at_the_top_is_believed() -> None:
    """What is further down came with the message: the sender may have written it."""
    ours, forged = field("mx.lists.test; spf=fail"), field("mx.lists.test; dmarc=pass header.from=members.test")
    second = field("mx.lists.test; dkim=none")
    found = results([ours, second, field("mx.far.test; none"), forged], "mx.lists.test")
    assert found == [Result("spf", "fail"), Result("dkim", "none")]


@given(st.binary(max_size=300))
def test_nothing_breaks_the_reader(text: bytes) -> None:
    read(NAME + text)
    assert id_of(NAME + b"mx.lists.test;" + text) in ("mx.lists.test", "")


def test_a_long_field_costs_no_more_than_its_length() -> None:
    for text in (b"(" * 400_000, b"\\" * 400_000, b'"' * 400_000, b"a=" * 200_000, b"a.b=c " * 60_000, b";" * 400_000):
        read(NAME + b"mx.lists.test; " + text)
