"""A post as mail: passed through where it came by mail, made where it was born elsewhere. Pure; no I/O.

One item is composed once for all its receivers: `Mail` holds the bytes before and after the few lines that differ, so that a
copy costs microseconds. A received body is never changed but by `decoration`, where the forum wants it. Of its header nothing is
touched that a signature of the author's domain covers and that could be kept (`Passage`); else what `_leaves_out` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import quote

from bridges.email import authres, decoration, headers, identification, item_replies, mime
from bridges.email.content import content
from bridges.email.headers import CRLF, bracketed, list_id, mailbox, message_ids, structured, unstructured
from server import subjects
from server.bridge import Forum, Post, Target
from server.i18n import _

REFERENCES_SENT = 60  # ids in a field that we write: the first one and the last ones (RFC 5322 section 3.6.4)

LIST_FIELDS = frozenset(  # RFC 2369, RFC 2919, RFC 8058
    f"list-{name}".encode()
    for name in ("id", "help", "post", "owner", "archive", "subscribe", "unsubscribe", "unsubscribe-post")
)
RECEIPTS = frozenset(  # who asks for a receipt would learn every member's address (RFC 8098 section 2.1)
    (b"disposition-notification-to", b"disposition-notification-options", b"return-receipt-to", b"x-confirm-reading-to")
)
TRACE = frozenset((b"return-path", b"delivered-to", b"bcc"))  # of the way to us; Delivered-To would look like a loop
OURS = frozenset((b"archived-at",))
PARENTS = (b"in-reply-to", b"references")
TELLS_NOTHING = frozenset(
    (b"date", b"subject", b"message-id", b"mime-version", b"auto-submitted", b"precedence", *PARENTS)
)
MUST = frozenset((b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"))
"""What we change whatever is signed: whose list this is, and how to leave it. A signature that covers one of them is broken."""


@dataclass(frozen=True, slots=True)
class Passage:
    """How a received message goes on. `promised`: names (lower case) that are neither taken away nor added, for a signature covers them
    (RFC 6376 section 5.4.2: also absent ones). `rewrite`: From becomes the author's -via address. `impersonated`: ids of
    Authentication-Results that are ours and so nobody's to bring along (RFC 8601 section 5).
    """

    rewrite: bool = False
    promised: frozenset[bytes] = frozenset()
    impersonated: frozenset[str] = frozenset()


AS_IT_IS = Passage()


@dataclass(frozen=True, slots=True)
class Mail:
    """One item for many receivers. A copy is `head`, the receiver's own `lines`, and `tail`; every line of it ends in CRLF.

    `envelope` answers the envelope sender for a receiver, "" for the null sender (RFC 5321 section 4.5.5).
    """

    head: bytes
    tail: bytes
    lines: Callable[[Target], bytes]
    envelope: Callable[[Target], str]

    def copy(self, target: Target) -> bytes:
        """The whole message for one receiver."""
        return self.head + self.lines(target) + self.tail


def address(forum: Forum, function: str = "", token: str | None = None) -> str:
    """An address of the forum: its own, or that of one of its functions."""
    return forum.slug + (f"-{function}" if function else "") + (f"+{token}" if token else "") + f"@{forum.mail_domain}"


def date(milliseconds: int) -> str:
    """RFC 5322 section 3.3, in UTC."""
    return format_datetime(datetime.fromtimestamp(milliseconds / 1000, UTC))


def reply_subject(post: Post) -> str:
    """The subject of the thread, with "Re: " where the post answers; a change of it would split the thread in mail programs."""
    return post.subject if post.opens_thread else subjects.answering(post.subject)


def bounces(forum: Forum) -> Callable[[Target], str]:
    """The envelope sender: one for each subscription and always the same, so that greylisting knows it."""
    before, after = f"{forum.slug}-bounces+", f"@{forum.mail_domain}"

    def sender(target: Target) -> str:
        token = target.tokens.get("bounces")
        return before + token + after if token else ""

    return sender


def ways_out(forum: Forum, leave_url: str) -> Callable[[Target], bytes]:
    """The receiver's own lines: List-Unsubscribe with their token, and one-click for it.

    One-click is for https only (RFC 8058 section 3.1): a promise that mail programs would not keep says nothing.
    """
    one_click = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" if leave_url.startswith("https://") else ""
    before = f"List-Unsubscribe: <{headers.safe(leave_url)}".encode()
    between = f">,\r\n <mailto:{forum.slug}-leave+".encode()
    after = f"@{forum.mail_domain}>\r\n{one_click}".encode()
    without = bracketed("List-Unsubscribe", f"mailto:{address(forum, 'leave')}")

    def lines(target: Target) -> bytes:
        token = target.tokens.get("leave")
        if not token:
            return without
        letters = headers.safe(token).encode()
        return b"".join((before, letters, between, letters, after))

    return lines


def ways_to_mute(post: Post, mute_url: str) -> Callable[[Target], bytes]:
    """A field of ours, for want of a standard one: the receiver's link to mute this thread, and the mail that asks the same."""
    if not mute_url:
        return lambda _target: b""
    before = f"X-Junto-Mute: <{headers.safe(mute_url)}".encode()
    after = f"/{post.number}>,\r\n <mailto:{address(post.forum, 'request')}?subject=mute%20{post.number}>\r\n".encode()

    def lines(target: Target) -> bytes:
        token = target.tokens.get("mute")
        return before + headers.safe(token).encode() + after if token else b""

    return lines


