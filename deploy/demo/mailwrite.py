"""Writes mail as a stock mail program does, and hands it to Junto by SMTP as a member's own host would."""

from __future__ import annotations

import email.policy
import email.utils
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage

import aiosmtplib

from deploy.demo.mailread import Mail, fresh
from deploy.demo.patience import insist

PROGRAM = "Shorepost 1.0"


class MailRefused(RuntimeError):
    """The server said no for good; the text is its answer."""


@dataclass(frozen=True, slots=True)
class Correspondent:
    """Who writes."""

    name: str
    address: str


def new_id(address: str) -> str:
    """A Message-ID as a mail program makes one."""
    return email.utils.make_msgid(domain=address.rpartition("@")[2])


def compose(
    author: Correspondent,
    to: str,
    subject: str,
    text: str,
    *,
    message_id: str,
    date: datetime | None = None,
    references: Sequence[str] = (),
    files: Sequence[tuple[str, str, bytes]] = (),
) -> bytes:
    """A plain text mail; `references` ends with the parent; `files` are (name, media type, bytes)."""
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = email.utils.formataddr((author.name, author.address))
    message["To"] = to
    message["Subject"] = subject
    message["Date"] = email.utils.format_datetime(date or datetime.now(UTC))
    message["Message-ID"] = message_id
    if references:
        message["In-Reply-To"] = references[-1]
        message["References"] = " ".join(references)
    message["User-Agent"] = PROGRAM
    message.set_content(text.rstrip() + "\n")
    for filename, media_type, data in files:
        kind, _, sub = media_type.partition("/")
        message.add_attachment(data, maintype=kind, subtype=sub, filename=filename)
    return message.as_bytes()


def reply(
    author: Correspondent,
    to: Mail,
    text: str,
    *,
    message_id: str,
    date: datetime | None = None,
    files: Sequence[tuple[str, str, bytes]] = (),
) -> bytes:
    """An answer by the "Reply" button: to Reply-To, else From (RFC 5322 section 3.6.2), the quote first, the words below it."""
    receiver = to.to if to.sent else to.reply_to or email.utils.formataddr((to.sender, to.sender_address))
    subject = to.subject if re.match(r"(?i)re:", to.subject) else f"Re: {to.subject}"
    quote = "\n".join(f"> {line}".rstrip() for line in fresh(to.text).split("\n")[:12])
    when = to.date.strftime("%a, %d %b %Y, %H:%M")
    body = f"On {when}, {to.sender} wrote:\n{quote}\n\n{text.strip()}\n"
    references = [*to.references, to.message_id]
    if to.in_reply_to and not to.references:  # RFC 5322 section 3.6.4
        references.insert(0, to.in_reply_to)
    return compose(
        author, receiver, subject, body, message_id=message_id, date=date, references=references, files=files
    )


async def send(data: bytes, sender: str, receivers: Sequence[str], port: int, patience: float = 5.0) -> None:
    """Hands the mail over; like a mail host it comes again after a temporary answer, for `patience` seconds.

    Raises MailRefused for a permanent answer, TimeoutError when the patience is over.
    """

    async def once() -> None:
        try:
            await aiosmtplib.send(
                data,
                sender=sender,
                recipients=list(receivers),
                hostname="127.0.0.1",
                port=port,
                timeout=15,
                start_tls=False,
            )
        except aiosmtplib.SMTPRecipientsRefused as refused:
            worst = max(refused.recipients, key=lambda one: one.code)
            _raise(worst.code, worst.message)
        except aiosmtplib.SMTPResponseException as refused:
            _raise(refused.code, refused.message)

    await insist(once, patience, (OSError, aiosmtplib.SMTPException, TimeoutError))


def _raise(code: int, message: str) -> None:
    if code >= 500:
        raise MailRefused(f"{code} {message}")
    raise ConnectionError(f"{code} {message}")


def receiver_of(data: bytes) -> str:
    """The address in To, for the envelope."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    return email.utils.parseaddr(str(message["To"]))[1]
