"""A mail as a mail program shows it: pure functions from bytes to what is seen, and from mails to their trees."""

from __future__ import annotations

import email
import email.message
import email.policy
import email.utils
import html
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

_ID = re.compile(r"<[^<>\s]{1,998}>")
_PAGE = re.compile(r"^/f/([a-z0-9-]{1,29})/(\d{1,12})$")
_TAG = re.compile(r"<[^>]{0,2000}>")
_ATTRIBUTION = re.compile(r"^(On|Am|Le|El|Em|Den|Il) .{3,200}:\s*$")
SHOWN = ("From", "To", "Cc", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "References", "List-Id")


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside a mail; `content_id` without brackets."""

    number: int
    filename: str
    media_type: str
    content_id: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mail:
    """What a mail program knows of one mail. `page` is (forum, number) from Archived-At (RFC 5064), if it names a post."""

    key: str
    arrived: float
    sent: bool
    message_id: str
    in_reply_to: str
    references: tuple[str, ...]
    subject: str
    sender: str
    sender_address: str
    to: str
    reply_to: str
    date: datetime
    text: str
    html: str
    parts: tuple[Part, ...]
    headers: tuple[tuple[str, str], ...]
    list_slug: str
    page: tuple[str, int] | None
    channel: str
    raw: bytes = field(repr=False)


def parse(data: bytes, key: str = "", arrived: float = 0.0, sent: bool = False) -> Mail:
    """Never raises: whatever cannot be read is shown empty."""
    message = email.message_from_bytes(data, policy=email.policy.default)
    text, page_text, parts = _bodies(message)
    ids = _ID.findall(_header(message, "References"))
    sender, address = email.utils.parseaddr(_header(message, "From"))
    list_id = _header(message, "List-Id").rpartition("<")[2].partition(".")[0]
    return Mail(
        key=key,
        arrived=arrived,
        sent=sent,
        message_id=_first_id(_header(message, "Message-ID")),
        in_reply_to=_first_id(_header(message, "In-Reply-To")),
        references=tuple(ids),
        subject=_header(message, "Subject"),
        sender=sender or address,
        sender_address=address,
        to=_header(message, "To"),
        reply_to=_header(message, "Reply-To"),
        date=_date(_header(message, "Date"), arrived),
        text=text,
        html=page_text,
        parts=tuple(parts),
        headers=tuple((name, value) for name in SHOWN if (value := _header(message, name))),
        list_slug=list_id if not sent else "",
        page=archived(_header(message, "Archived-At")),
        channel=_header(message, "X-Junto-Channel"),
        raw=data,
    )


def archived(value: str) -> tuple[str, int] | None:
    """(forum, number) if the URL is a post's page."""
    match = _PAGE.match(urlsplit(value.strip().strip("<>")).path)
    return (match[1], int(match[2])) if match else None


def _header(message: email.message.EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, IndexError):  # the parser gives up on some broken structured headers
        return ""


def _first_id(value: str) -> str:
    found = _ID.search(value)
    return found[0] if found else ""


def _date(value: str, arrived: float) -> datetime:
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return datetime.fromtimestamp(arrived, UTC)
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _bodies(message: email.message.EmailMessage) -> tuple[str, str, list[Part]]:
    text, page, parts = "", "", []
    for number, part in enumerate(message.walk()):
        if part.is_multipart():
            continue
        kind, filename = part.get_content_type(), part.get_filename() or ""
        attached = part.get_content_disposition() == "attachment" or bool(filename)
        if kind == "text/plain" and not attached and not text:
            text = _words(part)
        elif kind == "text/html" and not attached and not page:
            page = _words(part)
        else:
            payload = part.get_payload(decode=True)
            cid = str(part.get("Content-ID", "")).strip().strip("<>")
            data = payload if isinstance(payload, bytes) else b""
            parts.append(Part(number, filename or kind.replace("/", "."), kind, cid, data))
    if page and not text:
        text = html.unescape(_TAG.sub("", page)).strip()
    return text, page, parts


def _words(part: email.message.Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace").replace("\r\n", "\n")
    except LookupError:
        return data.decode("utf-8", "replace").replace("\r\n", "\n")


def fold(text: str) -> list[tuple[bool, str]]:
    """The text as pieces (quoted, words): a quote is what begins with ">", with the line that introduces it."""
    pieces: list[tuple[bool, list[str]]] = []
    lines = text.rstrip().split("\n")
    for index, line in enumerate(lines):
        following = next((other for other in lines[index + 1 : index + 3] if other.strip()), "")
        quoted = line.startswith(">") or (bool(_ATTRIBUTION.match(line)) and following.startswith(">"))
        if not line.strip() and pieces:
            quoted = pieces[-1][0]
        if not pieces or pieces[-1][0] != quoted:
            pieces.append((quoted, []))
        pieces[-1][1].append(line)
    return [(quoted, "\n".join(words).strip("\n")) for quoted, words in pieces if "".join(words).strip()]


def fresh(text: str) -> str:
    """What the author wrote now: without quotes and without the signature (RFC 3676 section 4.3)."""
    own = "\n".join(words for quoted, words in fold(text) if not quoted)
    return own.partition("\n-- \n")[0].strip()


def threads(mails: Iterable[Mail]) -> list[list[tuple[int, Mail]]]:
    """Trees as lists of (depth, mail) in reading order, the thread with the newest mail first.

    By References and In-Reply-To alone, the nearest ancestor that is there (the essence of RFC 5256 section 2.2); a mail that
    came twice stands twice.
    """
    ordered = sorted(mails, key=lambda mail: (mail.date, mail.arrived))
    by_id: dict[str, Mail] = {}
    for mail in ordered:
        by_id.setdefault(mail.message_id, mail)
    children: dict[str, list[Mail]] = {}
    roots: list[Mail] = []
    placed: set[str] = set()
    for mail in sorted(ordered, key=lambda mail: len(mail.references)):
        ancestors = [*reversed(mail.references), mail.in_reply_to]
        if mail.in_reply_to:
            ancestors.insert(0, mail.in_reply_to)
        parent = next((name for name in ancestors if name in placed and name != mail.message_id), None)
        if parent:
            children.setdefault(parent, []).append(mail)
        else:
            roots.append(mail)
        placed.add(mail.message_id)
    found = [_walk(root, children) for root in roots]
    return sorted(found, key=lambda tree: max(mail.arrived for _, mail in tree), reverse=True)


def _walk(root: Mail, children: dict[str, list[Mail]]) -> list[tuple[int, Mail]]:
    tree, stack, seen = [], [(0, root)], set()
    while stack:
        depth, mail = stack.pop()
        tree.append((depth, mail))
        if mail.message_id in seen:
            continue
        seen.add(mail.message_id)
        below = sorted(children.get(mail.message_id, []), key=lambda child: (child.date, child.arrived), reverse=True)
        stack.extend((depth + 1, child) for child in below)
    return tree
