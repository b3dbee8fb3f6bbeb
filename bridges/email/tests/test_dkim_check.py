"""Signatures of received mail, made by dkimpy and checked by us: what they cover, and what breaks them."""

from __future__ import annotations

import time
from dataclasses import replace

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.email import dkim_check
from bridges.email.tests.signing import record, signed

MAIL = b"""\
From:  =?utf-8?q?Ana_Mari=C3=B1o?= \t <ana@members.test>
To: tides@lists.test
Subject: Limpets   on the north face,
\tagain
Date: Mon, 2 Nov 2026 06:11:00 +0000
Message-ID: <limpets@members.test>
X-Tide: one
X-Tide: two

.A dot first, \t two blanks within
  and  before, and after \t

caf\xe9
\x20
\t

""".replace(b"\n", b"\r\n")
ALL = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")


def good(raw: bytes, keys: list[str] | None = None, now: int | None = None) -> bool:
    of = dkim_check.message(raw)
    (signature,) = dkim_check.signatures(of.fields)
    records = [key.encode() for key in keys or [record()]]
    return dkim_check.verifies(of, signature, records, int(time.time()) if now is None else now)


def by_dkimpy(raw: bytes) -> bool:
    return bool(dkim.verify(raw, dnsfunc=lambda name, timeout=5: record().encode()))


@pytest.mark.parametrize("canonical", ALL)
def test_what_was_signed_verifies(canonical: str) -> None:
    raw = signed(MAIL, "members.test", canonical=canonical)
    assert good(raw)
    assert by_dkimpy(raw)


@pytest.mark.parametrize("canonical", ALL)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"caf\xe9", b"cafe"),
        (b"Limpets   on", b"Limpets on"),
        (b",\r\n\tagain", b", again"),
        (b"From:  =?", b"from: =?"),
        (b" \t two", b" two"),
        (b"before, and after \t\r\n", b"before, and after\r\n"),
        (b"  and  before", b" and before"),
        (b"\r\n\r\n.A dot", b"\r\n\r\n\r\n.A dot"),
        (b"\r\n \r\n\t\r\n\r\n", b"\r\n"),
        (b"X-Tide: one\r\n", b""),
        (b"Date: Mon", b"Date: Tue"),
    ],
)
def test_we_and_dkimpy_agree_on_what_breaks_it(canonical: str, before: bytes, after: bytes) -> None:
    raw = signed(MAIL, "members.test", canonical=canonical)
    changed = raw.replace(before, after)
    assert changed != raw
    assert good(changed) == by_dkimpy(changed)


@settings(max_examples=60, deadline=None)
@given(body=st.text(alphabet="a \t\n\r.é", max_size=40), canonical=st.sampled_from(ALL))
def test_any_body_is_hashed_as_it_was_signed(body: str, canonical: str) -> None:
    text = body.replace("\r", "").replace("\n", "\r\n").encode() + b"\r\n"
    raw = signed(b"From: ana@members.test\r\n\r\n" + text, "members.test", ("from",), canonical)
    assert good(raw)


def test_an_absent_name_is_a_promise_of_absence() -> None:
    raw = signed(MAIL, "members.test", ("from", "subject", "subject", "reply-to"))
    assert good(raw)
    assert not good(b"Reply-To: other@far.test\r\n" + raw)
    assert not good(b"Subject: another\r\n" + raw)
    assert good(b"X-Other: field\r\nTo: more@lists.test\r\n" + raw)


def test_of_a_name_that_comes_twice_the_last_one_is_meant() -> None:
    raw = signed(MAIL, "members.test", ("from", "x-tide"))
    assert good(b"X-Tide: three\r\n" + raw)
    assert not good(raw.replace(b"X-Tide: two", b"X-Tide: 2"))


def test_only_a_usable_key_counts() -> None:
    raw = signed(MAIL, "members.test")
    assert good(raw, ["rubbish", record()])
    for key in (
        record().replace("k=rsa", "k=ed25519"),
        record().replace("v=DKIM1", "v=DKIM2"),
        record().replace("k=rsa", "h=sha1"),
        record().replace("k=rsa", "s=tlsrpt"),
        "v=DKIM1; p=",
        "v=DKIM1; p=AAAA",
        "p=" + "A" * 20_000,
    ):
        assert not good(raw, [key])


def test_a_short_key_of_1024_bits_will_do_but_not_anothers() -> None:
    assert good(signed(MAIL, "members.test", bits=1024), [record(1024)])
    assert not good(signed(MAIL, "members.test", bits=1024), [record()])


