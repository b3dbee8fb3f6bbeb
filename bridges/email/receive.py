"""A read message and the address it came to become what the server is told. Pure.

What an address does is decided here, whether it may is decided at the desk.
"""

from __future__ import annotations

from dataclasses import replace

from bridges.email import bounces, commands, dkim_check, fields, headers, reply, spam
from bridges.email.addresses import OPERATOR, POST, Mailbox, normal, read_local, split
from bridges.email.authentication import Verdict
from bridges.email.body import Body
from bridges.email.mailboxes import mailboxes
from bridges.email.parse import Mail
from server import markup
from server.bridge import MESSAGE_ID, Act, Author, Inbound, Join, Leave, Letter, NewPost, Proof, Ref, Request
from server.errors import Rejected
from server.i18n import _

CHANNEL = "email"
ONCE = frozenset(
    ("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references")
) | {"content-type", "content-transfer-encoding"}
ADDRESS_FIELDS = 4  # To and Cc that are read; RFC 5322 section 3.6 allows one of each
WORDS_CHARS = 2_000  # of a wish to join, which moderators may read


def hangs_on_author(to: Mailbox) -> bool:
    """Whether it matters there who wrote: a token acts for what it was printed on, and the operator and owners hear everybody."""
    return to.function not in (OPERATOR, "owner", "bounces", "confirm", "mod") and not (
        to.function == "leave" and to.token
    )


def inbound(mail: Mail, to: Mailbox, verdict: Verdict, domain: str) -> Inbound | None:
    """What the message asks for; None for what is taken and dropped: a machine's mail to an address that acts or answers.

    Machines may post, where a forum allows it, and their letters reach the owners and the operator; RFC 3834 section 2 forbids to
    answer them, and what nobody wrote joins nobody. Raises Rejected.
    """
    if to.function == POST:
        _refuse_twofold(mail)
        return _post_or_habit(mail, to.slug, _author(mail, verdict))
    if to.function == "item":
        _refuse_twofold(mail)
        said = _post_or_habit(mail, to.slug, _author(mail, verdict))
        return replace(said, item=to.token) if isinstance(said, NewPost) else said
    if to.function == "bounces":
        return bounces.read(mail, to.slug, to.token or "")
    if to.function == OPERATOR:
        return _letter(mail, "operator", None, _author(mail, verdict, domain))
    if to.function == "owner":
        return _letter(mail, "owners", to.slug, _author(mail, verdict, domain))
    if to.function == "leave" and to.token:
        # mail programs press "unsubscribe" for people and say that they are machines: only an answer to us is not meant
        return None if mail.answering or mail.null_sender else Leave(to.slug, token=to.token)
    if mail.automatic:
        return None
    _refuse_twofold(mail)
    return _asked(mail, to, _sure_of(mail, to, _author(mail, verdict), domain))


def _refuse_twofold(mail: Mail) -> None:
    """Raise Rejected for a field that stands there twice (RFC 5322 section 3.6): a signature covers one, a reader shows the other."""
    _refuse_unclear(mail)
    seen: set[str] = set()
    for name, _value in mail.header.all:
        if name in ONCE and name in seen:
            raise Rejected(
                "5.6.0",
                _("the message has more than one {name} field; please send it again with one").format(
                    name=name.title()
                ),
            )
        seen.add(name)


def _refuse_unclear(mail: Mail) -> None:
    """Raise Rejected for a header that readers take apart differently, or end at different places (RFC 5322 section 2.2)."""
    head = mail.raw[: fields.cut(mail.raw)[0]]
    if head.count(b"\r") != head.count(b"\r\n") or b"\0" in head:
        raise Rejected("5.6.0", _("the header of the message holds a character that must not be there (CR or NUL)"))
    lines = head.replace(b"\r\n", b"\n").split(b"\n")
    if lines[0].startswith((b"From ", b">From ")):  # of an mbox; it is taken away
        del lines[0]
    for number, line in enumerate(lines):
        name = line.partition(b":")[0].rstrip(b" \t")
        folded = number > 0 and line[:1] in (b" ", b"\t")
        if line and not folded and (b":" not in line or not name or any(c <= 32 or c >= 127 for c in name)):
            raise Rejected("5.6.0", _("the header of the message has a line that is no field"))


def _sure_of(mail: Mail, to: Mailbox, author: Author, domain: str) -> Author:
    """What somebody sent elsewhere proves that they wrote it, not that they meant it for this address: anybody may hand it on.

    So To must name this address, and every signature must cover To.
    """
    head = headers.tidy(mail.raw[: fields.cut(mail.raw)[0]])
    sealed = all(b"to" in signature.names for signature in dkim_check.signatures(head))
    at = [split(named.address) for value in mail.header.values("to") for named in mailboxes(value)]
    meant = any(where == domain and read_local(local) == to for local, where in at)
    return author if sealed and meant else replace(author, proof=Proof.NONE)


