"""A prefix of the subject and a footer, where a forum wants them: the author's parts stay byte for byte."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email import decoration, headers, structure
from bridges.email.compose import compose
from bridges.email.tests.posts import mailed, post, target
from tests.fakes import forum

FOOTER = "Tide pools: https://talk.test/f/tides\nBe kind — always."
LEAVE_URL = "https://talk.test/leave/"
PLAIN = b"From: ana@members.test\r\nContent-Type: text/plain; charset=iso-8859-1\r\nSubject: x\r\n\r\ncaf\xe9  \r\n\r\n"
MIXED = (
    b'From: ana@members.test\r\nContent-Type: multipart/mixed; boundary="=b"\r\n\r\npreamble\r\n--=b\r\n\r\none \r\n'
    b"--=b\r\nContent-Type: image/png\r\n\r\nPNG\r\n--=b--\r\nepilogue\r\n"
)


def read(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


# Footer -----------------------------------------------------------------------------------------------------------------
def test_a_text_becomes_the_first_of_two_parts() -> None:
    sent = decoration.footed(PLAIN, FOOTER)
    tree = structure.parts(sent)
    assert [part.media_type for part in tree] == ["multipart/mixed", "text/plain", "text/plain"]
    first = tree[1]
    assert sent[first.start : first.body[1]] == b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\ncaf\xe9  \r\n"
    assert structure.content(sent, tree[2]).decode() == FOOTER.replace("\n", "\r\n")
    assert sent.startswith(b"From: ana@members.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n")


def test_of_several_parts_it_is_the_last() -> None:
    sent = decoration.footed(MIXED, FOOTER)
    before, _mark, after = MIXED.partition(b"\r\n--=b--")
    assert sent.startswith(before)
    assert sent.endswith(b"--=b--" + after)
    assert [part.media_type for part in structure.parts(sent)] == [
        "multipart/mixed",
        "text/plain",
        "image/png",
        "text/plain",
    ]


def test_a_message_that_was_cut_off_gets_its_end() -> None:
    sent = decoration.footed(MIXED.partition(b"\r\n--=b--")[0], FOOTER)
    assert len(structure.parts(sent)) == 4
    assert sent.endswith(b"--=b--\r\n")


@pytest.mark.parametrize(
    "sealed",
    [
        MIXED.replace(b"multipart/mixed", b"multipart/signed"),
        MIXED.replace(b"multipart/mixed", b"multipart/encrypted"),
        MIXED.replace(b"image/png", b"application/pgp-signature"),
        PLAIN.replace(b"text/plain", b"application/pkcs7-mime"),
        PLAIN.replace(b"caf", b"-----BEGIN PGP SIGNED MESSAGE-----\r\n"),
        PLAIN.replace(b"caf", b"-----BEGIN PGP MESSAGE-----\r\n"),
    ],
)
def test_what_is_signed_or_encrypted_gets_none(sealed: bytes) -> None:
    assert decoration.footed(sealed, FOOTER) is sealed


def test_no_footer_changes_nothing() -> None:
    assert decoration.footed(PLAIN, "") is PLAIN
    assert not decoration.changes_body(mailed(PLAIN))
    assert decoration.changes_body(mailed(PLAIN, forum=forum(footer=FOOTER)))


@given(st.binary(max_size=200))
def test_whatever_came_stands_in_what_goes(text: bytes) -> None:
    raw = b"From: ana@members.test\r\n\r\n" + headers.mended(text)
    assert headers.cut(raw)[2].removesuffix(b"\r\n") in decoration.footed(raw, FOOTER)


def test_mail_of_posts_from_elsewhere_has_the_footer_too() -> None:
    sent = read(compose(post(forum=forum(footer=FOOTER)), {}, LEAVE_URL).copy(target()))
    assert [part.get_content_type() for part in sent.iter_parts()] == ["multipart/alternative", "text/plain"]
    assert list(sent.iter_parts())[1].get_content().split() == FOOTER.split()


# Prefix -----------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("field", "sent"),
    [
        (b"Subject: Limpets\r\n", b"Subject: [tides] Limpets\r\n"),
        (b"subject:Limpets\r\n\tagain\r\n", b"Subject: [tides] Limpets\r\n\tagain\r\n"),
        (b"Subject: RE:  Limpets\r\n", b"Subject: Re: [tides] Limpets\r\n"),
        (b"Subject: Re: [tides] Limpets\r\n", b"Subject: Re: [tides] Limpets\r\n"),
        (b"Subject: =?utf-8?q?=5Btides=5D_L?=\r\n", b"Subject: =?utf-8?q?=5Btides=5D_L?=\r\n"),
        (b"Subject:\r\n", b"Subject: [tides] "),
    ],
)
def test_a_subject_gets_the_prefix_once(field: bytes, sent: bytes) -> None:
    assert decoration.prefixed(field, "[tides]").startswith(sent)


def test_a_prefix_may_have_any_letters() -> None:
    assert (
        decoration.prefixed(b"Subject: x\r\n", "[Gezeitentümpel]")
        == b"Subject: =?utf-8?b?W0dlemVpdGVudMO8bXBlbF0=?= x\r\n"
    )


def test_copies_have_it_and_the_forum_without_one_leaves_the_subject_alone() -> None:
    with_it = forum(subject_prefix="[tides]")
    assert read(compose(mailed(PLAIN, forum=with_it), {}, LEAVE_URL).copy(target()))["Subject"] == "[tides] x"
    assert (
        read(compose(post(forum=with_it), {}, LEAVE_URL).copy(target()))["Subject"]
        == "Re: [tides] Limpets on the north face"
    )
    assert b"\r\nSubject: x\r\n" in compose(mailed(PLAIN), {}, LEAVE_URL).copy(target())
