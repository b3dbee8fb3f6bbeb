"""The program that signs: reads a key and then digests from its standard input, writes their signatures, ends with that input.

Run by its path, and imports nothing of ours, so that it begins fast and is small. `signers` starts it.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

NUMBER = 4  # bytes of the number before the key (its bytes) and before digests (how many)
DIGEST = 32  # bytes

_PADDING, _HASH = padding.PKCS1v15(), Prehashed(hashes.SHA256())


def sign(private: rsa.RSAPrivateKey, digest: bytes) -> bytes:
    """rsa-sha256 (RFC 6376 section 3.3.1) of what has this digest."""
    return private.sign(digest, _PADDING, _HASH)


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Sign until nobody can ask any more."""
    private = serialization.load_der_private_key(asked.read(int.from_bytes(asked.read(NUMBER))), None)
    assert isinstance(private, rsa.RSAPrivateKey)
    while count := int.from_bytes(asked.read(NUMBER)):
        answers.write(b"".join([sign(private, asked.read(DIGEST)) for _ in range(count)]))
        answers.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