def list_fields(post: Post) -> bytes:
    """The fields that say which forum and which post this is (RFC 2369, 2919, 5064)."""
    return b"".join(
        (
            forum_fields(post.forum),
            bracketed("Archived-At", post.url),
            structured("X-Junto-Channel", [quote(post.channel)]),
        )
    )


def forum_fields(forum: Forum) -> bytes:
    """The fields that say which forum this is (RFC 2369, 2919)."""
    closed = forum.post_policy == "moderators"
    mailto = {name: f"mailto:{address(forum, name)}" for name in ("", "request", "owner", "join")}
    return b"".join(
        (
            list_id(forum.title, forum.slug, forum.mail_domain),
            # RFC 2369 section 3.4
            structured("List-Post", ["NO"]) if closed else bracketed("List-Post", mailto[""]),
            bracketed("List-Help", f"{mailto['request']}?subject=help"),
            bracketed("List-Owner", mailto["owner"]),
            bracketed("List-Archive", forum.url),
            bracketed("List-Subscribe", mailto["join"]),
        )
    )


def author(post: Post, shown: str) -> bytes:
    """From, with an address that reaches the author by us."""
    via = post.writer.via
    return mailbox("From", address(post.forum, "via", via) if via else address(post.forum), shown)


def to_forum(field: str, forum: Forum) -> bytes:
    return mailbox(field, address(forum), forum.title)


def compose(
    post: Post, blobs: Mapping[str, bytes], leave_url: str, passage: Passage = AS_IT_IS, mute_url: str = ""
) -> Mail:
    """The post for its receivers. Both URLs are ours, up to the token; `blobs` are the files of `content.embedded`."""
    head, tail = _passed_through(post, passage) if post.original is not None else _made(post, blobs)
    leave, mute = ways_out(post.forum, leave_url), ways_to_mute(post, mute_url)
    return Mail(head, tail, lambda target: leave(target) + mute(target), bounces(post.forum))


# Made here ------------------------------------------------------------------------------------------------------------
def threading(post: Post) -> bytes:
    """Message-ID, In-Reply-To and References (RFC 5322 section 3.6.4).

    The post's own id stands last in its References: a relay that gives messages new ids (some do) leaves these, so that answers,
    which copy them, still name the post.
    """
    return (
        message_ids("Message-ID", [post.message_id])
        + (message_ids("In-Reply-To", post.references[-1:]))
        + message_ids("References", _shortened([*post.references, post.message_id]))
    )


def _shortened(chain: Sequence[str]) -> Sequence[str]:
    """The first id and the last ones."""
    return chain if len(chain) <= REFERENCES_SENT else [chain[0], *chain[1 - REFERENCES_SENT :]]


