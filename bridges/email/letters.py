"""Letters (private words sent on) and notices (words of the server) as mail. Pure; neither shows an address it should not."""

from __future__ import annotations

from uuid import UUID

from bridges.email import mime
from bridges.email.compose import Mail, address, bounces, date
from bridges.email.headers import CRLF, mailbox, message_ids, path, structured, unstructured
from server.bridge import LetterItem, NoticeItem, Target
from server.i18n import _

SITE = "Junto"


def letter(item: LetterItem, domain: str, now: int) -> Mail:
    """A new mail with the letter's text: a copy of what came would carry its sender's address in many places."""
    forum = item.forum
    name, title = item.writer.name or _("A member"), forum.title if forum else SITE
    shown = _("{name} via {forum}").format(name=name, forum=title)
    if forum and item.reply_via:
        sender = mailbox("From", address(forum, "via", item.reply_via), shown)
    else:
        sender = mailbox("From", address(forum, "owner") if forum else f"postmaster@{domain}", shown)
        if item.reply_address:
            sender += b"Reply-To: <" + path(item.reply_address) + b">\r\n"
    return _mail(item, sender, now, ())


def notice(item: NoticeItem, domain: str, now: int) -> Mail:
    """Auto-Submitted, so that no machine answers (RFC 3834 section 5); an answer of a person goes where `reply` says.

    Exchange reads a field of its own instead (MS-OXCMAIL, X-Auto-Response-Suppress); "All" would suppress bounces as well.
    """
    forum = item.forum
    if forum and item.reply:
        verb, token = item.reply
        where = address(forum, verb, token)
        sender = mailbox("From", where, forum.title) + mailbox("Reply-To", where, forum.title)
    elif forum:
        sender = mailbox("From", address(forum, "owner"), forum.title)
    else:
        sender = mailbox("From", f"postmaster@{domain}", SITE)
    kind = "auto-replied" if item.in_reply_to else "auto-generated"  # RFC 3834 section 5
    quiet = structured("Auto-Submitted", [kind]) + structured("X-Auto-Response-Suppress", ["OOF,", "AutoReply"])
    return _mail(item, quiet + sender, now, item.in_reply_to)


def _mail(item: LetterItem | NoticeItem, head: bytes, now: int, parents: tuple[str, ...]) -> Mail:
    part = mime.text(item.text)
    if isinstance(item, NoticeItem) and item.enclosed:
        part = mime.multipart("mixed", [part, *_messages(item.enclosed)])
    tail = (
        unstructured("Subject", item.subject),
        structured("Date", [date(born(item.message_id, now))]),
        message_ids("Message-ID", [item.message_id]),
        message_ids("In-Reply-To", parents[:1]) + message_ids("References", parents),
        structured("MIME-Version", ["1.0"]),
        part.head,
        CRLF,
        part.body,
    )
    return Mail(head, b"".join(tail), _to, bounces(item.forum) if item.forum else _null_sender)


def _messages(enclosed: tuple[bytes, ...]) -> list[mime.Part]:
    if len(enclosed) == 1:
        return [mime.message("message.eml", enclosed[0])]
    return [mime.message(f"message-{number}.eml", raw) for number, raw in enumerate(enclosed, 1)]


def _to(target: Target) -> bytes:
    return b"To: <" + path(target.address) + b">\r\n"


def _null_sender(target: Target) -> str:
    return ""


def born(message_id: str, now: int) -> int:
    """The time in a Message-ID of ours (RFC 9562 section 5.7), so that every attempt has the same Date; else `now`."""
    try:
        made = UUID(message_id[1:].partition("@")[0])
    except ValueError:
        return now
    return made.int >> 80 if made.version == 7 else now
