"""Notices of mail systems that write no delivery report: their words, and which recipients they are about. Pure; never raises.

Every mail system has a form of its own. What all of them do is name a recipient, say something about it, and quote the message that
came back; so the quoted message is cut off first, and tells in turn to whom it had been sent.
"""

from __future__ import annotations

import email
import logging
from dataclasses import dataclass

import flufl.bounce

from bridges.email import fields, structure
from bridges.email.addresses import normal, split
from bridges.email.charsets import decode
from bridges.email.fields import Fields
from bridges.email.mailboxes import mailboxes
from bridges.email.parse import Mail
from server import limits, log
from server.errors import Rejected
from server.markup import words as words_of

TEXT_BYTES = 64 * 1024  # read of the words of one notice
LINES = 1_000
RECIPIENTS = 20  # of one notice; a notice to us is about one
ADDRESSES = 100  # looked at in one notice
FOREIGN_BYTES = 32 * 1024  # handed to flufl.bounce, whose parser recurses on nested messages
FOREIGN_LINE, FOREIGN_SIGNS = 200, 5
_TRACES = frozenset({"received", "return-path", "message-id", "mime-version", "dkim-signature"})
_FIELDS = _TRACES | {
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "sender",
    "reply-to",
    "content-type",
    "x-mailer",
    "user-agent",
}
_LOCAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.")
_DOMAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
_STILL_TRYING = (
    "warning message only",
    "not yet been delivered",
    "has been delayed",
    "is delayed for",
    "message is delayed",
    "do not need to re-send",
    "do not need to resend",
    "temporary failure report",
    "will be retried",
    "still being retried",
)
_COPY_FOLLOWS = (
    "original message",
    "copy of the message",
    "copy of your message",
    "returned message",
    "unsent message",
    "message header",
)
_SYSTEM = frozenset({"mailer-daemon", "postmaster"})
logging.getLogger("flufl.bounce").setLevel(
    logging.CRITICAL
)  # it logs with a traceback what a stranger's mail makes it raise
_log = log.get("notices")


@dataclass(frozen=True, slots=True)
class Notice:
    """`words`: what the mail system says before the message that came back. `returned`: the header of that, if it is there.

    `whole`: all text that is not in a part of its own.
    """

    subject: str
    words: str
    whole: str
    returned: Fields


def read(mail: Mail) -> Notice:
    """The words before the message that came back, and its header."""
    whole = _text(mail)
    words, rest = _cut(whole)
    return Notice(mail.subject or "", words, whole, _returned(mail, rest))


def is_delay(notice: Notice) -> bool:
    """Whether the mail system goes on trying."""
    text = " ".join(notice.words.lower().split())
    return any(phrase in text for phrase in _STILL_TRYING)


def recipients(mail: Mail, notice: Notice) -> tuple[list[str], bool]:
    """Whom the notice is about, as well as can be told; and whether it has a form that is known."""
    named = in_fields(mail.header, "x-failed-recipients")
    if not named:
        found = _foreign(mail)
        sent_to = in_fields(notice.returned, "to", "cc")
        named = [one for one in found if one in sent_to] or found
        listed = _leading(mail, notice)
        if any(one in listed for one in named):  # it may have found only the first of a list
            named = [*named, *listed]
    return list(dict.fromkeys(named or _in_words(mail, notice)))[:RECIPIENTS], bool(named)


def about(words: str, recipient: str, all_of: list[str]) -> str:
    """The lines about one of several recipients: from where it is named to where another one is."""
    if len(all_of) < 2:
        return words
    others = [one for one in all_of if one != recipient]
    mine: list[str] = []
    inside = False
    for line in words.split("\n"):
        lower = line.lower()
        if recipient in lower:
            inside = True
        elif any(other in lower for other in others):
            inside = False
        if inside:
            mine.append(line)
    return "\n".join(mine) or words


# The words ------------------------------------------------------------------------------------------------------------
def _text(mail: Mail) -> str:
    texts: list[str] = []
    size = 0
    markup = ""
    for _, part in structure.leaves(mail.tree):
        if size >= TEXT_BYTES or not part.media_type.startswith(("text/plain", "text/html")):
            continue
        data = structure.content(mail.raw, part)[: TEXT_BYTES - size]
        size += len(data)
        text = decode(data, part.parameters.get("charset", "")).replace("\r\n", "\n").replace("\r", "\n")
        if part.media_type.startswith("text/html"):
            markup = markup or text
        else:
            texts.append(text)
    if not "".join(texts).strip() and markup:
        texts = [words_of(markup)]
    return "\n".join(texts)


