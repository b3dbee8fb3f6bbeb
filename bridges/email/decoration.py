"""What a forum's owner may want on its mail: a prefix of the subject, a footer. Off by default, for it breaks the author's signature. Pure.

A footer is a MIME part of its own; the author's parts stay byte for byte, and nothing is ever put into signed or encrypted mail.
"""

from __future__ import annotations

from bridges.email import fields, headers, mime, structure
from bridges.email.headers import CRLF
from bridges.email.linked import is_sealed, linked
from server.bridge import Post
from server.errors import Rejected

_ARMOUR = (b"-----BEGIN PGP SIGNED MESSAGE-----", b"-----BEGIN PGP MESSAGE-----")  # RFC 9580 section 6.2, section 7


def prefixed(field: bytes, prefix: str) -> bytes:
    """A Subject field with the prefix, after "Re:" where that stands first; the field itself where the prefix is in it."""
    value = field.partition(b":")[2]
    if not prefix or prefix in fields.words(headers.body(field)):
        return field
    begin = value.lstrip()
    answer = begin[:3].lower() == b"re:"
    written = prefix if prefix.isascii() and "=?" not in prefix else " ".join(headers.encoded(prefix))
    return (
        b"Subject: " + (b"Re: " if answer else b"") + written.encode() + b" " + begin[3 if answer else 0 :].lstrip(b" ")
    )


def titled(subject: str, prefix: str) -> str:
    """As `prefixed`, of a subject that we write ourselves."""
    if not prefix or prefix in subject:
        return subject
    return f"Re: {prefix} {subject[3:].lstrip()}" if subject[:3].lower() == "re:" else f"{prefix} {subject}"


def message(post: Post) -> bytes:
    """The received message as the forum wants its body: large files as links, a footer; itself where it wants neither."""
    return footed(linked(post), post.forum.footer)


def changes_body(post: Post) -> bool:
    """Whether a footer is put in, so that no signature over the body survives."""
    assert post.original is not None
    return bool(post.forum.footer) and footed(post.original, post.forum.footer) is not post.original


def footed(raw: bytes, footer: str) -> bytes:
    """The message with the footer as its last part; itself where that must not be."""
    if not footer:
        return raw
    try:
        tree = structure.parts(raw)
    except Rejected:
        return raw
    if any(is_sealed(part.media_type) for part in tree) or any(mark in raw for mark in _ARMOUR):
        return raw
    part = mime.text(footer)
    boundary = tree[0].parameters.get("boundary", "")
    if tree[0].media_type == "multipart/mixed" and tree[0].children and boundary.isascii():
        return _appended(raw, max(child.body[1] for child in tree[1:]), boundary.encode(), part)
    return _wrapped(raw, part)


def _appended(raw: bytes, at: int, boundary: bytes, part: mime.Part) -> bytes:
    """One more part after the last one, which ends at `at`: there its closing delimiter stands, or the message ends."""
    close = raw.find(b"--" + boundary + b"--", at)
    end = raw[close:] if close >= 0 else b"--" + boundary + b"--\r\n"
    return b"".join((raw[:at], b"\r\n--", boundary, CRLF, part.head, CRLF, part.body, end))


def _wrapped(raw: bytes, part: mime.Part) -> bytes:
    """The message's own body as the first of two parts, with the fields that describe it."""
    section, _gap, body = headers.cut(raw)
    kept = headers.tidy(section)
    own = [field for field in kept if headers.name(field).startswith(b"content-")]
    inner = mime.Part(b"".join(own), headers.mended(body))
    outer = mime.multipart("mixed", [inner, part])
    fields_ = [field for field in kept if field not in own and headers.name(field) != b"mime-version"]
    head = [*fields_, headers.structured("MIME-Version", ["1.0"]), outer.head]
    if not body.isascii():
        head.append(headers.structured("Content-Transfer-Encoding", ["8bit"]))  # RFC 2045 section 6.4
    return b"".join((*head, CRLF, outer.body))
