"""Texts and files: charsets, flowed paragraphs, file names, transfer encodings, parts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.email import charsets, fields, flowed
from bridges.email.tests.reading import post
from server import limits


# Texts ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("", "Grüße".encode(), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", b"Gr\xfc\xdfe \x93so\x94", "Grüße “so”"),
        ("gb2312", "中国镕".encode("gb18030"), "中国镕"),
        ("ks_c_5601-1987", "한국어".encode("cp949"), "한국어"),
        ("Shift_JIS", "①日本".encode("cp932"), "①日本"),
        ("unicode-1-1-utf-7", "Grüße".encode("utf-7"), "Grüße"),
        ("x-unknown", "Grüße".encode(), "Grüße"),
        ("\"'utf8'\"", "ä".encode(), "ä"),
        ("rot13", b"abc", "abc"),
        ("unicode_escape", b"\\u0041", "\\u0041"),
        ("no\0such", b"abc", "abc"),
        ("utf-7", b"+2AA-", "\ufffd"),
        ("utf-8", b"a\0b", "ab"),
        ("utf-8", b"\xef\xbb\xbfa", "a"),
        ("windows-874", b"Sch\xf6ne Gr\xfc\xdfe", "Schöne Grüße"),  # a lie: no Thai has these letters
        ("x-unknown", b"so many.\xc2 And more", "so many.Â And more"),  # two letters say nothing about a charset
        ("us-ascii", "Привет всем, прилив в шесть".encode("koi8-r"), "Привет всем, прилив в шесть"),
        ("utf-8", ("Grüße und mehr davon, " * 9).encode() + b"\xff", "Grüße und mehr davon, " * 9 + "\ufffd"),
    ],
)
def test_charsets(charset: str, data: bytes, text: str) -> None:
    assert charsets.decode(data, charset) == text


@given(
    st.binary(max_size=300),
    st.text(max_size=30) | st.sampled_from(["utf-16", "hz", "cp037", "big5hkscs", "utf-7", "idna"]),
)
@settings(deadline=None)
def test_any_bytes_become_text(data: bytes, charset: str) -> None:
    text = charsets.decode(data, charset, guess=False)
    assert "\0" not in text
    text.encode("utf-8")


@pytest.mark.parametrize(
    ("wire", "delsp", "text"),
    [
        ("one \ntwo\nthree", False, "one two\nthree"),
        ("one \ntwo", True, "onetwo"),
        ("> a \n> b\n>> c \n> d", False, "> a b\n>> c \n> d"),
        (" From here\n >not a quote", False, "From here\n>not a quote"),
        ("bye \n-- \nAna", False, "bye \n-- \nAna"),
        ("> x\n>\n> y", False, "> x\n> \n> y"),
        ("one \n\ntwo", False, "one \n\ntwo"),
        ("", False, ""),
    ],
)
def test_flowed(wire: str, delsp: bool, text: str) -> None:
    assert flowed.unflow(wire, delsp) == text


@given(st.text(alphabet="> a\n-", max_size=80))
def test_flowing_loses_no_letter(wire: str) -> None:
    assert [c for c in flowed.unflow(wire, False) if c in "a-"] == [c for c in wire if c in "a-"]


@pytest.mark.parametrize(
    ("value", "filename"),
    [
        ('attachment; filename="tide table.pdf"', "tide table.pdf"),
        ("attachment; filename*=utf-8''Gezeiten%C3%BC.pdf", "Gezeitenü.pdf"),
        ("attachment; filename*0*=utf-8'de'Gez%C3; filename*1*=%BC; filename*2=.pdf", "Gezü.pdf"),
        ('attachment; filename="=?utf-8?q?=C3=BC.pdf?="', "ü.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="C:\\\\shore\\\\a.txt"', "a.txt"),
        ('attachment; filename="a\x01b<c>.txt"', "a b_c_.txt"),
        ('attachment; filename="..."', "attachment.pdf"),
        ('attachment; filename="a;b.txt"; size=3', "a;b.txt"),
        ('attachment filename="no semicolon.txt"', "no semicolon.txt"),
        ("attachment", "attachment.pdf"),
    ],
)
def test_filenames(value: str, filename: str) -> None:
    told = post(
        "From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n"
        f"--b\nContent-Type: application/pdf\nContent-Disposition: {value}\n\nx\n--b--\n"
    )
    assert [one.filename for one in told.attachments] == [filename]


@pytest.mark.parametrize(
    ("encoding", "wire", "data"),
    [
        ("base64", b"aGVs\r\nbG8=", b"hello"),
        ("base64", b"aGVsbG8", b"hello"),
        ("base64", b"a*G-V!s bG8=", b"hello"),
        ("base64", b"aGU=bGxv", b"hello"),
        ("base64", b"a", b""),
        ("base64", b"aGVsbG8=\r\n____\r\nA list's footer\r\n", b"hello"),
        ("quoted-printable", b"h=65llo=\r\n!", b"hello!"),
        ("quoted-printable", b"h=ZZ", b"h=ZZ"),
        ("x-uuencode", b"begin 644 x\r\n%:&5L;&\\\r\n`\r\nend", b"hello"),
        ("8bit", b"h\xc3\xa9", b"h\xc3\xa9"),
        ("no-such", b"hello", b"hello"),
    ],
)
def test_transfer_encodings(encoding: str, wire: bytes, data: bytes) -> None:
    raw = b"From: a@b.test\r\nContent-Type: image/x\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: %s\r\n\r\n%s"
    inner = b"Content-Type: multipart/mixed; boundary=b\r\nFrom: a@b.test\r\n\r\n--b\r\n"
    (file,) = post(inner + (raw % (encoding.encode(), wire)).partition(b"\r\n")[2] + b"\r\n--b--\r\n").attachments or (
        None,
    )
    assert (file.data if file else b"") == data


def test_a_text_that_was_never_encoded_is_shown_as_it_is() -> None:
    head = "From: a@b.test\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
    assert post(head + "The tide comes in at six.\n").text == "The tide comes in at six.\n"
    assert post(head + "VGhlIHRp\n ZGU=\n").text == "The tide"


def test_a_text_too_long_to_show_is_attached_whole() -> None:
    told = post("From: a@b.test\n\n" + "x" * (limits.TEXT_CHARS + 5))
    assert told.text == "x" * limits.TEXT_CHARS
    assert [(one.filename, len(one.data)) for one in told.attachments] == [("message.txt", limits.TEXT_CHARS + 5)]


def test_a_boundary_that_is_not_there_leaves_the_text() -> None:
    assert post("From: a@b.test\nContent-Type: multipart/mixed\n\nwords\n").text == "words\n"
    assert post("From: a@b.test\nContent-Type: multipart/mixed; boundary=q\n\nwords\n").text == "words\n"


def test_the_semicolon_before_a_boundary_may_be_forgotten() -> None:
    assert (
        post('From: a@b.test\nContent-Type: multipart/mixed\n boundary="Qq"\n\n--Qq\n\nwords\n--Qq--\n').text == "words"
    )


def test_a_file_name_in_bytes_without_a_charset_is_read() -> None:
    head = (
        b"From: a@b.test\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nhi\n--b\nContent-Type: application/pdf; "
    )
    assert post(head + b'name="Fr\xf6sche.pdf"\n\nx\n--b--\n').attachments[0].filename == "Frösche.pdf"


def test_a_closing_boundary_may_be_missing() -> None:
    told = post(
        "From: a@b.test\nContent-Type: multipart/mixed; boundary=q\n\n--q\n\none\n--q\nContent-Type: text/html\n\n<b>two</b>\n"
    )
    assert told.html == "<p>one</p>\n<b>two</b>\n"


def test_an_inner_boundary_may_begin_like_the_outer() -> None:
    told = post(
        "From: a@b.test\nContent-Type: multipart/mixed; boundary=q\n\n"
        "--q\nContent-Type: multipart/alternative; boundary=qq\n\n--qq\n\none\n--qq\nContent-Type: text/html\n\n<p>one</p>\n--qq--\n"
        "--q\n\ntwo\n--q--\nepilogue\n"
    )
    assert told.text == "one\ntwo"
    assert told.html == "<p>one</p>\n<p>two</p>"


def test_the_header_ends_at_the_first_empty_line() -> None:
    assert fields.cut(b"A: b\r\n\r\nbody\n\n") == (6, 8)
    assert fields.cut(b"A: b\n\nbody\r\n\r\n") == (5, 6)
    assert fields.cut(b"\r\nbody") == (0, 2)
    assert fields.cut(b"A: b") == (4, 4)


def test_bytes_are_kept_as_they_came() -> None:
    raw = b"From: a@b.test\r\nX-Odd :  y \t\r\n\r\nbare\nlf and \rcr\r\n\x00\xff"
    assert post(raw).original == raw
