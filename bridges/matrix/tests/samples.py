"""Posts, files and pictures that the tests say."""

from __future__ import annotations

import itertools
import struct
import zlib

from server.bridge import File, Forum, Lot, Outbound, Outcome, Post, Ref, Target, Writer
from tests.fakes import forum

_numbers = itertools.count(1)
ANA = Writer("kq3ana7rw2", "Ana Ferreira")


def post(at: Forum | None = None, **changes: object) -> Post:
    """A mail-born post that opens a thread."""
    number = next(_numbers)
    at = at or forum()
    values: dict[str, object] = {
        "id": number,
        "forum": at,
        "number": number,
        "url": f"{at.url}/{number}",
        "message_id": f"<{number}@lists.test>",
        "channel": "email",
        "writer": ANA,
        "subject": "Limpets on the north wall",
        "text": "They are back.",
        "html": "<p>They are back.</p>",
        "fresh_text": "They are back.",
        "fresh_html": "<p>They are back.</p>",
        "files": (),
        "written_at": 1_700_000_000_000,
        "opens_thread": True,
    }
    return Post(**(values | changes))  # type: ignore[arg-type]


def reply(to: Post, root: Post | None = None, **changes: object) -> Post:
    """An answer to a post whose events are in its refs."""
    root = root or to
    values: dict[str, object] = {
        "opens_thread": False,
        "parent_refs": to.refs,
        "root_refs": root.refs,
        "references": (root.message_id,),
        "subject": f"Re: {root.subject}",
    }
    return post(root.forum, **(values | changes))


def said(post: Post, *events: str) -> Post:
    """The post once it has events."""
    import dataclasses

    return dataclasses.replace(post, refs=tuple(Ref("matrix", event, part) for part, event in enumerate(events)))


def png(width: int = 2, height: int = 1) -> bytes:
    """A real picture, white."""
    rows = b"".join(b"\0" + b"\xff\xff\xff" * width for _ in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def picture(hash: str = "f00d", size: int = 70, **changes: object) -> File:
    values: dict[str, object] = {
        "hash": hash,
        "filename": "limpet.png",
        "media_type": "image/png",
        "size": size,
        "url": f"https://talk.test/blob/{hash}/limpet.png",
    }
    return File(**(values | changes))  # type: ignore[arg-type]


class Outcomes:
    """Collects what `deliver` settles."""

    def __init__(self) -> None:
        self.found: list[Outcome] = []

    def __call__(self, target: Target, outcome: Outcome) -> None:
        self.found.append(outcome)

    @property
    def only(self) -> Outcome:
        (outcome,) = self.found
        return outcome


def lot(item: Outbound, room: str, key: str = "") -> Lot:
    return Lot(item, [Target(delivery=1, attempt=1, address=room)], key or f"lot-{next(_numbers)}")
