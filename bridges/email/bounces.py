"""What comes back to a bounce address, and what it says of a mailbox: reports, other notices, complaints. Pure.

The token in the address says which mailbox it is about; who is named inside is never believed, only kept for a person to read.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridges.email import dsn, fields, notices, structure
from bridges.email.addresses import split
from bridges.email.charsets import decode
from bridges.email.parse import Mail
from bridges.email.refusals import code_in, judge, says_why
from server.bridge import Bounce, Refusal, Report, Undelivered
from server.errors import Rejected
from server.i18n import _

DIAGNOSTIC_CHARS = 500
FIRST_LINES = 6
_COMPLAINT = "message/feedback-report"  # RFC 5965
_NO_COMPLAINTS = ("not-spam", "auth-failure")  # RFC 6430: the opposite; RFC 6591: about our DNS
_ARRIVED = ("delivered", "relayed", "expanded", "deliverable")  # RFC 3464 section 2.3.3; the last is Postfix's
_BADNESS = (Refusal.OURS, Refusal.MISSED, Refusal.GONE)


@dataclass(frozen=True, slots=True)
class Failure:
    """What a notice says of one recipient, "" if it names none. `delayed`: it is still being tried."""

    recipient: str
    refusal: Refusal
    status: str
    words: str
    delayed: bool = False

    @property
    def badness(self) -> int:
        return _BADNESS.index(self.refusal)


def read(mail: Mail, forum: str, token: str) -> Bounce | Report | None:
    """The bounce or complaint, or None for what says nothing of a mailbox (delays, receipts, vacation notices).

    Of several recipients each is told by itself. Where none of them is the mailbox, it hands its mail on to them, and is lost only if
    all of them are.

    Raises Rejected for a person's own words: nobody reads this address.
    """
    kind = complaint(mail)
    if kind is not None:
        return None if kind.lower() in _NO_COMPLAINTS else Report(forum, token, kind)
    if not mail.automatic and dsn.said(mail) is None:
        raise Rejected(
            "5.7.1",
            _("this address only takes reports on mail that could not be delivered; write to {owners}").format(
                owners=f"{forum}-owner"
            ),
        )
    found = failures(mail)
    final = [failure for failure in found if not failure.delayed]
    if not final:
        return None
    each = _each(found, reached(mail))
    told = min(final, key=lambda failure: failure.badness)
    refusal = Refusal.OURS if any(one.refusal is None for one in each) else told.refusal
    return Bounce(forum, token, refusal, told.status, _short(told), each if len(each) > 1 else ())


def _each(found: list[Failure], arrived: list[str]) -> tuple[Undelivered, ...]:
    """What is said of each address; of one that is named twice the mildest, since it handed the mail on to several."""
    said = {}
    for one in sorted(found, key=lambda failure: (failure.delayed, -failure.badness)):
        refusal = None if one.delayed else one.refusal
        said[one.recipient] = Undelivered(one.recipient, refusal, one.status, _short(one))
    said |= {address: Undelivered(address, None) for address in arrived}
    return tuple(said.values())


def _short(failure: Failure) -> str:
    return fields.plain(failure.words, DIAGNOSTIC_CHARS)


def complaint(mail: Mail) -> str | None:
    """What kind of complaint it is, None for what is none."""
    for part in mail.tree:
        if part.media_type == _COMPLAINT:
            block = dsn.blocks(structure.content(mail.raw, part))[:1]
            kind = block[0].first("feedback-type") if block else b""
            return fields.plain(decode(kind, guess=False), DIAGNOSTIC_CHARS)
    # Outlook.com sends the message alone, with a field that tells who complained
    return "abuse" if notices.read(mail).returned.has("x-hmxmroriginalrecipient") else None


def reached(mail: Mail) -> list[str]:
    """Whom a report says that it reached."""
    return [one.address for one in dsn.said(mail) or [] if one.action in _ARRIVED]


def failures(mail: Mail) -> list[Failure]:
    """What a report or notice says of each recipient; those whom it reached are left out."""
    notice = notices.read(mail)
    said = dsn.said(mail) or dsn.said_in(notice.whole)
    if said:
        reached = [one for one in said if one.action in _ARRIVED]
        told = [one for one in said if one not in reached]
        named = [one.address for one in told]
        if not all(named) and len(told) == 1:
            named = notices.recipients(mail, notice)[0][:1] or named
        return [_of_report(one, name, notice, named) for one, name in zip(told, named, strict=True) if _is_said(one)]
    return _of_notice(mail, notice)


def _is_said(one: dsn.Said) -> bool:
    """Whether the report decides anything: an action that nobody knows needs a status that does."""
    return one.action.startswith(("fail", "error", "delayed", "expired")) or one.status.startswith("5.")


def _of_report(one: dsn.Said, recipient: str, notice: notices.Notice, named: list[str]) -> Failure:
    context = f"{notices.about(notice.words, recipient, named)} {notice.subject}"
    refusal = judge(one.status, one.words, context)
    status = one.status or code_in(one.words)
    return Failure(recipient, refusal, status, one.words, delayed=one.action == "delayed")


def _of_notice(mail: Mail, notice: notices.Notice) -> list[Failure]:
    """A notice in no known form counts where a mail system wrote it or its words say what was refused."""
    named, known = notices.recipients(mail, notice)
    known = known or _is_a_mail_system(mail)
    if not known and (_is_vacation(mail, notice.words) or not says_why(notice.words)):
        return []
    found = []
    for recipient in named or [""]:
        about = notices.about(notice.words, recipient, named)
        its_lines = [line for line in about.split("\n") if recipient and recipient in line.lower()]
        refusal = judge("", "\n".join(its_lines), f"{about} {notice.subject}")
        status = code_in("\n".join(its_lines)) or code_in(about)
        if status.startswith("2.") and not known:
            continue
        lines = [line.strip() for line in about.split("\n") if line.strip()]
        words = " ".join(lines if len(named) > 1 else lines[:FIRST_LINES])
        found.append(Failure(recipient, refusal, status, words, delayed=notices.is_delay(notice)))
    return found


def _is_a_mail_system(mail: Mail) -> bool:
    """Such notices call themselves "auto-replied" like a person's, and are told by their sender."""
    sender = split(mail.author.address)[0] if mail.author else "mailer-daemon"
    return sender in ("mailer-daemon", "postmaster") or mail.header.has("x-failed-recipients")


def _is_vacation(mail: Mail, words: str) -> bool:
    """A person's automatic answer. One without a mark names what it answers (RFC 3834 section 3.1.6), and no code."""
    marked = mail.answering or mail.header.has("x-auto-response-suppress") or mail.header.has("list-id")
    return marked or (bool(mail.parents) and not code_in(words))
