"""Answers to a post of a digest as others get them: without the address that they were sent to, under the thread's subject. Pure.

That address names the post to us alone: an answer to all must go to the forum, and nobody else has a use for a token. The subject is
the digest's, by which other members' programs would not find the thread.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from bridges.email import headers
from server.bridge import Forum, Post
from server.tokens import TOKEN_LETTERS

_KEPT = (b"dkim-", b"arc-", b"x-google-dkim", b"message-id", b"references", b"in-reply-to")


def touched(fields: Sequence[bytes], forum: Forum) -> frozenset[bytes]:
    """The names (lower case) of the fields that change; none where it is no such answer."""
    address = _address(forum)
    found = {headers.name(field) for field in fields if _may_hold(field) and address.search(field)}
    return frozenset(found | {b"subject"}) if found else frozenset()


def for_all(post: Post, fields: Sequence[bytes]) -> list[bytes]:
    """The fields as they go to everybody."""
    if not touched(fields, post.forum):
        return list(fields)
    address, instead = _address(post.forum), f"{post.forum.slug}@{post.forum.mail_domain}".encode()
    subject = headers.unstructured("Subject", post.subject)
    shown = [address.sub(instead, field) if _may_hold(field) else field for field in fields]
    return [subject if headers.name(field) == b"subject" else field for field in shown]


def _may_hold(field: bytes) -> bool:
    return not headers.name(field).startswith(_KEPT)


def _address(forum: Forum) -> re.Pattern[bytes]:
    slug, domain = re.escape(forum.slug.encode()), re.escape(forum.mail_domain.encode())
    return re.compile(rb'(?i)"?\b' + slug + rb'-item\+[a-z2-7]{%d}"?@' % TOKEN_LETTERS + domain)
