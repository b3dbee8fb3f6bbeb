"""What is derived before the transaction, off the event loop: content, blobs, hash. Writes blobs, never the database.

A blob that no post names afterwards (the post was refused) is harmless: it is found by nobody and may be swept.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Generic, TypeVar

import zstandard

from server import limits
from server.bridge import Attachment, Edit, NewPost
from server.content import attachments as files
from server.content.derive import Derived, derive
from server.content.sanitize import plain_line
from server.errors import Rejected
from server.i18n import _

Written = TypeVar("Written", NewPost, Edit)


@dataclass(frozen=True, slots=True)
class StoredFile:
    hash: str
    filename: str
    media_type: str
    size: int
    content_id: str | None
    inline: bool


@dataclass(frozen=True, slots=True)
class Prepared(Generic[Written]):
    """A NewPost or an Edit with everything that takes time done already. `size` is in bytes as it came; `original` is zstd."""

    inbound: Written
    derived: Derived
    files: tuple[StoredFile, ...]
    content_hash: str
    subject: str
    size: int
    original: bytes | None


def prepare(inbound: Written, blobs: files.Blobs, empty: bool = False) -> Prepared[Written]:
    """Derive and store blobs. Raises Rejected for what has too many files, or is empty where that is not allowed."""
    attached: tuple[Attachment, ...] = inbound.attachments if isinstance(inbound, NewPost) else ()
    if len(attached) > limits.ATTACHMENTS:
        raise Rejected(
            "5.3.4",
            _("This has {count} files; at most {most} are taken.").format(count=len(attached), most=limits.ATTACHMENTS),
        )
    if not empty and not attached and not (inbound.text or "").strip() and not (inbound.html or "").strip():
        raise Rejected("5.6.0", _("This has no text and no file: please write something and send it again."))
    hashes = [blobs.put(attachment.data) for attachment in attached]
    derived = derive(inbound.text, inbound.html, inbound.text_format, attached, hashes)
    stored = tuple(
        StoredFile(
            digest,
            files.filename(attachment.filename),
            files.media_type(attachment.filename, attachment.media_type, attachment.data),
            len(attachment.data),
            attachment.content_id,
            attachment.inline,
        )
        for attachment, digest in zip(attached, hashes, strict=True)
    )
    subject = plain_line((inbound.subject or "") if isinstance(inbound, NewPost) else "", limits.SUBJECT_CHARS)
    return Prepared(
        inbound,
        derived,
        stored,
        _content_hash(subject, derived.text, hashes),
        subject,
        max(len(inbound.original or b""), sum(file.size for file in stored)),
        zstandard.compress(inbound.original) if inbound.original is not None else None,
    )


def _content_hash(subject: str, text: str, hashes: list[str]) -> str:
    """The same words and files, however they were wrapped on the way."""
    digest = hashlib.sha256(subject.encode(errors="replace"))
    digest.update(" ".join(text.split()).encode(errors="replace"))
    for each in hashes:
        digest.update(each.encode())
    return digest.hexdigest()
