"""Members' addresses and our tokens are hidden in what is shown; everything else stays as it was written."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.archive.masking import Mask

MASK = Mask("tides", "lists.test")
TOKEN = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("On Monday Ana <ana.lima+x@mail.example.org> wrote:", "On Monday Ana <…@…> wrote:"),
        ("______ana@example.org", "…@…"),
        ("write to tides@lists.test", "write to tides@lists.test"),
        ("or TIDES-join@LISTS.test", "or tides-join@LISTS.test"),
        (f"tides-leave+{TOKEN}@lists.test", "tides-leave+…@lists.test"),
        ("ana@lists.test", "…@…"),
        ("ana@localhost", "…@…"),
        ("pip install tool@1.2.3", "pip install tool@1.2.3"),
        ("@ana:example.org and @ana", "@ana:example.org and @ana"),
        (f"https://talk.test/leave/{TOKEN}", "https://talk.test/leave/…"),
        (f"https://talk.test/f/{TOKEN}", f"https://talk.test/f/{TOKEN}"),
        ("cid:part1.abc@example.org", "cid:part1.abc@example.org"),
    ],
)
def test_what_is_hidden_and_what_stays(written: str, shown: str) -> None:
    assert MASK.text(written) == shown


@given(st.text())
def test_a_text_without_an_at_sign_or_a_path_is_never_changed(text: str) -> None:
    plain = text.replace("@", "").replace("/", "")
    assert MASK.text(plain) == plain


MAIL = f"""\
Received: from laptop.home (192.0.2.7) by mx.example.org for <tides@lists.test>
Message-ID: <one@example.org>
References: <zero@example.org>
From: Ana Lima <ana@example.org>
To: Tide pools <tides@lists.test>
Subject: =?utf-8?B?{base64.b64encode(b"from ana@example.org").decode()}?=
List-Unsubscribe: <https://talk.test/leave/{TOKEN}>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

{quopri.encodestring("Grüße, ana@example.org".encode()).decode()}
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

{base64.encodebytes(b"<p>Bye, ana@example.org</p>").decode()}
--inner--

--outer
Content-Type: message/rfc822

From: bruno@example.org
Subject: Old

Forwarded by bruno@example.org
--outer
Content-Type: image/png
Content-Transfer-Encoding: base64

{base64.encodebytes(b"not text: ana@example.org").decode()}
--outer--
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_masked_message_hides_addresses_in_every_part_and_is_still_a_message(end: str) -> None:
    masked = MASK.message(MAIL.replace("\n", end).encode())
    message = email.message_from_bytes(masked, policy=email.policy.default)
    assert message["Message-ID"] == "<one@example.org>"
    assert message["References"] == "<zero@example.org>"
    assert message["From"] == "Ana Lima <hidden@address.invalid>"
    assert message["To"] == "Tide pools <tides@lists.test>"
    assert message["Subject"] == "from hidden@address.invalid"
    assert "Received" not in message
    assert TOKEN.encode() not in masked
    parts = {part.get_content_type(): part for part in reversed(list(message.walk()))}
    assert parts["text/plain"].get_content().strip() == "Grüße, hidden@address.invalid"
    assert parts["text/html"].get_content().strip() == "<p>Bye, hidden@address.invalid</p>"
    assert parts["image/png"].get_content() == b"not text: ana@example.org"
    texts = [part.get_content() for part in message.walk() if part.get_content_maintype() == "text"]
    assert not any("@example.org" in text for text in texts)
    assert b"bruno@" not in masked
    assert b"Forwarded by hidden@address.invalid" in masked


@given(st.binary(max_size=500))
def test_masking_takes_any_bytes(raw: bytes) -> None:
    MASK.message(b"Content-Type: multipart/mixed; boundary=x\n\n--x\n" + raw)
