"""DKIM signatures of a received message (RFC 6376): what they cover, whether they verify, whether they would after a change. Pure.

Header and body are cut as bytes, without regular expressions; the mathematics are OpenSSL's. A signature that covers only the
beginning of the body (l=) proves nothing about the rest, so it counts as none (section 8.2).
"""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from bridges.email import canonical, headers
from bridges.email.addresses import ascii_domain
from bridges.email.headers import CRLF

SIGNATURES = 8  # looked at; more are an attack
NAMES = 300  # in h=
FIELD_BYTES = 16 * 1024
KEY_BITS = range(1024, 4097)  # RFC 8301 section 3.2; longer ones cost more than they give
SLOP_S = 600  # how far clocks may differ
RSA, ED25519 = b"rsa-sha256", b"ed25519-sha256"  # RFC 8301 section 3.1: rsa-sha1 is none; RFC 8463


@dataclass(frozen=True, slots=True)
class Signature:
    """A DKIM-Signature that could be valid. `names` are those of h=, in its order, lower case; `field` is what it was read from."""

    field: bytes
    algorithm: bytes
    domain: str
    selector: str
    names: tuple[bytes, ...]
    relaxed_header: bool
    relaxed_body: bool
    length: int | None
    body_hash: bytes
    value: bytes
    expires: int | None

    @property
    def key_name(self) -> str:
        """Where its key is (section 3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"


class Message:
    """A message as signatures see it; each body hash is computed once."""

    def __init__(self, fields: Sequence[bytes], body: bytes) -> None:
        self.fields, self._body = fields, body
        self._hashes: dict[bool, tuple[bytes, int]] = {}

    def body_hash(self, relaxed: bool) -> tuple[bytes, int]:
        """SHA-256 of the canonical body, and how many bytes that is."""
        if relaxed not in self._hashes:
            body = canonical.relaxed_body(self._body) if relaxed else canonical.simple_body(self._body)
            self._hashes[relaxed] = hashlib.sha256(body).digest(), len(body)
        return self._hashes[relaxed]

    def holds_body_of(self, signature: Signature) -> bool:
        """Whether the body is, whole, the one that was signed."""
        found, size = self.body_hash(signature.relaxed_body)
        return found == signature.body_hash and (signature.length is None or signature.length == size)


def message(raw: bytes) -> Message:
    """A received message, its line ends mended as they are in what we send."""
    section, _gap, body = headers.cut(raw)
    return Message(headers.tidy(section), headers.mended(body))


# Reading --------------------------------------------------------------------------------------------------------------
def signatures(fields: Sequence[bytes]) -> list[Signature]:
    """The first few that are well formed, in the order of the message."""
    read_ones = (read(field) for field in headers.named(fields, b"dkim-signature")[:SIGNATURES])
    return [one for one in read_ones if one is not None]


def read(field: bytes) -> Signature | None:
    """A DKIM-Signature field, or None where it cannot be valid (section 6.1.1)."""
    tags = tag_list(field.partition(b":")[2]) if len(field) <= FIELD_BYTES else {}
    names = tuple(_letters(tags.get(b"h", b"")).lower().split(b":"))
    forms = _letters(tags.get(b"c", b"simple/simple")).lower().split(b"/")
    header, body = forms[0], forms[1] if len(forms) > 1 else b"simple"
    try:
        domain = ascii_domain(_letters(tags[b"d"]).decode("utf-8"))
        selector = ascii_domain(_letters(tags[b"s"]).decode("ascii"))
        length, expires = (_number(tags[key]) if key in tags else None for key in (b"l", b"x"))
        value, body_hash = (b64decode(_letters(tags[key]), validate=True) for key in (b"b", b"bh"))
    except (KeyError, ValueError, binascii.Error):
        return None
    algorithm = _letters(tags.get(b"a", b"")).lower()
    if algorithm not in (RSA, ED25519) or tags.get(b"v", b"").strip() != b"1" or len(forms) > 2:
        return None
    if header not in (b"simple", b"relaxed") or body not in (b"simple", b"relaxed"):
        return None
    if domain is None or selector is None or b"from" not in names or len(names) > NAMES:  # section 5.4
        return None
    return Signature(
        field=field,
        algorithm=algorithm,
        domain=domain,
        selector=selector,
        names=names,
        relaxed_header=header == b"relaxed",
        relaxed_body=body == b"relaxed",
        length=length,
        body_hash=body_hash,
        value=value,
        expires=expires,
    )


def tag_list(text: bytes) -> dict[bytes, bytes]:
    """The tags of section 3.2; {} where one comes twice or none can be read."""
    tags: dict[bytes, bytes] = {}
    for piece in text.split(b";"):
        key, equals, value = piece.partition(b"=")
        key = _letters(key)
        if not equals and not piece.strip():
            continue
        if not equals or not key or key in tags:
            return {}
        tags[key] = value.strip()
    return tags


def _letters(text: bytes) -> bytes:
    """Without the white space that may stand anywhere in a folded value."""
    return b"".join(text.split())


def _number(text: bytes) -> int:
    digits = text.strip()
    if not digits.isdigit() or len(digits) > 15:
        raise ValueError
    return int(digits)


# Verifying ------------------------------------------------------------------------------------------------------------
def signed_header(fields: Sequence[bytes], signature: Signature) -> bytes:
    """What its value signs: the fields of h=, each name from the last one upwards, then the signature without its value (3.7)."""
    by_name: dict[bytes, list[bytes]] = {}
    for field in fields:
        by_name.setdefault(headers.name(field), []).append(field)
    chosen = [by_name[name].pop() for name in signature.names if by_name.get(name)]
    form = canonical.relaxed_field if signature.relaxed_header else bytes
    own = form(_without_value(signature.field))
    return b"".join(map(form, chosen)) + own.removesuffix(CRLF)


def _without_value(field: bytes) -> bytes:
    name, colon, tags = field.partition(b":")
    pieces = tags.split(b";")
    for at, piece in enumerate(pieces):
        if _letters(piece.partition(b"=")[0]) == b"b":
            pieces[at] = piece.partition(b"=")[0] + b"="
    return name + colon + b";".join(pieces)


def verifies(of: Message, signature: Signature, keys: Sequence[bytes], now: int) -> bool:
    """Whether the signature is good by one of the key records found at its `key_name`. `now` in seconds."""
    if signature.expires is not None and signature.expires < now - SLOP_S:
        return False
    if not of.holds_body_of(signature):
        return False
    data = signed_header(of.fields, signature)
    return any(_good(signature, data, key) for key in keys[:SIGNATURES])


def _good(signature: Signature, data: bytes, record: bytes) -> bool:
    tags = tag_list(record[:FIELD_BYTES])
    kind = b"ed25519" if signature.algorithm == ED25519 else b"rsa"
    services = _letters(tags.get(b"s", b"*")).split(b":")
    hashes = _letters(tags.get(b"h", b"sha256")).split(b":")
    if tags.get(b"v", b"DKIM1") != b"DKIM1" or _letters(tags.get(b"k", b"rsa")) != kind or b"sha256" not in hashes:
        return False
    if b"*" not in services and b"email" not in services:  # section 3.6.1
        return False
    try:
        raw = b64decode(_letters(tags[b"p"]), validate=True)
        if kind == b"ed25519":
            Ed25519PublicKey.from_public_bytes(raw).verify(signature.value, hashlib.sha256(data).digest())
            return True
        key = load_der_public_key(raw)
        if not isinstance(key, RSAPublicKey) or key.key_size not in KEY_BITS:
            return False
        key.verify(signature.value, data, PKCS1v15(), SHA256())
    except (KeyError, ValueError, binascii.Error, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
