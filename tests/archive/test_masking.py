"""Members' addresses and our tokens are hidden in what is shown; everything else stays as it was written."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import bridge
from server.archive import masking
from server.archive.masking import Mask, masked_post
from server.web import body

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
        ("o/brien=x@example.org, {odd}@example.org", "…@…, …@…"),
        ('"ana smith"@example.org', "…@…"),
        ('as "a \\"b\\" c"@example.org', "as …@…"),
        ("&quot;ana smith&quot;@example.org", "…@…"),
        ("&lt;r&amp;d@example.org&gt;", "&lt;…@…&gt;"),
        ("ana@[192.0.2.7]", "…@…"),
        ("https://x.test/out?to=ana%40example.org", "https://x.test/out?to=…@…"),
        ("ana&#64;example.org", "…@…"),
        ("(see /tides@lists.test)", "(see /tides@lists.test)"),
        ("meet @ noon", "meet @ noon"),
        ("cid:part1.abc@example.org", "cid:part1.abc@example.org"),
    ],
)
def test_what_is_hidden_and_what_stays(written: str, shown: str) -> None:
    assert MASK.text(written) == shown


@given(st.text())
def test_a_text_without_an_at_sign_or_a_path_is_never_changed(text: str) -> None:
    plain = text.replace("@", "").replace("/", "")
    assert MASK.text(plain) == plain


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<p>from ana<b>@</b>sea.example, and</p>", "<p>from …@…<b></b>, and</p>"),
        ("<b>ana</b>@sea.<i>example</i>", "<b>…@…</b><i></i>"),
        ("<del>ana@sea</del>.example &lt;&amp;", "<del>…@…</del> &lt;&amp;"),
        ("ana&commat;sea.example", "…@…"),
        ("ana&#0064sea&period;example", "…@…"),
        ("&#97;na&#x040;sea&#46;example", "…@…"),
        ("ana<!-- at -->@sea.example", "…@…<!-- at -->"),
        ("<p>ana</p><p>@sea.example</p>", "<p>ana</p><p>@sea.example</p>"),
        ("ana<br>@sea.example", "ana<br>@sea.example"),
        ('<a title="1 &gt; 0">tides</a>@lists.test &lt;b&gt;', '<a title="1 &gt; 0">tides</a>@lists.test &lt;b&gt;'),
        (f"tides-leave<b>+{TOKEN}</b>@lists.test", "tides-leave+…@lists.test<b></b>"),
        ("<b>meet</b> @ <i>noon</i> &amp; later", "<b>meet</b> @ <i>noon</i> &amp; later"),
    ],
)
def test_an_address_with_tags_in_it_is_hidden_as_its_readers_see_it(written: str, shown: str) -> None:
    assert MASK.text(MASK.across(written)) == shown
    assert str(body.shown(written, (), MASK, fold=False)) == shown.replace(
        '&gt; 0">', '&gt; 0" rel="nofollow ugc noopener">'
    )


@given(st.lists(st.sampled_from(["<b>", "</b>", "<i>", "</i>", "", "&#x20;", "<!-- -->"]), min_size=15, max_size=15))
def test_wherever_the_tags_stand_no_address_is_left(between: list[str]) -> None:
    html = "".join(letter + tag for letter, tag in zip("ana@sea.example", [*between, ""], strict=False))
    words = re.sub("<[^<>]*>", "", unescape(MASK.text(MASK.across(html))))
    assert words == MASK.text(re.sub("<[^<>]*>", "", unescape(html)))


@pytest.mark.parametrize(
    "piece", ['<a "x" ', "<b>@</b>", "<a", "&", "<!", "a<b>", "&#9", '<a "', "a@b.cd<b></b>", "<!--"]
)
def test_hostile_markup_costs_little(piece: str) -> None:
    began = time.process_time()
    MASK.across(piece * (1_000_000 // len(piece)) + "@")
    assert time.process_time() - began < 5


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


@pytest.mark.parametrize(
    "field",
    [
        "From: Ana <ana@\r\n example.org>",
        "From: Ana <ana @ example.org>",
        "From: <o/brien=ana@example.org>",
        'From: "Ana" <"ana smith"@example.org>',
        'From: Ana <"ana"@(home) example.org>',
        "Reply-To: ana@localbox",
        "Subject: bounce of ana @ example.org",
        "Subject: =?utf-8?Q?bounce_of_ana=40?=\r\n =?utf-8?Q?example.org?=",
    ],
)
def test_no_spelling_of_an_address_stays_in_a_header(field: str) -> None:
    masked = MASK.message(f"{field}\r\nTo: tides@lists.test\r\n\r\nWords.\r\n".encode())
    shown = str(email.message_from_bytes(masked, policy=email.policy.default)[field.partition(":")[0]])
    assert "hidden@address.invalid" in shown
    for secret in ("ana@", "ana @", "smith", "brien", "example.org", "localbox"):
        assert secret not in shown.lower()
    assert masked.endswith(b"\r\nTo: tides@lists.test\r\n\r\nWords.\r\n")


@pytest.mark.parametrize("charset", ["utf-16", "utf-16le", "utf-32be", "utf-7"])
def test_addresses_are_hidden_in_charsets_that_are_not_ascii(charset: str) -> None:
    words = base64.encodebytes("Grüße von ana@example.org!".encode(charset)).decode()
    head = f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n"
    message = email.message_from_bytes(MASK.message((head + words).encode()), policy=email.policy.default)
    assert message.get_content().strip() == "Grüße von hidden@address.invalid!"


class Watched:
    """A pattern that remembers how much text it was given to look at."""

    def __init__(self, pattern: object) -> None:
        self._pattern, self.seen = pattern, 0

    def match(self, text: str, at: int = 0) -> object:
        self.seen += len(text)
        return self._pattern.match(text, at)  # type: ignore[attr-defined]


def test_only_what_stands_around_a_sign_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(masking._ATOM)
    monkeypatch.setattr(masking, "_ATOM", watched)
    MASK.message(b"To: x\r\n\r\n" + b"a" * 900_000 + b"\r\n" + b"b" * 900 + b"@example.org")
    assert 0 < watched.seen <= 400


def test_an_address_is_found_wherever_it_stands_in_a_long_text() -> None:
    for length in range(masking._SCAN - 20, masking._SCAN + 5):
        assert "ana" not in MASK.text(" " * length + "ana%40example.org")


def test_a_header_field_longer_than_any_is_left_out() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\n\n--x\nX-Long: y\n" + b" z\n" * 300_000 + b"X-Short: s\n\nWords."
    masked = MASK.message(raw)
    assert b"X-Long" not in masked
    assert b"X-Short: s\n\nWords." in masked


def test_a_post_for_others_shows_no_address_in_words_or_files() -> None:
    forum = bridge.Forum(
        id=3,
        slug="tides",
        title="Tide pools",
        mail_domain="lists.test",
        community=bridge.Community("shore", "Shore watchers", ""),
        **dict.fromkeys(("visibility", "join_policy", "post_policy", "reply_to", "room_messages", "state"), "open"),
        **dict.fromkeys(("subject_prefix", "url"), ""),
        federate=True,
        settle_ms=0,
        max_size=0,
    )
    file = bridge.File("ab" * 32, "carol@private.test.vcf", "text/vcard", 9, "/blob/ab/carol%40private.test.vcf")
    words = "to carol@private.test"
    html = '<p><a href="mailto:carol@private.test?subject=x">carol@private.test</a> tides@lists.test</p>'
    post = bridge.Post(
        *(7, forum, 1, "http://talk.test/f/tides/1", "<id@example.org>", "post", bridge.Writer("k", words)),
        *(words, words, html, words, html, (file,), 5),
    )
    shown = masked_post(post)
    assert shown.writer.name == shown.subject == shown.text == shown.fresh_text == "to …@…"
    assert shown.html == shown.fresh_html == "<p><a>…@…</a> tides@lists.test</p>"
    assert shown.files[0].filename == "…@….vcf"
    assert "carol" not in shown.files[0].url
    assert (shown.message_id, shown.id) == (post.message_id, post.id)


def test_a_content_type_of_many_parameters_costs_no_more_than_its_beginning() -> None:
    raw = b'From: a@b.test\r\nContent-Type: text/plain; a="' + b";" * 200_000 + b"\r\n\r\nhi\r\n"
    assert Mask("pools", "lists.test").message(raw).endswith(b"\r\n\r\nhi\r\n")


@pytest.mark.parametrize(
    "head",
    [
        'Content-Transfer-Encoding: "base64"',
        "Content-Transfer-Encoding: base64 (as ever)",
        "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
        "Content-Type: text/plain\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64",
        "Content-Type: application/xhtml+xml\r\nContent-Transfer-Encoding: base64",
        "Content-Transfer-Encoding: x-own",
    ],
)
def test_an_encoding_said_in_an_odd_way_hides_no_address_from_the_mask(head: str) -> None:
    words = base64.encodebytes(b"write to ana@sea.example, please").decode()
    shown = Mask("pools", "lists.test").message(f"From: a@b.test\r\n{head}\r\n\r\n{words}".encode())
    rest = shown.partition(b"\r\n\r\n")[2]
    assert base64.encodebytes(b"ana@sea.example")[:12] not in rest
    assert b"ana@sea" not in base64.b64decode(rest + b"==")


def test_html_of_a_message_is_masked_as_it_is_seen() -> None:
    head = b"From: x@y.test\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    raw = head + b"<p>ana<span>=\r\n@</span>sea.example &copy; =C3=A9</p>\r\n"
    shown = email.message_from_bytes(MASK.message(raw), policy=email.policy.default)
    assert isinstance(shown, email.message.EmailMessage)
    assert shown.get_content().strip() == "<p>hidden@address.invalid<span></span> © é</p>"


def test_a_content_type_of_two_charsets_is_read() -> None:
    raw = 'From: a@b.test\r\nContent-Type: text/plain; name="café M'.encode() + b'\xfcller.txt"\r\n\r\nhi\r\n'
    assert Mask("pools", "lists.test").message(raw).endswith(b"\r\n\r\nhi\r\n")
