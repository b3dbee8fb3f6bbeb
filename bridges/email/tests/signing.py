"""Messages signed as the world's mail servers sign them, by dkimpy, for the tests of what checks signatures."""

from __future__ import annotations

import functools
from base64 import b64encode

import dkim
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.peers.names import Names

SELECTOR = "k1"


@functools.cache
def _key(bits: int) -> tuple[bytes, str]:
    """A private key as PEM, and its record."""
    key = generate_private_key(65537, bits)
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return pem, f"v=DKIM1; k=rsa; p={b64encode(public).decode()}"


def record(bits: int = 2048) -> str:
    return _key(bits)[1]


def publish(names: Names, domain: str, bits: int = 2048) -> None:
    """Put the key where a verifier looks for it."""
    names.txt(f"{SELECTOR}._domainkey.{domain}", record(bits))


def signed(
    message: bytes,
    domain: str,
    covers: tuple[str, ...] = ("from", "to", "subject", "date", "message-id"),
    canonical: str = "relaxed/relaxed",
    bits: int = 2048,
    length: bool = False,
) -> bytes:
    """The message below a signature over those fields."""
    header, body = canonical.encode().split(b"/")
    value: bytes = dkim.sign(
        message,
        SELECTOR.encode(),
        domain.encode(),
        _key(bits)[0],
        canonicalize=(header, body),
        include_headers=[name.encode() for name in covers],
        length=length,
    )
    return value + message
