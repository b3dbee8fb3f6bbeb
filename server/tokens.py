"""Secrets as text: tokens, their hashes, ids. Pure; what a token stands for is known by `people.handles`. Imports nothing of ours.

A token is 26 letters of base32 (130 bits), case ignored, so that it survives the local part of a mail address (RFC 5321
section 4.5.3.1.1) and a phone call. Random ones are stored as hashes only. Printed ones are not stored at all, because a wide post
needs two for each mailbox: they carry the id that they stand for, masked, and the proof that we wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
import uuid
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

TOKEN_LETTERS = 26
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"  # RFC 4648 section 6, in small letters
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]  # ten bits at a time
_VALUES = {pair: value for value, pair in enumerate(_PAIRS)}
_LETTER = bytes(ord(_ALPHABET[byte & 31]) for byte in range(256))  # by `translate`: a letter of each random byte
_ID_BITS, _ID_LETTERS = 40, 8  # of a printed token; the other 18 letters, 90 bits, are its proof
_PROOF_LETTERS = TOKEN_LETTERS - _ID_LETTERS


def printer(key: bytes, kind: str) -> Callable[[int, int], str]:
    """What makes the printed tokens of a kind, of an id below 2**40 and an epoch (how often the thing's token was replaced).

    The proof is a keyed BLAKE2b (RFC 7693: a MAC by itself, a third of the price of HMAC) of kind, id and epoch. It also makes the mask
    of the id, so that tokens of neighbours have nothing in common and nobody counts our members by them.
    """
    before = kind.encode() + b":"

    def make(thing: int, epoch: int) -> str:
        if thing >> _ID_BITS:
            raise ValueError(f"{thing} does not fit into a token")
        mac = blake2b(b"%b%d:%d" % (before, thing, epoch), key=key, digest_size=_PROOF_LETTERS, person=b"token")
        proof = mac.digest().translate(_LETTER)
        hidden = thing ^ _mask(key, proof)
        masked = (_PAIRS[hidden >> 30], _PAIRS[hidden >> 20 & 1023], _PAIRS[hidden >> 10 & 1023], _PAIRS[hidden & 1023])
        return "".join(masked) + proof.decode()

    return make


def printed_id(key: bytes, token: str) -> int:
    """The id that a printed token claims to carry: compare the token with the one that `printer` makes of it (`same`)."""
    token, hidden = token.lower(), 0
    for at in range(0, _ID_LETTERS, 2):
        hidden = hidden << 10 | _VALUES[token[at : at + 2]]
    return hidden ^ _mask(key, token[_ID_LETTERS:].encode())


def _mask(key: bytes, proof: bytes) -> int:
    return int.from_bytes(blake2b(proof, key=key, digest_size=_ID_BITS // 8, person=b"mask").digest(), "big")


def same(one: str, other: str) -> bool:
    """Whether two tokens are the same, in a time that does not tell how much of them is (both must be `is_token`)."""
    return hmac.compare_digest(one.lower(), other.lower())


def random_token() -> str:
    """A token that is handed out once (sign-in, confirm, API)."""
    return secrets.token_bytes(TOKEN_LETTERS).translate(_LETTER).decode()


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


def message_id(domain: str) -> str:
    """A new Message-ID of ours (RFC 5322 section 3.6.4)."""
    return f"<{uuid7()}@{domain}>"


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
