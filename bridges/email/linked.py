"""Large attachments of a received message leave its copies: each becomes a small text that names the file and links to it. Pure.

Only if the forum says so (`link_over`), as it breaks every signature over the body. The part alone is exchanged; all other bytes of the
message stay as they came, and the archive keeps the whole. Never touched: what is signed or encrypted (a footer would break it for the
reader too), pictures that the text shows, forms of an alternative, and a message that is nothing but the file.
"""

from __future__ import annotations

import hashlib

from bridges.email import mime, structure
from bridges.email.content import is_shown, link
from bridges.email.headers import CRLF
from bridges.email.structure import Part
from server.bridge import File, Post
from server.errors import Rejected

_SEALED = frozenset(("multipart/signed", "multipart/encrypted"))  # RFC 1847
_OF_SEALS = frozenset(  # RFC 3156, RFC 8551
    f"application/{name}"
    for name in (
        "pgp-signature",
        "pgp-encrypted",
        "pgp-keys",
        "pkcs7-signature",
        "x-pkcs7-signature",
        "pkcs7-mime",
        "x-pkcs7-mime",
    )
)


def is_sealed(media_type: str) -> bool:
    """Whether a part of that type signs or encrypts: what stands around it must not change."""
    return media_type in _SEALED or media_type in _OF_SEALS


def changes_body(post: Post) -> bool:
    """Whether `linked` changes the body, so that no signature over it survives."""
    return bool(_exchanged(post))


def linked(post: Post) -> bytes:
    """The received message with its large attachments as links; the bytes themselves where there is none."""
    assert post.original is not None
    out: list[bytes] = []
    at = 0
    for (start, end), file in _exchanged(post):
        part = mime.text(link(file))
        out += [post.original[at:start], part.head, CRLF, part.body.removesuffix(CRLF)]
        at = end
    return b"".join((*out, post.original[at:])) if out else post.original


def _exchanged(post: Post) -> list[tuple[tuple[int, int], File]]:
    """Where the parts stand that become links, in order, and the files that they are in the archive."""
    raw, most = post.original, post.forum.link_over
    if not most or raw is None:
        return []
    large = {file.hash: file for file in post.files if file.size > most and not is_shown(file, post)}
    if not large:
        return []
    try:
        tree = structure.parts(raw)
    except Rejected:
        return []
    found = []
    for _, part in structure.leaves(tree):
        # no encoding makes a part smaller than its file, so that most parts need not be decoded
        if part.body[1] - part.body[0] <= most or not _may_go(tree, part):
            continue
        file = large.get(hashlib.sha256(structure.content(raw, part)).hexdigest())
        if file is not None:
            found.append(((part.start, part.body[1]), file))
    return found


def _may_go(tree: list[Part], part: Part) -> bool:
    if part.parent < 0 or part.media_type in _OF_SEALS or tree[part.parent].media_type != "multipart/mixed":
        return False
    at = part.parent
    while at >= 0:
        if tree[at].media_type in _SEALED:
            return False
        at = tree[at].parent
    return True
