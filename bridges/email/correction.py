"""A correction as mail: a reply in the thread that shows what changed, then the post as it is now. Pure; no I/O."""

from __future__ import annotations

from bridges.email import mime
from bridges.email.changes import as_html, as_text, changes
from bridges.email.compose import (
    Mail,
    author,
    bounces,
    date,
    list_fields,
    reply_subject,
    to_forum,
    ways_out,
)
from bridges.email.digest import PAGES
from bridges.email.headers import CRLF, message_ids, structured, unstructured
from bridges.email.letters import born
from server.bridge import CorrectionItem
from server.i18n import _


def correction(item: CorrectionItem, leave_url: str, now: int) -> Mail:
    """The correction for its receivers. `leave_url` is ours, up to the token."""
    post = item.post
    forum, name = post.forum, post.writer.name or _("A member")
    found = changes(item.before, post.text)
    words = _("This post by {name} was corrected: {url}").format(name=name, url=post.url)
    text = f"{words}\n\n{as_text(found)}\n"
    facts = {
        "words": _("This post by {name} was corrected.").format(name=name),
        "url": post.url,
        "found": as_html(found),
    }
    page = PAGES.get_template("correction.html").render(facts)
    part = mime.multipart("alternative", [mime.text(text), mime.text(page, "html")])
    subject = reply_subject(post)
    tail = (
        structured("Auto-Submitted", ["auto-generated"]),  # RFC 3834 section 5
        author(post, name),
        to_forum("To", forum),
        to_forum("Reply-To", forum) if forum.reply_to == "list" else b"",
        unstructured("Subject", subject if subject[:3].lower() == "re:" else f"Re: {subject}"),
        structured("Date", [date(born(item.message_id, now))]),
        message_ids("Message-ID", [item.message_id]),
        message_ids("In-Reply-To", [post.message_id]),
        message_ids("References", [*dict.fromkeys((*post.references[:1], *post.references[-10:], post.message_id))]),
        structured("MIME-Version", ["1.0"]),
        part.head,
        CRLF,
        part.body,
    )
    head = list_fields(post) + structured("Precedence", ["list"])
    return Mail(head, b"".join(tail), ways_out(forum, leave_url), bounces(forum))
