"""Our DKIM signature on what goes out (RFC 6376): RSA-2048, rsa-sha256, relaxed/relaxed. Pure; the key is `dkim_key`'s.

What is the same in all copies of a mail is hashed once: its body, and its header fields but for the few lines that are the
receiver's own. Those must be signed too, or no mailbox shows the one-click button (RFC 8058 section 3.1).
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bridges.email import headers
from bridges.email.canonical import relaxed_body_hash, relaxed_field
from bridges.email.compose import Mail
from bridges.email.dkim_key import Key
from bridges.email.headers import CRLF

SEALED = (  # named once more than they are there: who adds another one breaks the signature (RFC 6376 section 8.15)
    *(b"from", b"to", b"cc", b"reply-to", b"subject", b"date", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post"),
)
SIGNED = frozenset(
    (
        *SEALED,
        *(b"sender", b"auto-submitted", b"content-disposition", b"list-id", b"list-post", b"list-help", b"list-owner"),
        *(b"list-archive", b"list-subscribe", b"archived-at", b"x-junto-mute"),
    )
)
FOLD_AT = 72

Sign = Callable[[Sequence[bytes]], Sequence[bytes]]
"""Answers the signature of each digest."""


class _Shape(NamedTuple):
    """Our field up to its signature, the same as it is hashed, and which of a receiver's lines are hashed before it."""

    begin: bytes
    hashed: bytes
    places: list[int]


def _folded(signature: bytes) -> bytes:
    letters = b64encode(signature)
    return b"\r\n\t".join([letters[at : at + FOLD_AT] for at in range(0, len(letters), FOLD_AT)]) + CRLF


class Signature:
    """Signs the copies of one mail in a domain's name; any thread may ask. No name of its receivers' lines stands elsewhere in it."""

    def __init__(self, key: Key, domain: str, mail: Mail, seconds: int) -> None:
        self._key = key
        section, gap, _body = headers.cut(mail.tail)
        fields = [field for field in headers.split(mail.head + section) if headers.name(field) in SIGNED]
        fields.reverse()  # RFC 6376 section 5.4.2: of equal names the last one is signed first
        self._names = [headers.name(field) for field in fields]
        self._common = hashlib.sha256(b"".join(map(relaxed_field, fields)))
        digest = b64encode(relaxed_body_hash(mail.tail, len(section) + len(gap))).decode()
        self._begin = (
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain};\r\n\ts={key.selector}; t={seconds};"
        )
        self._begin += f" bh={digest};"
        self._shapes: dict[tuple[bytes, ...], _Shape] = {}

    def fields(self, copies: Sequence[bytes], sign: Sign) -> list[bytes]:
        """The signature's field for each copy, which is given as the lines of its own; the field stands before the copy."""
        asked = [self._asked(lines) for lines in copies]
        return [
            begin + _folded(signed)
            for (begin, _), signed in zip(asked, sign([digest for _, digest in asked]), strict=True)
        ]

    def _asked(self, lines: bytes) -> tuple[bytes, bytes]:
        """The field up to its signature, and the digest that is to be signed."""
        own = list(map(relaxed_field, headers.split(lines)))
        begin, hashed, places = self._shape(tuple([field.partition(b":")[0] for field in own]))
        digest = self._common.copy()
        digest.update(b"".join([own[place] for place in places]) + hashed)
        return begin, digest.digest()

    def _shape(self, own: tuple[bytes, ...]) -> _Shape:
        """What is the same in the copies whose own lines have these names."""
        found = self._shapes.get(own)
        if found is None:
            places = [at for at, name in enumerate(own) if name in SIGNED]
            names = [name.decode() for name in (*self._names, *(own[at] for at in places), *SEALED)]
            rows, row = [], "h="
            for name in names:
                if len(row) + len(name) > FOLD_AT:
                    rows.append(row)
                    row = ""
                row += name + ":"
            rows.append(row.removesuffix(":") + ";")
            begin = "\r\n\t".join((self._begin, *rows, "b=")).encode()
            hashed = relaxed_field(begin + CRLF).removesuffix(CRLF)  # RFC 6376 section 3.7
            found = self._shapes[own] = _Shape(begin, hashed, places)
        return found
