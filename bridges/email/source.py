"""A post as an RFC 5322 message, for raw and mbox: anybody may read it, so it holds no token. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bridges.email import fields, headers, identification
from bridges.email.compose import date, list_fields, reply_subject, threading, to_forum
from bridges.email.content import content
from bridges.email.headers import CRLF, mailbox, message_ids, structured, unstructured
from server.bridge import Post
from server.i18n import _


def source(post: Post, files: Mapping[str, bytes]) -> bytes:
    """The message as received, or the one that mailboxes get, without what is personal. The author's address is hidden then.

    `.invalid` is a domain that nobody can ever have (RFC 2606 section 2); the name before it tells authors apart.
    """
    if post.original is not None:
        return _named(post.original, post.message_id)
    part = content(post, files)
    return b"".join(
        (
            list_fields(post),
            mailbox(
                "From", f"{post.writer.key or 'hidden'}@{post.forum.slug}.invalid", post.writer.name or _("A member")
            ),
            to_forum("To", post.forum),
            unstructured("Subject", reply_subject(post)),
            structured("Date", [date(post.written_at)]),
            threading(post),
            structured("MIME-Version", ["1.0"]),
            part.head,
            CRLF,
            part.body,
        )
    )


def _named(original: bytes, name: str) -> bytes:
    """The bytes, with the name that the post has here on top if they have none, or one that was somebody else's before."""
    section, _gap, _body = headers.cut(original)
    own = next(
        (found[0] for value in fields.read(section).values("message-id") if (found := identification.ids(value))), ""
    )
    return original if own == name else message_ids("Message-ID", [name]) + original
