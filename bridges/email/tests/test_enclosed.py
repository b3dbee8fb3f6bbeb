"""Files that stand inside of a text are attachments; what only looks like one stays words."""

from __future__ import annotations

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email.enclosed import MOST, lift

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(200))


def uuencoded(name: bytes, data: bytes) -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45)]
    return b"begin 644 " + name + b"\n" + b"".join(lines) + b"`\nend\n"


def test_a_uuencoded_file_leaves_its_name_in_the_text() -> None:
    text, files = lift(b"Look:\n\n" + uuencoded(b"tide table.png", PICTURE) + b"\nAna\n")
    assert text == b"Look:\n\n[tide table.png]\n\nAna\n"
    assert [(file.name, file.data) for file in files] == [(b"tide table.png", PICTURE)]


def test_several_files_with_the_line_ends_of_mail_and_stripped_spaces() -> None:
    both = (uuencoded(b"a.bin", b"\0" * 50) + uuencoded(b"b.bin", b"b")).replace(b"\n", b"\r\n")
    text, files = lift(b"\r\n".join(line.rstrip() for line in both.split(b"\r\n")))
    assert text == b"[a.bin]\n[b.bin]\n"
    assert [file.data for file in files] == [b"\0" * 50, b"b"]


def test_what_was_encrypted_inside_of_a_text_is_opaque() -> None:
    armour = b"-----BEGIN PGP MESSAGE-----\n\nhQEMA0xLbPu=\n=abcd\n-----END PGP MESSAGE-----\n"
    text, files = lift(b"For you:\n" + armour + b"Ana\n")
    assert text == b"For you:\n[encrypted.asc]\nAna\n"
    assert [(file.name, file.media_type, file.data) for file in files] == [
        (b"encrypted.asc", "application/pgp-encrypted", armour)
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"We begin 644 times.\nbegin 644 words\nas people do\nend\n",
        b"begin 644 nothing\nend\n",
        b"begin 644 unfinished\n" + binascii.b2a_uu(b"cut"),
        b"begin 9x4 nonsense\n" + binascii.b2a_uu(b"cut") + b"end\n",
        b"> begin 644 quoted\n> #8W5T\n> end\n",
        b"-----BEGIN PGP MESSAGE-----\nand no end\n",
        b"What -----BEGIN PGP MESSAGE----- means\n",
    ],
)
def test_words_stay_words(text: bytes) -> None:
    assert lift(text) == (text, [])


def test_not_more_files_are_taken_out_than_a_text_has_use_for() -> None:
    _text, files = lift(uuencoded(b"x", b"x") * (MOST + 5))
    assert len(files) == MOST


@pytest.mark.parametrize(
    "attack",
    [b"begin 644 x\n" * 100_000, b"begin 644 x\n#0V%T\n" * 50_000, b"-----BEGIN PGP MESSAGE-----\n" * 50_000],
    ids=["beginnings", "unfinished", "armour"],
)
def test_hostile_texts_are_walked_once(attack: bytes) -> None:
    assert lift(attack) == (attack, [])


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_every_file_comes_out_as_it_went_in(data: bytes, before: bytes) -> None:
    before = before.replace(b"begin", b"").replace(b"\n", b" ")
    _text, files = lift(before + b"\n" + uuencoded(b"f", data))
    assert [file.data for file in files] == ([data] if data else [b""])


def test_a_line_that_nearly_begins_a_file_is_looked_at_once() -> None:
    text = b"begin 644 a" + b" " * 5_000_000 + b"x"
    assert lift(text) == (text, [])
