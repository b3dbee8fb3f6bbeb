"""A received message, read: who, what, about what, in answer to what, by a machine or not. Pure: bytes in, `Mail` out.

Raises nothing but `Rejected`, whatever the bytes. The bytes themselves are kept as they came; this is only what is read off them.
"""

from __future__ import annotations

import calendar
import hashlib
from dataclasses import dataclass
from email.utils import parsedate_tz

from bridges.email import fields, identification, structure
from bridges.email.addresses import split
from bridges.email.body import Body
from bridges.email.body import read as read_body
from bridges.email.fields import Fields
from bridges.email.mailboxes import Named, mailboxes
from bridges.email.structure import Part
from server import clock, limits
from server.errors import Rejected
from server.i18n import _

OLDEST_MS = 315_532_800_000  # 1980: earlier than any mail that has a Date
_AWAY = (  # before our subject, by responders that say no other way that they are machines; no person writes it with the colon
    *("auto:", "autoreply:", "auto-reply:", "automatic reply:", "out of office:", "away:"),  # RFC 5230 section 5.7
    *(
        "abwesenheitsnotiz:",
        "automatische antwort:",
        "automatisch antwoord:",
        "réponse automatique :",
        "réponse automatique:",
    ),
    *("respuesta automática:", "resposta automática:", "risposta automatica:", "odpowiedź automatyczna:", "автоответ:"),
)
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})


@dataclass(frozen=True, slots=True)
class Mail:
    """What a message says. `message_id` and `parents` have their angle brackets; `written_at` is what the author claims.

    `automatic`: a machine wrote or forwarded it (RFC 3834 section 2). `answering`: it is an automatic answer, a vacation notice for
    example. `list_ids`: the lists that it came through (RFC 2919). `hops`: how many relays it has passed.
    """

    raw: bytes
    header: Fields
    tree: list[Part]
    author: Named | None
    subject: str | None
    message_id: str
    parents: tuple[str, ...]
    written_at: int | None
    automatic: bool
    answering: bool
    null_sender: bool
    list_ids: tuple[str, ...]
    hops: int

    def body(self) -> Body:
        """Text, HTML and files. Raises Rejected."""
        return read_body(self.raw, self.tree)


def parse(raw: bytes, envelope_from: str, domain: str, now: int) -> Mail:
    """Read a message. `envelope_from` is "" for the null sender; `domain` is ours; `now` in milliseconds. Raises Rejected."""
    tree = structure.parts(raw)
    header = tree[0].header
    if len(header.values("from")) > 1:  # RFC 5322 section 3.6: at most one; readers differ in which of two they show
        raise Rejected("5.6.0", _("the message has more than one From field, so it is not clear who wrote it"))
    author = next((named for value in header.values("from") for named in mailboxes(value)), None)
    subject = fields.plain(fields.words(header.first("subject")), limits.SUBJECT_CHARS)
    answering = (
        _word(header, "auto-submitted") == "auto-replied"
        or any(header.has(name) for name in ("x-autoreply", "x-autorespond", "x-vacation"))
        or subject.lower().startswith(_AWAY)
    )
    return Mail(
        raw=raw,
        header=header,
        tree=tree,
        author=author,
        subject=subject if header.has("subject") else None,
        message_id=_message_id(header, raw, domain),
        parents=tuple(identification.parents(header.values("in-reply-to"), header.values("references"))),
        written_at=_date(header, now),
        automatic=answering or envelope_from == "" or _by_a_machine(header, author),
        answering=answering,
        null_sender=envelope_from == "",
        list_ids=tuple(_list_id(value) for value in header.values("list-id")),
        hops=len(header.values("received")),
    )


def _word(header: Fields, name: str) -> str:
    """The first word of a field, in lower case."""
    return fields.parameters(header.first(name))[0]


def _message_id(header: Fields, raw: bytes, domain: str) -> str:
    """The first usable id, else one made of what stays the same when the message comes again (trace fields do not)."""
    for value in header.values("message-id"):
        found = identification.ids(value)
        if found:
            return found[0]
    same = hashlib.sha256()
    for name in ("from", "date", "subject"):
        same.update(header.first(name) + b"\n")
    body = fields.cut(raw)[1]
    same.update(memoryview(raw)[body:])
    return f"<{same.hexdigest()[:40]}@{domain}>"


def _date(header: Fields, now: int) -> int | None:
    """Milliseconds; None where the Date is missing, unreadable, or off by more than a clock can be."""
    text = fields.plain(header.first("date").decode("ascii", "replace"), 100)
    try:
        read = parsedate_tz(text)
        if read is None:
            return None
        moment = (calendar.timegm((*read[:6], 0, 1, 0)) - (read[9] or 0)) * clock.SECOND
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if OLDEST_MS <= moment <= now + clock.DAY else None


def _by_a_machine(header: Fields, author: Named | None) -> bool:
    submitted = _word(header, "auto-submitted")
    return (
        submitted not in ("", "no")  # RFC 3834 section 5
        or _word(header, "precedence") in _BULK
        or header.has("list-id")
        or header.has("x-auto-response-suppress")
        or (author is not None and split(author.address)[0] == "mailer-daemon")
    )


def _list_id(value: bytes) -> str:
    """The id between the last pair of angle brackets (RFC 2919 section 2), in lower case."""
    text = value.decode("ascii", "replace")
    inner = text.rpartition("<")[2].partition(">")[0] if "<" in text else text
    return inner.strip().lower()[:255]


def refuse_loops(mail: Mail, list_id: str) -> None:
    """Raise Rejected 5.4.6 for a message that has been here before (RFC 3463 section 3.5; RFC 5321 section 6.3)."""
    if mail.hops > limits.RECEIVED_HOPS:
        raise Rejected(
            "5.4.6",
            _("this message has passed more than {count} relays: a mail loop").format(count=limits.RECEIVED_HOPS),
        )
    if list_id in mail.list_ids:
        raise Rejected("5.4.6", _("this message has come through this forum already: a mail loop"))
