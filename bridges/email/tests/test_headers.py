"""Header sections as bytes: nothing lost in taking apart, nothing let out that was not meant."""

from __future__ import annotations

from email import message_from_bytes
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridges.email import headers

EVIL = "x\r\nBcc: evil@far.test\r\n\r\n<script>\0\x85\u2028\u202e"
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)


@given(st.binary(max_size=400) | st.lists(st.sampled_from([b"\r", b"\n", b" ", b"A: b", b"\t", b":"])).map(b"".join))
@example(b"\r\nbody")
@example(b"A: b\n\nC: d\r\n\r\n")
def test_a_message_cut_and_split_is_the_same_bytes(message: bytes) -> None:
    head, gap, body = headers.cut(message)
    assert head + gap + body == message
    assert b"".join(headers.split(head)) == head


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"A: b\r\n\r\nbody\r\n\r\nmore", b"body\r\n\r\nmore"),
        (b"A: b\n\nbody\r\n\r\nmore", b"body\r\n\r\nmore"),
        (b"A: b\r\n\nbody", b"body"),
        (b"\r\nbody", b"body"),
        (b"A: b\r\n", b""),
    ],
)
def test_the_body_begins_after_the_first_empty_line(message: bytes, body: bytes) -> None:
    assert headers.cut(message)[2] == body


def test_a_folded_field_stays_one_and_keeps_its_bytes() -> None:
    fields = headers.split(b"Subject:  a\r\n\tb \r\nTO : c\r\n")
    assert fields == [b"Subject:  a\r\n\tb \r\n", b"TO : c\r\n"]
    assert [headers.name(field) for field in fields] == [b"subject", b"to"]
    assert headers.body(fields[0]) == b"a b"


def test_what_would_grow_onto_our_fields_is_dropped() -> None:
    assert headers.tidy(b" evil fold\r\nFrom ana Mon Nov\r\nSubject: s\r\n") == [b"Subject: s\r\n"]


def test_a_bare_cr_makes_no_new_field() -> None:
    assert headers.tidy(b"Subject: a\rBcc: evil@far.test\nTo: b") == [
        b"Subject: a Bcc: evil@far.test\r\n",
        b"To: b\r\n",
    ]


@given(st.binary(max_size=200))
def test_a_tidy_section_has_only_whole_line_ends(head: bytes) -> None:
    tidied = b"".join(headers.tidy(head))
    assert tidied.count(b"\r") == tidied.count(b"\n") == tidied.count(b"\r\n")
    assert tidied[:1] not in (b" ", b"\t")


def test_fields_named_by_a_signature_are_known() -> None:
    fields = headers.split(b"DKIM-Signature: v=1; h = From : Reply-To:\r\n  Subject; d=x\r\nDKIM-Signature: h=date\r\n")
    assert headers.signed(fields) == {b"from", b"reply-to", b"subject", b"date"}
    assert headers.signed([b"DKIM-Signature: v=1; bh=h=from\r\n"]) == frozenset()


def _is_one_field(written: bytes) -> None:
    """Exactly one field of the name, in ASCII, within the line length, whatever was put in."""
    assert written.isascii()
    assert written.endswith(b"\r\n")
    assert written.count(b"\r") == written.count(b"\n") == written.count(b"\r\n")
    lines = written[:-2].split(b"\r\n")
    assert all(line[:1] == b" " and line.strip() for line in lines[1:])
    assert all(byte >= 32 for line in lines for byte in line)
    assert max(map(len, lines)) <= headers.LINE_MAX
    assert len(headers.split(written)) == 1


@given(ANY_TEXT)
@example(EVIL)
@example("=?utf-8?q?hi=0ABcc:_evil?=")
def test_no_text_gets_out_of_its_field(text: str) -> None:
    _is_one_field(headers.unstructured("Subject", text))
    _is_one_field(headers.mailbox("From", "tides@lists.test", text))
    _is_one_field(headers.list_id(text, "tides", "lists.test"))


@given(ANY_TEXT)
def test_a_subject_is_read_as_it_was_written(text: str) -> None:
    wanted = headers.plain(text).encode("utf-8", "replace").decode()
    written = headers.unstructured("Subject", text)
    read = str(make_header(decode_header(written.partition(b":")[2].decode().replace("\r\n", "").strip())))
    assert read == wanted
    assert all(len(line) <= 78 for line in written.split(b"\r\n"))


@pytest.mark.parametrize(
    "name", ["Ana", "Ana Mariño", 'Ana "the limpet" \\ B', "Weber, Ana", "ana@members.test", "李", "x" * 200, "a.b (c)"]
)
def test_a_name_is_read_as_it_was_written(name: str) -> None:
    message = message_from_bytes(headers.mailbox("From", "tides@lists.test", name) + b"\r\n")
    shown, address = parseaddr(message["From"].replace("\r\n", ""))
    assert address == "tides@lists.test"
    assert str(make_header(decode_header(shown))) == name


@pytest.mark.parametrize("address", ["", "a b@c.test", "a>@c.test", "a@c.test\r\nRCPT TO:<x", "a\0@c.test", "ä@c.test"])
def test_what_could_leave_its_brackets_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="bracket"):
        headers.mailbox("From", address, "Ana")


@pytest.mark.parametrize(
    "address", ["", "a", "@c.test", "a b@c.test", "a>@c.test", "a@c.test\r\nRCPT TO:<x", "a\0@c.test", "a@c.test>"]
)
def test_no_envelope_takes_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="no mail address"):
        headers.path(address)


@pytest.mark.parametrize("address", ["a@c.test", '"a b"@c.test', "ana+x=y@c.test", "阿@c.test"])
def test_an_envelope_takes_addresses(address: str) -> None:
    assert headers.path(address) == address.encode()


def test_a_list_id_names_the_forum() -> None:
    assert headers.list_id("Tide pools", "tides", "lists.test") == b"List-Id: Tide pools <tides.lists.test>\r\n"


def test_ids_that_could_break_out_are_left_out() -> None:
    written = headers.message_ids("References", ["<a@b>", "<c d@e>", "<x>\r\nBcc: y", "<f@g>", "plain"])
    assert written == b"References: <a@b> <f@g>\r\n"
    assert headers.message_ids("In-Reply-To", ["nothing"]) == b""
