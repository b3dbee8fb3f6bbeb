"""Posts as the server hands them over, for the tests of composing and sending."""

from __future__ import annotations

import hashlib

from server.bridge import File, Post, Target, Writer
from tests.fakes import forum

VIA, LEAVE, BOUNCES = "v" * 26, "l" * 26, "b" * 26

MAIL = b"""\
Received: from mail.members.test by lists.test; Mon, 2 Nov 2026 06:12:00 +0000
DKIM-Signature: v=1; a=rsa-sha256; d=members.test; s=k; h=from:to:subject
 :date:message-id; bh=AAAA; b=BBBB
From:   =?utf-8?q?Ana_Mari=C3=B1o?=  <ana@members.test>
To: tides@lists.test
Subject: Limpets   on the north face,
\tagain
Date: Mon, 2 Nov 2026 06:11:00 +0000
Message-ID: <limpets@members.test>
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1

.A dot first.
caf\xe9, two trailing blanks  \n
.
""".replace(b"\n", b"\r\n")


def target(number: int = 1, address: str = "", **tokens: str) -> Target:
    return Target(number, 1, address or f"m{number}@far.test", tokens or {"leave": LEAVE, "bounces": BOUNCES})


def file(filename: str, data: bytes, media_type: str = "image/png", size: int | None = None) -> File:
    name = hashlib.sha256(data).hexdigest()
    return File(
        name, filename, media_type, len(data) if size is None else size, f"https://talk.test/blob/{name}/{filename}"
    )


def post(**changes: object) -> Post:
    """A post born in a room that answers another one."""
    values: dict[str, object] = {
        "id": 7,
        "forum": forum(),
        "number": 3,
        "url": "https://talk.test/f/tides/3",
        "message_id": "<0199b1c0-0000-7000-8000-000000000003@lists.test>",
        "channel": "matrix",
        "writer": Writer("key", "Bruno Öst", VIA),
        "subject": "Limpets on the north face",
        "text": "I counted forty.\n\nThen the fog came in.",
        "html": "<p>I counted <b>forty</b>.</p><p>Then the fog came in.</p>",
        "fresh_text": "",
        "fresh_html": "",
        "files": (),
        "written_at": 1_793_600_000_000,
        "references": ("<limpets@members.test>", "<second@members.test>"),
    }
    return Post(**(values | changes))  # type: ignore[arg-type]


def mailed(original: bytes = MAIL, **changes: object) -> Post:
    """A post that came by mail."""
    return post(
        **{
            "original": original,
            "channel": "email",
            "writer": Writer("key", "Ana Mariño", VIA),
            "message_id": "<limpets@members.test>",
            "references": (),
            "opens_thread": True,
        }
        | changes
    )