def _cut(text: str) -> tuple[str, str]:
    """Before and after a line that says so, or where the header of a message begins: a run of fields of which one tells its way."""
    lines = text.split("\n")[:LINES]
    begin, seen = -1, set[str]()
    for number, line in enumerate(lines):
        bare = line.removeprefix("> ")
        if bare.lstrip().startswith("--") and any(phrase in bare.lower() for phrase in _COPY_FOLLOWS):
            return "\n".join(lines[:number]), "\n".join(lines[number + 1 :]).lstrip("\n")
        name = bare.partition(":")[0].rstrip().lower() if ":" in bare else ""
        if name in _FIELDS or (begin >= 0 and (bare[:1] in (" ", "\t") or _is_field(name))):
            begin = number if begin < 0 else begin
            seen.add(name)
            if len(seen & _FIELDS) >= 3 and seen & _TRACES:
                return "\n".join(lines[:begin]), "\n".join(lines[begin:])
        else:
            begin, seen = -1, set[str]()
    return "\n".join(lines), ""


def _is_field(name: str) -> bool:
    return bool(name) and all("!" <= c <= "~" for c in name)


def _returned(mail: Mail, rest: str) -> Fields:
    for part in mail.tree[1:]:
        if part.media_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers"):
            raw = structure.content(mail.raw, part)[: limits.HEADER_BYTES]
            break
    else:
        raw = rest.encode()
    try:
        return fields.read(raw[: fields.cut(raw)[0]])
    except Rejected:
        return Fields(())


# The recipients ---------------------------------------------------------------------------------------------------------
def _foreign(mail: Mail) -> list[str]:
    """What flufl.bounce finds. It knows many old forms; it is given little to read, and whatever it raises is no finding."""
    try:
        temporary, permanent = flufl.bounce.all_failures(email.message_from_bytes(_harmless(mail.raw[:FOREIGN_BYTES])))
    except Exception as problem:  # noqa: BLE001  a stranger's bytes in somebody else's parser
        _log.warning("a notice that flufl.bounce cannot read", problem=type(problem).__name__)
        return []
    found = [normal(one.decode("utf-8", "replace")) for one in sorted(temporary | permanent)[:ADDRESSES]]
    return [one for one in found if one is not None]


def _harmless(data: bytes) -> bytes:
    """A message on which no expression of a foreign parser can backtrack for long: no long line, none with many signs of addresses.

    Base64 is not decoded, for what its lines hold is known only afterwards; lines of quoted-printable are joined by twos at most.
    """
    kept: list[bytes] = []
    joins = False
    for line in data.split(b"\n"):
        line = line.rstrip(b"\r")[:FOREIGN_LINE]
        signs = sum(line.count(sign) for sign in (b"@", b"<", b"=40", b"=3C", b"=3c"))
        if signs > FOREIGN_SIGNS or (b"base64" in line.lower() and b":" in line):
            line = b""
        if line.endswith(b"=") and joins:
            line = line.rstrip(b"=")
        joins = line.endswith(b"=")
        kept.append(line)
    return b"\n".join(kept)


def _in_words(mail: Mail, notice: Notice) -> list[str]:
    """Those to whom the message was sent and whom the notice names; else the first whom it names."""
    sent_to = in_fields(notice.returned, "to", "cc", "x-original-to")
    named = addresses(notice.words)
    both = [one for one in named if one in sent_to]
    others = [one for one in named if _may_be(one, _system(mail, notice))]
    here = {split(one)[1] for one in in_fields(mail.header, "to")}  # a list's own address is in To of what it sends
    return _leading(mail, notice) or both or others[:1] or [one for one in sent_to if split(one)[1] not in here][:1]


def _leading(mail: Mail, notice: Notice) -> list[str]:
    """Addresses that a line begins with, but for brackets and a code: mail systems list recipients like this."""
    found: list[str] = []
    system = _system(mail, notice)
    for line in notice.words.split("\n"):
        before, at, _ = line[:400].partition("@")
        begin = before.rstrip("".join(_LOCAL))
        if at and ("rcpt to:" in before.lower() or not any(c.isalpha() for c in begin)):
            found.extend(one for one in addresses(line)[:1] if _may_be(one, system))
    return found


def _system(mail: Mail, notice: Notice) -> set[str]:
    """Addresses of those who sent the message and the notice, none of which is a recipient."""
    of_message = in_fields(notice.returned, "from", "sender", "return-path", "reply-to")
    return {*of_message, *in_fields(mail.header, "from", "to", "return-path", "reply-to")}


def _may_be(address: str, system: set[str]) -> bool:
    return address not in system and address.partition("@")[0] not in _SYSTEM


def addresses(text: str) -> list[str]:
    """What looks like an address, in order; each character is looked at a bounded number of times."""
    found: list[str] = []
    at = text.find("@")
    while at >= 0 and len(found) < ADDRESSES:
        begin, end = at, at + 1
        while begin > max(0, at - 64) and text[begin - 1] in _LOCAL:
            begin -= 1
        while end < min(len(text), at + 254) and text[end] in _DOMAIN:
            end += 1
        address = normal(text[begin:end].strip(".'=/-"))
        if address is not None and "." in address.partition("@")[2]:
            found.append(address)
        at = text.find("@", end)
    return list(dict.fromkeys(found))


def in_fields(header: Fields, *names: str) -> list[str]:
    return [one.address for name in names for value in header.values(name) for one in mailboxes(value)]
