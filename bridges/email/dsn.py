"""Delivery reports read: what each says of its recipients (RFC 3464, RFC 6533). Pure; never raises.

Read tolerantly, because few mail systems write them by the book: bounded bytes in, a short list out.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridges.email import fields, structure
from bridges.email.charsets import decode
from bridges.email.fields import Fields
from bridges.email.mailboxes import mailboxes
from bridges.email.parse import Mail
from server.errors import Rejected

REPORT_BYTES = 64 * 1024  # read of one report
BLOCKS = 50  # read of one report
RECIPIENTS = 20  # of one report; a report to us is about one
WORDS_CHARS = 2_000
REPORTS = ("message/delivery-status", "message/global-delivery-status")


@dataclass(frozen=True, slots=True)
class Said:
    """What a report says of one recipient. `action` is its first word, "" if there is none; `address` "" where nobody is named."""

    address: str
    action: str
    status: str
    words: str


def said_in(text: str) -> list[Said]:
    """The same from the words of a notice: some mail systems write the fields there, some people forward reports."""
    if "final-recipient:" not in text.lower():
        return []
    return [_said(block) for block in _recipients(text.replace("\n> ", "\n").replace("\n>\n", "\n\n").encode())]


def said(mail: Mail) -> list[Said] | None:
    """Of each recipient, in the order of the report; None for a message that holds no report."""
    reports = [part for part in mail.tree if part.media_type in REPORTS]
    if not reports:
        return None
    return [_said(block) for part in reports[:1] for block in _recipients(structure.content(mail.raw, part))]


def blocks(report: bytes) -> list[Fields]:
    """The groups of fields between empty lines."""
    text = report[:REPORT_BYTES].replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n")
    found = []
    for block in text.split(b"\n\n")[:BLOCKS]:
        try:
            found.append(fields.read(block))
        except Rejected:
            continue
    return [block for block in found if block.all]


def _recipients(report: bytes) -> list[Fields]:
    """The groups after the first, which is about the message (RFC 3464 section 2.1); some reports have only one."""
    found = blocks(report)
    named = ("final-recipient", "original-recipient", "action")
    return [block for block in found if any(block.has(name) for name in named)][:RECIPIENTS]


def _said(block: Fields) -> Said:
    kind, semicolon, words = block.first("diagnostic-code").partition(b";")
    category = block.first("x-powermta-bouncecategory")  # "bad-mailbox": what its many users' mail systems sort by
    return Said(
        address=_address(block),
        action=fields.parameters(block.first("action"))[0],  # RFC 3464 section 2.3.3; a comment may follow
        status=block.first("status").decode("ascii", "replace").partition("(")[0].strip(),
        words=fields.plain(decode((words if semicolon else kind) + b" " + category, guess=False), WORDS_CHARS),
    )


def _address(block: Fields) -> str:
    """As it was given at first (section 2.3.1); where that is not said, as the far side knows it (section 2.3.2)."""
    for name in ("original-recipient", "final-recipient", "x-actual-recipient"):
        kind, semicolon, value = block.first(name).partition(b";")
        found = mailboxes(value if semicolon else kind)
        if found:
            return found[0].address
    return ""