def _made(post: Post, blobs: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    forum = post.forum
    part = content(post, blobs)
    if forum.footer:
        part = mime.multipart("mixed", [part, mime.text(forum.footer)])
    tail = [
        structured("Auto-Submitted", ["auto-generated"]) if post.automatic else b"",  # RFC 3834 section 5
        author(post, post.writer.name or _("A member")),
        to_forum("To", forum),
        to_forum("Reply-To", forum) if forum.reply_to == "list" else b"",
        unstructured("Subject", decoration.titled(reply_subject(post), forum.subject_prefix)),
        structured("Date", [date(post.written_at)]),
        threading(post),
        structured("MIME-Version", ["1.0"]),
        part.head,
        CRLF,
        part.body,
    ]
    return list_fields(post) + structured("Precedence", ["list"]), b"".join(tail)


# Passed through -------------------------------------------------------------------------------------------------------
def _leaves_out(field: bytes, passage: Passage) -> bool:
    """Which fields of a received message do not go on. RFC 2369 section 4: the List- fields of another list go."""
    found = headers.name(field)
    if found in MUST:
        return True
    if found in passage.promised:
        return False
    if found in LIST_FIELDS or found in RECEIPTS or found in TRACE or found in OURS or found.startswith(b"x-junto-"):
        return True
    return found == authres.NAME and authres.id_of(field) in passage.impersonated


def _passed_through(post: Post, passage: Passage) -> tuple[bytes, bytes]:
    """The author's message. No Sender is added: mail programs would show it beside the author ("on behalf of")."""
    section, _gap, body = headers.cut(decoration.message(post))
    kept = [field for field in item_replies.for_all(post, headers.tidy(section)) if not _leaves_out(field, passage)]
    prefix = post.forum.subject_prefix
    if prefix:
        kept = [decoration.prefixed(field, prefix) if headers.name(field) == b"subject" else field for field in kept]
    ours = headers.split(list_fields(post))
    if passage.rewrite:
        kept, new = _rewritten(post, kept)
        ours += new
    ours += _missing(post, passage, kept)
    free = [field for field in ours if headers.name(field) in MUST or headers.name(field) not in passage.promised]
    return b"".join(free), b"".join((*kept, CRLF, headers.mended(body)))


def _missing(post: Post, passage: Passage, kept: list[bytes]) -> list[bytes]:
    """Fields that every copy should have and that this message lacks."""
    present = {headers.name(field) for field in kept}
    new = []
    if b"precedence" not in present:
        new.append(structured("Precedence", ["list"]))
    if b"reply-to" not in present and post.forum.reply_to == "list":
        new.append(to_forum("Reply-To", post.forum))
    # the id may be one that another post had before: answers to it would go there
    named = b"message-id" in passage.promised or any(
        post.message_id in identification.ids(headers.body(field)) for field in headers.named(kept, b"message-id")
    )
    if not named:
        kept[:] = headers.without(kept, (b"message-id",))
        new.append(message_ids("Message-ID", [post.message_id]))
    if b"date" not in present:
        new.append(structured("Date", [date(post.written_at)]))
    if passage.promised.isdisjoint(PARENTS) and not _names_parent(post, kept):
        kept[:] = headers.without(kept, PARENTS)
        new += [
            message_ids("In-Reply-To", post.references[-1:]),
            message_ids("References", _shortened(post.references)),
        ]
    return new


def _names_parent(post: Post, fields: Sequence[bytes]) -> bool:
    """Whether the message says what it answers. Who answers an item of a digest often has a program that cannot."""
    named = [body for each in PARENTS for field in headers.named(fields, each) for body in [headers.body(field)]]
    return not post.references or any(post.references[-1] in identification.ids(body) for body in named)


def _rewritten(post: Post, kept: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """The fields without From, and the From that takes its place; of an author who hides, no field that holds their address."""
    name, title = post.writer.name or _("A member"), post.forum.title
    new = [author(post, _("{name} via {forum}").format(name=name, forum=title))]
    if post.writer.hidden:
        # An address can be spelled in too many ways to be looked for, so only what says nothing of its author goes along.
        kept = [
            field
            for field in kept
            if headers.name(field).startswith(b"content-") or headers.name(field) in TELLS_NOTHING
        ]
        new.append(to_forum("To", post.forum))
    return headers.without(kept, (b"from", b"sender")), new
