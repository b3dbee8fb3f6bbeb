"""A post that was born elsewhere as an RFC 5322 message, for raw and mbox: anybody may read it, so it holds no token. Pure."""

from __future__ import annotations

from bridges.email.compose import date, list_fields, reply_subject, threading, to_forum
from bridges.email.content import content
from bridges.email.headers import CRLF, mailbox, structured, unstructured
from server.bridge import Post
from server.i18n import _


def source(post: Post) -> bytes:
    """The message that mailboxes get, without what is personal; files are links. The author's address is hidden.

    `.invalid` is a domain that nobody can ever have (RFC 2606 section 2).
    """
    part = content(post, {})
    return b"".join(
        (
            list_fields(post),
            mailbox("From", f"hidden@{post.forum.slug}.invalid", post.writer.name or _("A member")),
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
