"""Large attachments leave a mail as links, where the forum wants that, and nothing else of the mail changes."""

from __future__ import annotations

import base64
import hashlib
import quopri

import pytest

from bridges.email import content, structure
from bridges.email.compose import compose
from bridges.email.linked import changes_body, linked
from bridges.email.tests.posts import file, mailed, post, target
from server.bridge import Post
from tests.fakes import forum

MAP = b"%PDF-1.4 " + bytes(range(256)) * 40
NOTE = b"high water at six"
SEALS = "multipart/signed", "multipart/encrypted"


def attachment(name: str, data: bytes, more: str = "") -> bytes:
    head = f'Content-Type: application/pdf; name="{name}"\r\nContent-Transfer-Encoding: base64\r\n{more}\r\n'
    return head.encode() + base64.encodebytes(data).replace(b"\n", b"\r\n").removesuffix(b"\r\n")


def message(*parts: bytes, kind: str = "mixed") -> bytes:
    inner = b"".join(b"--q\r\n" + part + b"\r\n" for part in parts)
    head = (
        f"From: ana@members.test\r\nSubject: The map\r\nContent-Type: multipart/{kind}; boundary=q\r\n\r\nPreamble \r\n"
    )
    return head.encode() + inner + b"--q--\r\nEpilogue\t\r\n"


WORDS = b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nThe map, se\xf1ora:  \r\n"


def large(raw: bytes, most: int = 2_000, **changes: object) -> Post:
    files = (file("map.pdf", MAP, "application/pdf"), file("note.pdf", NOTE, "application/pdf"))
    return mailed(raw, files=files, forum=forum(link_over=most), **changes)


def test_a_large_attachment_becomes_a_link_and_all_else_stays_byte_for_byte() -> None:
    before, after = message(WORDS, b"HERE", attachment("note.pdf", NOTE)).split(b"HERE")
    sent = large(before + attachment("map.pdf", MAP) + after)
    assert changes_body(sent)
    found = linked(sent)
    assert found.startswith(before)
    assert found.endswith(after)
    told = found.removeprefix(before).removesuffix(after)
    assert told.startswith(b"Content-Type: text/plain; charset=")
    assert quopri.decodestring(told).endswith(f"\r\n\r\nmap.pdf (10 KB):\r\n{sent.files[0].url}".encode())
    assert [part.media_type for _, part in structure.leaves(structure.parts(found))] == [
        "text/plain",
        "text/plain",
        "application/pdf",
    ]
    assert compose(sent, {}, "https://talk.test/leave/").copy(target()).endswith(after)


def test_large_is_what_the_forum_says() -> None:
    raw = message(WORDS, attachment("map.pdf", MAP))
    for most in (0, len(MAP)):
        assert not changes_body(large(raw, most))
        assert linked(large(raw, most)) == raw
    assert changes_body(large(raw, len(MAP) - 1))


@pytest.mark.parametrize(
    "raw",
    [
        message(WORDS, attachment("map.pdf", MAP), kind="signed; micalg=pgp-sha256"),
        message(WORDS, attachment("map.pdf", MAP), kind="encrypted"),
        message(b"Content-Type: multipart/signed; boundary=r\r\n\r\n--r\r\nContent-Type: multipart/mixed; boundary=s\r\n\r\n--s\r\n"
                + attachment("map.pdf", MAP) + b"\r\n--s--\r\n--r--", WORDS),
        message(WORDS, attachment("map.pdf", MAP).replace(b"application/pdf", b"application/pkcs7-mime")),
        message(WORDS, attachment("map.pdf", MAP).replace(b"application/pdf", b"application/pgp-encrypted")),
        message(WORDS, attachment("map.pdf", MAP), kind="alternative"),
        message(WORDS, attachment("map.pdf", MAP), kind="related"),
        b"From: ana@members.test\r\n" + attachment("map.pdf", MAP) + b"\r\n",
    ],
    ids=["signed", "encrypted", "deep in signed", "smime", "pgp", "alternative", "related", "the whole message"],
)  # fmt: skip
def test_what_is_sealed_shown_or_all_there_is_stays(raw: bytes) -> None:
    assert not changes_body(large(raw))
    assert linked(large(raw)) == raw


def test_a_picture_that_the_text_shows_stays() -> None:
    shown = f'<img src="blob:{hashlib.sha256(MAP).hexdigest()}">'
    assert not changes_body(large(message(WORDS, attachment("map.pdf", MAP)), html=shown))


def test_what_the_archive_does_not_have_stays() -> None:
    assert not changes_body(large(message(WORDS, attachment("map.pdf", MAP + b"."))))
    assert not changes_body(large(b"From: a@b.test\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q" * 2_000))


def test_bare_line_feeds_change_nothing() -> None:
    raw = message(WORDS, attachment("map.pdf", MAP)).replace(b"\r\n", b"\n")
    tail = compose(large(raw), {}, "https://talk.test/leave/").tail
    assert b"map.pdf (10 KB):\r\nhttps://" in tail
    assert tail.count(b"\n") == tail.count(b"\r\n")


def test_of_a_post_born_elsewhere_the_same_files_stay_out() -> None:
    files = (file("map.pdf", MAP, "application/pdf"), file("note.pdf", NOTE, "application/pdf"))
    assert content.embedded(post(files=files, forum=forum(link_over=2_000))) == files[1:]
    assert content.embedded(post(files=files, forum=forum())) == files
    assert not changes_body(post(files=files, forum=forum(link_over=2_000)))
