"""What is read off a message: structure, texts, names, ids, machines. Messages of our own, and any bytes at all."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridges.email import identification, structure
from bridges.email.addresses import Mailbox
from bridges.email.authentication import NOTHING_SAID
from bridges.email.mailboxes import Named, mailboxes
from bridges.email.parse import parse
from bridges.email.receive import inbound, old
from bridges.email.tests.reading import NOW, header, mail, post
from server import limits
from server.bridge import Inbound, NewPost, Request
from server.errors import Rejected

MESSAGES = Path(__file__).parent / "messages"


# Golden messages -----------------------------------------------------------------------------------------------------------
def as_data(told: NewPost) -> dict[str, object]:
    return {
        "author": [told.author.name, told.author.address],
        "subject": told.subject,
        "refs": [ref.name for ref in told.refs],
        "parents": [ref.name for ref in told.parents],
        "text": told.text,
        "html": told.html,
        "attachments": [
            [one.filename, one.media_type, len(one.data), one.content_id, one.inline] for one in told.attachments
        ],
        "written_at": told.written_at,
        "automatic": told.automatic,
    }


@pytest.mark.parametrize("path", sorted(MESSAGES.glob("*.eml")), ids=lambda path: path.stem)
def test_golden_messages(path: Path) -> None:
    told = post(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    assert as_data(told) == json.loads(path.with_suffix(".json").read_text("utf-8"))


# Anything at all -----------------------------------------------------------------------------------------------------------
_PIECES = st.lists(
    st.sampled_from(
        [b"From: a@b.test", b"From: =?utf-8?q?J=C3=B6rg?= <j@b.test>", b"\r\n", b"\r\n\r\n", b"\n", b" ", b"(", b'"', b"<", b">",
         b"Subject: ", b"=?utf-8?b?4pi6?=", b"=?x?q?=0A=0D=00?=", b"Content-Type: multipart/mixed; boundary=q", b"--q", b"--q--",
         b"Content-Type: multipart/alternative; boundary=\"q r\"", b"--q r", b"Content-Type: text/html; charset=x-unknown",
         b"Content-Type: text/plain; format=flowed; delsp=yes", b"Content-Transfer-Encoding: base64", b"=\x00\xff\xfe",
         b"Content-Type: message/delivery-status", b"Action: failed", b"Status: 5.1.1", b"Content-Disposition: attachment",
         b"; filename*0*=utf-8''%e2; filename*1=x", b"Message-ID: <a@b>", b"References: <a@b> <c@d>", b"Date: Mon, 1 Jan 2024 10:00",
         b"Content-Transfer-Encoding: x-uuencode", b"begin 644 x", b"#0V%T", b"Auto-Submitted: x", b"charset=utf-16", b"> x ", b"-- "]
    )
    | st.binary(max_size=20),
    max_size=40,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(
    st.binary(max_size=2_000) | _PIECES.map(b"".join), st.sampled_from(["post", "bounces", "owner", "operator", "via"])
)
@example(b"", "post")
@example(b"From: a@b.test\r\n\r\n\xff\x00", "post")
def test_any_bytes_are_read_or_refused(raw: bytes, function: str) -> None:
    refusal: Rejected | None = None
    told: Inbound | None = None
    try:
        told = inbound(parse(raw, "", "lists.test", NOW), Mailbox("tides", function, "t"), NOTHING_SAID, "lists.test")
    except Rejected as error:
        refusal = error
    assert refusal is None or (refusal.code.startswith("5.") and "\n" not in refusal.reason)
    if isinstance(told, NewPost):
        assert told.text is not None or told.html is not None
        for line in (
            told.subject or "",
            told.author.name,
            *(ref.name for ref in told.refs + told.parents),
        ):
            assert not set(line) & set("\r\n\0")
        for shown in (
            told.text or "",
            told.html or "",
            told.subject or "",
            *(one.filename for one in told.attachments),
        ):
            assert "\0" not in shown
            shown.encode("utf-8")  # no half of a surrogate pair


HOSTILE = {
    "parameters": b"Content-Type: text/plain;" + b" a*0*=x;" * 25_000,
    "quotes": b'Content-Type: text/plain; a="' + b'\\"' * 100_000,
    "comments": b"From: " + b"(" * 200_000,
    "brackets": b"References: " + b"<" * 200_000,
    "words": b"Subject: " + b"=?a?q?" * 40_000,
    "folds": b"Subject: x" + b"\r\n y" * 60_000,
}


@pytest.mark.parametrize("field", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_costs_little(field: bytes) -> None:
    began = time.process_time()
    mail(field + b"\r\n\r\nx")
    assert time.process_time() - began < 5  # the standard library takes from seconds to minutes, or all of the stack


def test_what_is_too_much_is_refused_by_name() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(limits.MIME_DEPTH + 2))
    many = "Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * (limits.MIME_PARTS + 1)
    fields_ = "X: y\n" * (limits.HEADER_FIELDS + 1)
    long = "X: " + "y" * limits.HEADER_BYTES + "\n"
    for text in (deep, many, fields_, long):
        with pytest.raises(Rejected) as caught:
            post("From: a@b.test\n" + text + "\nx")
        assert caught.value.code in ("5.6.0", "5.3.4")


def test_lines_that_nearly_end_a_part_are_looked_at_so_many_times() -> None:
    head = "From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n"
    assert "--bx\n--bx\n" in (post(head + "--bx\n" * structure.OTHER_LINES + "--b--\n").text or "")
    with pytest.raises(Rejected, match="cannot be told apart"):
        post(head + "--bx\n" * (structure.OTHER_LINES + 1) + "--b--\n")


def test_many_files_are_refused() -> None:
    part = "--b\nContent-Type: image/png\n\nx\n"
    with pytest.raises(Rejected, match="files"):
        post("From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n" + part * (limits.ATTACHMENTS + 1))


# Who -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("Ana <ana@x.test>", [("Ana", "ana@x.test")]),
        ("ana@x.test", [("", "ana@x.test")]),
        ("ana@x.test (Ana)", [("Ana", "ana@x.test")]),
        ('"Lima, Ana" <Ana@X.test>', [("Lima, Ana", "ana@x.test")]),
        ('"Ana \\"Tide\\" Lima" <ana@x.test>', [("Ana Tide Lima", "ana@x.test")]),
        ("=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M?= <j@x.test>", [("Jörg M", "j@x.test")]),
        ('"=?utf-8?b?SsO2cmc=?=" <j@x.test>', [("Jörg", "j@x.test")]),
        ("Ana <ana@x.test>, Bo <bo@x.test>", [("Ana", "ana@x.test"), ("Bo", "bo@x.test")]),
        ("shore: Ana <ana@x.test>, bo@x.test;", [("Ana", "ana@x.test"), ("", "bo@x.test")]),
        ("undisclosed-recipients:;", []),
        ("Ana (a (nested) word) <ana@x.test>", [("Ana", "ana@x.test")]),
        ("<@relay.test:ana@x.test>", [("", "ana@x.test")]),
        ("Ana < ana @ x.test >", [("Ana", "ana@x.test")]),
        ("Ana <ana@x.test", [("Ana", "ana@x.test")]),
        ("Ana at the shore", []),
        ('"ana b"@x.test', [("", '"ana b"@x.test')]),
        ("=?utf-8?q?a=0D=0ABcc:_evil@x.test?= <ana@x.test>", [("a Bcc: evil@x.test", "ana@x.test")]),
        ("\u202eAna\u202c <ana@x.test>", [("Ana", "ana@x.test")]),
    ],
)
def test_mailboxes(value: str, found: list[tuple[str, str]]) -> None:
    assert mailboxes(value.encode()) == [Named(*one) for one in found]


def test_two_from_fields_are_refused_because_readers_differ_in_which_one_they_show() -> None:
    for two in (
        "From: Eve <eve@x.test>\nFrom: Ana <ana@x.test>",
        "from : eve@x.test\nSubject: x\nFROM:",
        "From: a@x.test\rFrom: b@x.test",
    ):
        with pytest.raises(Rejected, match="more than one From") as caught:
            post(two + "\n\nx")
        assert caught.value.code == "5.6.0"


TWOFOLD = (
    "From: ana@x.test\nSender: a@x.test\nSender: b@x.test\nMessage-ID: <1@x>\nMessage-ID: <2@x>\n"
    "Date: Mon, 05 Jan 2026 09:00:00 +0000\nDate: Tue, 06 Jan 2026 09:00:00 +0000\n\nx"
)


def test_of_an_archive_the_first_usable_field_counts() -> None:
    told = old(mail(TWOFOLD), "tides")
    assert (told.refs[0].name, told.written_at) == ("<1@x>", 1_767_603_600_000)


def test_the_first_author_counts_and_none_is_refused() -> None:
    assert post("From: ana@x.test, bo@x.test\n\nx").author.address == "ana@x.test"
    for text in ("Subject: x\n\nx", "From: nobody\n\nx", "From:\n\nx"):
        with pytest.raises(Rejected, match="From"):
            post(text)


# Ids -----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"<a@b>", ["<a@b>"]),
        (b"<a@b> <c@d>", ["<a@b>", "<c@d>"]),
        (b"<a@b><c@d>", ["<a@b>", "<c@d>"]),
        (b"<a@b> <a@b>", ["<a@b>"]),
        (b"<long id@ folded>", ["<longid@folded>"]),
        (b"a@b", ["<a@b>"]),
        (b"Message of yesterday from ana@x.test", []),
        (b'Your "<" of <a@b>', ["<a@b>"]),
        (b"<a@b", []),
        (b"<>", []),
        (b"<noat>", ["<noat>"]),
        (b"<" + b"x" * 248 + b">", ["<" + "x" * 248 + ">"]),
        (b"<" + b"x" * 249 + b">", []),
        ("<ü@b>".encode(), ["<ü@b>"]),
        (("<" + "ü" * 125 + ">").encode(), []),
        (b"<a\x1f@b> <a\x0b@b> <a\x7f@b> <a\xc2\x85@b> <c@d>", ["<c@d>"]),
    ],
)
def test_ids(value: bytes, found: list[str]) -> None:
    assert identification.ids(value) == found


def test_parents_are_nearest_first_and_few() -> None:
    assert identification.parents([b"<c@x>"], [b"<a@x> <b@x> <c@x>"]) == ["<c@x>", "<b@x>", "<a@x>"]
    assert identification.parents([], [b"<a@x> <b@x>"]) == ["<b@x>", "<a@x>"]
    assert identification.parents([b"<z@x>"], [b"<a@x>"]) == ["<z@x>", "<a@x>"]
    many = identification.parents([], [b" ".join(b"<%d@x>" % n for n in range(500))])
    assert len(many) == limits.REFERENCES
    assert (many[0], many[-1]) == ("<499@x>", "<0@x>")


def test_a_message_is_not_its_own_parent() -> None:
    assert post("From: a@b.test\nMessage-ID: <1@x>\nReferences: <0@x> <1@x>\n\nx").parents[0].name == "<0@x>"


def test_a_missing_id_is_made_of_what_stays_the_same() -> None:
    text = "From: a@b.test\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nSubject: x\n\nwords\n"
    once, again = mail("Received: from p\n" + text), mail("Received: from q\nReceived: from p\n" + text)
    assert once.message_id == again.message_id
    assert once.message_id.endswith("@lists.test>")
    assert mail(text + "more").message_id != once.message_id
    assert mail("Message-ID: nonsense without at\nMessage-ID: <2@x>\n" + text).message_id == "<2@x>"


@pytest.mark.parametrize("bad", ["<" + "x" * 900 + "@x>", "<" + "\U0001f41a" * 62 + "@x>", "<a\0b@x>", "<a\x1cb@x>"])
def test_an_id_that_cannot_be_kept_is_a_missing_one(bad: str) -> None:
    text = "From: a@b.test\n{}\nSubject: x\n\nwords\n"
    assert mail(text.format(f"Message-ID: {bad}")).message_id == mail(text.format("X: y")).message_id
    assert mail(text.format(f"References: <0@x> {bad}\nIn-Reply-To: {bad} <1@x>")).parents == ("<1@x>", "<0@x>")


def test_an_address_with_a_nul_is_no_address() -> None:
    with pytest.raises(Rejected, match="NUL"):
        post("From: ana\0@x.test\n\nx")
    with pytest.raises(Rejected, match="From"):
        old(mail("From: ana\0@x.test\n\nx"), "tides")


def test_no_nul_and_no_half_of_a_surrogate_pair_reaches_the_house() -> None:
    half = "=?utf-7?q?a+2AA-b+AAA-c?= =?utf-8?q?=00?="
    told = post(
        f"From: {half} <a@x.test>\nSubject: {half}\nContent-Type: multipart/mixed; boundary=q\n\n"
        "--q\nContent-Type: multipart/alternative; boundary=r\n\n"
        "--r\nContent-Type: text/plain; charset=utf-7\n\na+2AA-b+AAA-c\0\n"
        "--r\nContent-Type: text/html; charset=utf-7\n\n<p>a+2AA-b+AAA-c\0\n--r--\n"
        "--q\nContent-Type: image/png; name*=utf-7''a+2AA-b+AAA-c%00.png\nContent-ID: <a\0b>\n\nx\n--q--\n"
    )
    (file,) = told.attachments
    shown = (told.author.name, told.subject, told.text, told.html, file.filename, file.content_id, file.media_type)
    for text in shown:
        assert text is not None
        assert "\0" not in text
        text.encode()
    assert (told.author.name, file.filename) == ("a\ufffdbc", "a\ufffdbc.png")


# About what, when -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "subject"),
    [
        ("plain  and\n  folded", "plain and folded"),
        ("=?iso-8859-1?q?Gr=FC=DFe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?b?4pg=?= =?utf-8?b?ug==?= x", "☺ x"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8*en?q?a_b?=", "a b"),
        ("=?iso-2022-jp?b?GyRCRnxLXBsoQg==?=", "日本"),
        ("=?gb2312?b?1tC5+g==?=", "中国"),
        ("=?no-such?q?=E4?=", "ä"),
        ("=?utf-8?q?broken", "=?utf-8?q?broken"),
        ("=?utf-8?q?hi=0ABcc:_evil?=", "hi Bcc: evil"),
        ("=?utf-8?q?hi=00there?=", "hithere"),
        ("=?utf-8?b?!!!?=", ""),
        ("x" * 600, "x" * limits.SUBJECT_CHARS),
    ],
)
def test_subjects(value: str, subject: str) -> None:
    assert header("Subject", value).subject == subject


def test_a_missing_subject_is_none() -> None:
    assert mail("From: a@b.test\n\nx").subject is None


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("Mon, 05 Jan 2026 10:00:00 +0100", 1_767_603_600_000),
        ("5 Jan 2026 09:00 GMT (noon somewhere)", 1_767_603_600_000),
        ("yesterday", None),
        ("Mon, 05 Jan 1970 10:00:00 +0000", None),
        ("Mon, 05 Jan 2099 10:00:00 +0000", None),
        ("Mon, 99 Jan 2026 99:00:00 +9999999999", None),
        ("0" * 5000, None),
        ("", None),
    ],
)
def test_dates(value: str, moment: int | None) -> None:
    assert header("Date", value).written_at == moment


@pytest.mark.parametrize(
    ("name", "value", "machine"),
    [
        ("Auto-Submitted", "no", False),
        ("Auto-Submitted", "auto-generated", True),
        ("Auto-Submitted", "Auto-Replied (vacation)", True),
        ("Precedence", "bulk", True),
        ("Precedence", "first-class", False),
        ("List-Id", "<others.elsewhere.test>", True),
        ("X-Auto-Response-Suppress", "OOF", True),
        ("X-Mailer", "auto", False),
    ],
)
def test_machines(name: str, value: str, machine: bool) -> None:
    assert header(name, value).automatic is machine


def test_more_machines() -> None:
    assert mail("From: ana@x.test\n\nx", sender="").automatic
    assert mail("From: MAILER-DAEMON@x.test\n\nx").automatic
    assert not mail("From: ana@x.test\n\nx").automatic


@pytest.mark.parametrize(
    "subject", ["Automatic reply: Limpets", "Auto: Re: Limpets", "Abwesenheitsnotiz: Limpets", "Out of Office: x"]
)
def test_a_responder_is_known_by_what_it_writes_before_our_subject(subject: str) -> None:
    told = post(f"From: ana@members.test\nSubject: {subject}\n\nI am away.\n")
    assert (told.automatic, told.answering) == (True, True)
    person = post("From: ana@members.test\nSubject: Automatic reply of limpets\n\nDo they?\n")
    assert (person.automatic, person.answering) == (False, False)


def test_whom_a_post_was_sent_to_beside_us_is_told_in_one_form() -> None:
    told = post(
        'From: ana@members.test\nTo: Tide pools <tides@lists.test>, "Bo, the 2nd" <BO@Far.test>\n'
        "Cc: friends: cy@far.test, bo@far.test;, broken\n\nx\n"
    )
    assert told.addressed == ("tides@lists.test", "bo@far.test", "cy@far.test")
    many = ", ".join(f"m{n}@far.test" for n in range(5_000))
    assert len(post(f"From: ana@members.test\nTo: tides@lists.test\n{f'Cc: {many}' + chr(10)}\nx\n").addressed) <= 501


def test_what_is_sent_to_everybody_by_habit_is_a_request_and_a_machines_is_not() -> None:
    text = "From: ana@members.test\nSubject: Re: Limpets\n\nunsubscribe\n\nOn Monday, Bo wrote:\n> How?\n"
    for to in (Mailbox("tides"), Mailbox("tides", "item", "a" * 26)):
        told = inbound(mail(text), to, NOTHING_SAID, "lists.test")
        assert isinstance(told, Request)
        assert told.commands == (("leave",),)
    assert isinstance(inbound(mail("Precedence: bulk\n" + text), Mailbox("tides"), NOTHING_SAID, "lists.test"), NewPost)
    page = "From: ana@members.test\nContent-Type: text/html\n\n<p>Unsubscribe</p>\n"
    assert isinstance(inbound(mail(page), Mailbox("tides"), NOTHING_SAID, "lists.test"), Request)