WEAK = b"""\
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=members.test;
 i=@members.test; q=dns/txt; s=k1; t=1795618001; h=from : subject;
 bh=zg4FFQFscWfFoFwwbbmrtJTLZRmxZmjxE52o2xtHiBM=;
 b=0qWaYldoIkqtfYsxcZcM6vnahLM6A6PciT2bNg8xN+EGL3HXHbgExjF3J7dgj5wRfENej
 yabg54fddxuI9rhlaV8FtHwhMcp1/qKCkNgCpjrTqZJooTK+Z0GZYkmK26Q
From: ana@members.test
Subject: Limpets

Forty.
""".replace(b"\n", b"\r\n")
WEAK_KEY = (
    "v=DKIM1; k=rsa; p=MHwwDQYJKoZIhvcNAQEBBQADawAwaAJhAO0+zVpsJeNR2gV9GpUe8AamfdxJdHoT/gmFP2LHWQzuaVnJoLpdV3czoM2pe"
    "Le+hwYGbOJkNIU4PoXBwCMrTT7d3etGflj/FVV02mZ3AWT/aQjhCtQTRIHgdrt/hArsxQIDAQAB"
)
"""Signed once with a key of 768 bits, which the libraries that we have do not make any more."""


def test_a_key_of_less_than_1024_bits_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not good(WEAK, [WEAK_KEY])
    monkeypatch.setattr(dkim_check, "KEY_BITS", range(768, 4097))
    assert good(WEAK, [WEAK_KEY]), "nothing else is wrong with it"


def test_a_signature_ends() -> None:
    raw = signed(MAIL, "members.test")
    of = dkim_check.message(raw)
    (signature,) = dkim_check.signatures(of.fields)
    ending = replace(signature, expires=1_793_600_000)
    keys = [record().encode()]
    assert dkim_check.verifies(of, ending, keys, 1_793_600_000)
    assert not dkim_check.verifies(of, ending, keys, 1_793_601_000)
    assert dkim_check.read(FIELD.replace(b"v=1", b"v=1; x=1793600000")).expires == 1_793_600_000  # type: ignore[union-attr]


def test_a_signature_over_a_part_of_the_body_is_none() -> None:
    raw = signed(MAIL, "members.test", length=True)
    assert b"l=" in raw
    assert good(raw)
    assert by_dkimpy(raw + b"Buy this!\r\n")
    assert not good(raw + b"Buy this!\r\n")


FIELD = b"DKIM-Signature: v=1; a=rsa-sha256; d=members.test; s=k; h=from:to; bh=AAAA; b=BBBB\r\n"


def test_a_field_is_read() -> None:
    found = dkim_check.read(FIELD.replace(b"from:to", b"From : \r\n\tTO ").replace(b"d=m", b"d=M"))
    assert found is not None
    assert (found.domain, found.key_name, found.names) == (
        "members.test",
        "k._domainkey.members.test",
        (b"from", b"to"),
    )
    assert (found.relaxed_header, found.relaxed_body) == (False, False)


@pytest.mark.parametrize(
    "field",
    [
        FIELD.replace(b"rsa-sha256", b"rsa-sha1"),
        FIELD.replace(b"v=1", b"v=2"),
        FIELD.replace(b"h=from:to", b"h=to"),
        FIELD.replace(b"b=BBBB", b"b=B"),
        FIELD.replace(b"bh=AAAA; ", b""),
        FIELD.replace(b"d=members.test", b"d=members..test"),
        FIELD.replace(b"s=k", b"s=k; s=l"),
        FIELD.replace(b"v=1", b"v=1; c=plain"),
        FIELD.replace(b"v=1", b"v=1; l=-1"),
        FIELD.replace(b"v=1", b"v=1; x=tomorrow"),
        FIELD.replace(b"from:to", b"from:" + b"to:" * 400),
        FIELD.replace(b"from:to", b"from:" + b"to:" * 20_000),
        b"DKIM-Signature: \r\n",
    ],
)
def test_what_cannot_be_valid_is_none(field: bytes) -> None:
    assert dkim_check.read(field) is None


@given(st.binary(max_size=400))
def test_nothing_breaks_the_reader(text: bytes) -> None:
    of = dkim_check.message(b"DKIM-Signature: v=1; a=rsa-sha256; s=k; h=from; d=x.test; " + text)
    for signature in dkim_check.signatures(of.fields):
        assert not dkim_check.verifies(of, signature, [text], 0)


def test_many_signatures_are_not_all_looked_at() -> None:
    assert len(dkim_check.signatures([FIELD] * 50)) == dkim_check.SIGNATURES
