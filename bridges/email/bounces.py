"""What comes back to a bounce address: delivery reports (RFC 3464), complaints (RFC 5965), older notices. Pure.

The token in the address says which mailbox it is about; who is named inside is never believed.
"""

from __future__ import annotations

from bridges.email import fields, structure
from bridges.email.addresses import split
from bridges.email.charsets import decode
from bridges.email.fields import Fields
from bridges.email.parse import Mail
from server.bridge import Bounce, Report
from server.errors import Rejected
from server.i18n import _

REPORT_BYTES = 64 * 1024  # read of one delivery report
RECIPIENTS = 50  # read of one delivery report
DIAGNOSTIC_CHARS = 500
FIRST_LINES = 6
_REPORTS = ("message/delivery-status", "message/global-delivery-status")  # RFC 3464, RFC 6533
_COMPLAINT = "message/feedback-report"  # RFC 5965


def read(mail: Mail, forum: str, token: str) -> Bounce | Report | None:
    """The bounce or complaint, or None for what says nothing of a mailbox (delays, receipts, vacation notices).

    Raises Rejected for a person's own words: nobody reads this address.
    """
    for part in mail.tree:
        if part.media_type in _REPORTS:
            return _reported(structure.content(mail.raw, part)[:REPORT_BYTES], forum, token)
        if part.media_type == _COMPLAINT:
            block = _blocks(structure.content(mail.raw, part)[:REPORT_BYTES])[:1]
            kind = block[0].first("feedback-type") if block else b""
            return Report(forum, token, fields.plain(decode(kind, guess=False), DIAGNOSTIC_CHARS))
    if _is_vacation(mail):
        return None
    if not mail.automatic:
        raise Rejected(
            "5.7.1",
            _("this address only takes reports on mail that could not be delivered; write to {owners}").format(
                owners=f"{forum}-owner"
            ),
        )
    # RFC 3464 is not what everybody speaks: an unknown notice counts, but never as final
    text = mail.body().text or ""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return Bounce(forum, token, False, "", fields.plain(" ".join(lines[:FIRST_LINES]), DIAGNOSTIC_CHARS))


def _reported(report: bytes, forum: str, token: str) -> Bounce | None:
    """The worst of what the report says of its recipients; delayed, delivered, relayed and expanded are no bounces."""
    worst: Bounce | None = None
    for recipient in _recipients(report):
        if fields.parameters(recipient.first("action"))[0] != "failed":  # RFC 3464 section 2.3.3
            continue
        kind, semicolon, words = recipient.first("diagnostic-code").partition(b";")
        diagnostic = fields.plain(decode(words if semicolon else kind, guess=False), DIAGNOSTIC_CHARS)
        status = _status(recipient.first("status").decode("ascii", "replace")) or _status(diagnostic)
        bounce = Bounce(forum, token, status.startswith("5."), status, diagnostic)
        if worst is None or (bounce.permanent and not worst.permanent):
            worst = bounce
    return worst


def _recipients(report: bytes) -> list[Fields]:
    """The blocks after the first, which is about the message (RFC 3464 section 2.1); some reports have only one block."""
    return [block for block in _blocks(report) if block.has("action")]


def _blocks(report: bytes) -> list[Fields]:
    text = report.replace(b"\r\n", b"\n").strip(b"\n")
    return [fields.read(block) for block in text.split(b"\n\n")[:RECIPIENTS] if block.strip()]


def _is_vacation(mail: Mail) -> bool:
    """A person's automatic answer. The mail system's own notices say "auto-replied" too, and are told by their sender."""
    sender = split(mail.author.address)[0] if mail.author else "mailer-daemon"
    if sender in ("mailer-daemon", "postmaster") or mail.header.has("x-failed-recipients"):
        return False
    return mail.answering or mail.header.has("x-auto-response-suppress") or mail.header.has("list-id")


def _status(text: str) -> str:
    """The first enhanced status code in a text (RFC 3463 section 2), "" if none; of a bare reply code its class."""
    words = text.replace("#", " ").replace("(", " ").replace("-", " ").split()[:60]
    for word in words:
        numbers = word.rstrip(").,;:").split(".")
        if len(numbers) == 3 and numbers[0] in ("2", "4", "5") and all(_short(number) for number in numbers):
            return ".".join(numbers)
    for word in words:
        if len(word) == 3 and word.isdigit() and word[0] in "45":  # RFC 5321 section 4.2.1
            return f"{word[0]}.0.0"
    return ""


def _short(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 3
