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
_PAIRS = [
    first + second for first in _ALPHABET for second in _ALPHABET
]  # ten bits at a time: a post may need 20,000 tokens


_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_BITS = 5 * TOKEN_LETTERS
_ID_BITS = 40  # of a printed token; the other 90 are its proof
_PROOF_BITS = _BITS - _ID_BITS
_PROOF_BYTES = 12


def _letters(bits: int) -> str:
    return "".join([_PAIRS[bits >> shift & 1023] for shift in range(120, -1, -10)])


def printer(key: bytes, kind: str) -> Callable[[int, int], str]:
    """What makes the printed tokens of a kind, of an id below 2**40 and an epoch (how often the thing's token was replaced).

    The proof is a keyed BLAKE2b (RFC 7693: a MAC by itself, a third of the price of HMAC) of kind, id and epoch. It also makes the mask
    of the id, so that tokens of neighbours have nothing in common and nobody counts our members by them.
    """
    before = kind.encode() + b":"

    def make(thing: int, epoch: int) -> str:
        if thing >> _ID_BITS:
            raise ValueError(f"{thing} does not fit into a token")
        mac = blake2b(b"%b%d:%d" % (before, thing, epoch), key=key, digest_size=_PROOF_BYTES, person=b"token").digest()
        proof = int.from_bytes(mac, "big") >> (8 * _PROOF_BYTES - _PROOF_BITS)
        return _letters((thing ^ _mask(key, proof)) << _PROOF_BITS | proof)

    return make


def printed_id(key: bytes, token: str) -> int:
    """The id that a printed token claims to carry: compare the token with the one that `printer` makes of it (`same`)."""
    bits = 0
    for letter in token.lower():
        bits = bits << 5 | _VALUES[letter]
    proof = bits & ((1 << _PROOF_BITS) - 1)
    return bits >> _PROOF_BITS ^ _mask(key, proof)


def _mask(key: bytes, proof: int) -> int:
    raw = blake2b(proof.to_bytes(_PROOF_BYTES, "big"), key=key, digest_size=_ID_BITS // 8, person=b"mask").digest()
    return int.from_bytes(raw, "big")


def same(one: str, other: str) -> bool:
    """Whether two tokens are the same, in a time that does not tell how much of them is (both must be `is_token`)."""
    return hmac.compare_digest(one.lower(), other.lower())


def random_token() -> str:
    """A token that is handed out once (sign-in, confirm, API)."""
    return _letters(secrets.randbits(_BITS))


def token_hash(token: str) -> str:
    """What is stored and looked up instead of the token."""
    return hashlib.sha256(token.strip().lower().encode()).hexdigest()


def is_token(text: str) -> bool:
    """Whether the text has a token's form; says nothing of whether it is one of ours."""
    lowered = text.lower()
    return len(lowered) == TOKEN_LETTERS and all(letter in _VALUES for letter in lowered)


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