def _post_or_habit(mail: Mail, forum: str, author: Author) -> NewPost | Request:
    """A post; but "unsubscribe" and its like, sent to everybody by habit, is a request."""
    body = mail.body()
    if not mail.automatic and (body.text is not None or len(body.html or "") < commands.READ_CHARS):
        wish = commands.habit(mail.subject or "", _words(body), forum)
        if wish is not None:
            return Request(forum, author, (wish,), ref=_ref(mail))
    return _post(mail, forum, author, body)


def old(mail: Mail, forum: str) -> NewPost:
    """A message of an archive as the post that it was then: whether a list or a machine sent it does not matter any more."""
    return replace(_post(mail, forum, _author(mail, Verdict()), mail.body()), automatic=False, handed_on=False)


def _asked(mail: Mail, to: Mailbox, author: Author) -> Inbound:
    """What a person asks one of a forum's functions."""
    if to.function == "join":
        return Join(to.slug, author, ref=_ref(mail), words=_words(mail.body())[:WORDS_CHARS])
    if to.function == "leave":
        return Leave(to.slug, author=author, ref=_ref(mail))
    if to.function == "confirm":
        if reply.declines(_words(mail.body())):
            raise Rejected(
                "5.7.0", _("your answer seems to say no, so nothing was done; to confirm, answer with the one word yes")
            )
        return Act(to.slug, author, "confirm", to.token, ref=_ref(mail), words=reply.first_words(_words(mail.body())))
    if to.function == "mod":
        return Act(to.slug, author, "mod", to.token, ref=_ref(mail), words=reply.first_words(_words(mail.body())))
    if to.function == "request":
        words = commands.found(mail.subject or "", _words(mail.body()), to.slug)
        return Request(to.slug, author, words, about=_parents(mail), ref=_ref(mail))
    if to.function == "via":
        return _letter(mail, "author", to.slug, author, to.token)
    raise Rejected("5.1.1", _("this address takes no mail"))


def _author(mail: Mail, verdict: Verdict, domain: str | None = None) -> Author:
    """The first of From. Delivery reports often have no usable one: where `domain` is given, they are the mail system's."""
    if mail.author is not None:
        return Author(CHANNEL, mail.author.address, mail.author.name, verdict.proof, verdict.doubt)
    if domain is not None and mail.automatic:
        return Author(CHANNEL, normal(f"mailer-daemon@{domain}") or "", "Mail system")
    raise Rejected("5.6.0", _("the message has no usable From address, so nobody could be named as its author"))


def _ref(mail: Mail) -> Ref:
    return Ref(MESSAGE_ID, mail.message_id)


def _parents(mail: Mail) -> tuple[Ref, ...]:
    return tuple(Ref(MESSAGE_ID, one) for one in mail.parents if one != mail.message_id)


def _post(mail: Mail, forum: str, author: Author, body: Body | None = None) -> NewPost:
    if mail.tree[0].media_type == "message/partial":  # RFC 2046 section 5.2.2: pieces that a reader would have to join
        raise Rejected("5.6.1", _("the message is one piece of a larger one; please send it whole"))
    body = body or mail.body()
    return NewPost(
        forum=forum,
        author=author,
        refs=(_ref(mail),),
        parents=_parents(mail),
        subject=mail.subject,
        text=body.text,
        html=body.html,
        attachments=body.attachments,
        original=mail.raw,
        written_at=mail.written_at,
        automatic=mail.automatic,
        answering=mail.answering,
        addressed=_addressed(mail),
        handed_on=not _names(mail, forum),
        spam=spam.marked(mail.header),
    )


def _names(mail: Mail, forum: str) -> bool:
    """Whether To or Cc name the forum, at whatever domain: it may have moved. A mail to somebody else is not meant for everybody."""
    meant = (read_local(split(address)[0]) for address in _addressed(mail))
    return any(mailbox is not None and mailbox.slug == forum for mailbox in meant)


def _addressed(mail: Mail) -> tuple[str, ...]:
    """Everybody whom To and Cc name, each once."""
    fields = [*mail.header.values("to"), *mail.header.values("cc")]
    return tuple(dict.fromkeys(named.address for value in fields[:ADDRESS_FIELDS] for named in mailboxes(value)))


def _letter(mail: Mail, to: str, forum: str | None, author: Author, token: str | None = None) -> Letter:
    body = mail.body()
    return Letter(
        to=to,
        author=author,
        forum=forum,
        token=token,
        subject=mail.subject or "",
        text=_words(body),
        original=mail.raw,
        ref=_ref(mail),
        automatic=mail.automatic,
    )


def _words(body: Body) -> str:
    """The text, or the words of a mail that has only HTML; who reads a letter has the original too."""
    if body.text is not None or not body.html:
        return body.text or ""
    return markup.words(body.html)
