"""Secrets as text: tokens, their hashes, ids. Pure; what a token stands for is kept by `people.handles`. Imports nothing of ours.

A token is 26 letters of base32 (130 bits), case ignored, so that it survives the local part of a mail address (RFC 5321
section 4.5.3.1.1) and a phone call. Only hashes of tokens are stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
import uuid
from pathlib import Path

TOKEN_LETTERS = 26
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 section 6, in small letters
_PAIRS = [
    first + second for first in _ALPHABET for second in _ALPHABET
]  # ten bits at a time: a post may need 20,000 tokens


def _letters(raw: bytes) -> str:
    bits = int.from_bytes(raw[:17], "big") >> 6
    return "".join([_PAIRS[bits >> shift & 1023] for shift in range(120, -1, -10)])


def printed(key: bytes, kind: str, thing: int) -> str:
    """A token that is printed again and again (unsubscribe, bounces): the same for the same kind and id."""
    return _letters(hmac.digest(key, f"{kind}:{thing}".encode(), "sha256"))


def random_token() -> str:
    """A token that is handed out once (sign-in, confirm, API)."""
    return _letters(secrets.token_bytes(17))


def token_hash(token: str) -> str:
    """What is stored and looked up instead of the token."""
    return hashlib.sha256(token.strip().lower().encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether the text has a token's form; says nothing of whether it is one of ours."""
    lowered = text.lower()
    return len(lowered) == TOKEN_LETTERS and all(letter in _ALPHABET for letter in lowered)


def uuid7() -> str:
    """A time-ordered UUID (RFC 9562 section 5.7), for Message-IDs of posts born here."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    value = (value & ~(0x3 << 62)) | (0x2 << 62)
    return str(uuid.UUID(int=value))


def author_key() -> str:
    """An opaque key for a person that may be shown anywhere: no address can be derived from it."""
    return base64.b32encode(os.urandom(10)).decode().lower()


def load_secret(path: Path) -> bytes:
    """The server's secret for printed tokens and signed forms; made on first use, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(file.fileno())
    return path.read_bytes()
