"""What the server says to a bridge: the item, ready to be mapped to a dialect."""

from __future__ import annotations

from dataclasses import dataclass

from server.bridge.shared import Ref


@dataclass(frozen=True, slots=True)
class Community:
    slug: str
    name: str
    url: str


@dataclass(frozen=True, slots=True)
class Forum:
    """What anybody may know of a forum who may know that it exists. Sizes in bytes, `settle_ms` in milliseconds."""

    id: int
    slug: str
    title: str
    mail_domain: str
    community: Community
    visibility: str
    join_policy: str
    post_policy: str
    reply_to: str
    room_messages: str
    federate: bool
    settle_ms: int
    max_size: int
    state: str
    subject_prefix: str
    url: str
    footer: str = ""
    plain_replies: bool = False  # answers in the room are no threads
    link_over: int = 0  # bytes of an attachment, above which mail has a link instead; 0: never


@dataclass(frozen=True, slots=True)
class Writer:
    """An author as shown: an opaque stable `key` and a plain `name`. Never an address; `via` is the token of their -via address.

    `hidden`: they (or the forum) want their own address on no copy of what they wrote.
    """

    key: str
    name: str
    via: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class File:
    """A stored attachment; `url` is its page on our own web server, `hash` its name in the blob directory."""

    hash: str
    filename: str
    media_type: str
    size: int
    url: str
    content_id: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """A post, ready to be mapped to a dialect.

    `html` is sanitised, its pictures are `blob:HASH`; `fresh_*` have quotes and signature folded away. `refs`, `parent_refs`, `root_refs`
    are names of the post, its parent and its thread's root in the name space of the bridge that is handed this.
    `references`: Message-IDs from the root to the parent (RFC 5322 section 3.6.4). `original`: the received bytes if the post was born
    on the channel of the bridge that is handed this. `number` is N of FORUM/N.
    """

    id: int
    forum: Forum
    number: int
    url: str
    message_id: str
    channel: str
    writer: Writer
    subject: str
    text: str
    html: str
    fresh_text: str
    fresh_html: str
    files: tuple[File, ...]
    written_at: int
    revision: int = 0
    opens_thread: bool = False
    references: tuple[str, ...] = ()
    refs: tuple[Ref, ...] = ()
    parent_refs: tuple[Ref, ...] = ()
    root_refs: tuple[Ref, ...] = ()
    original: bytes | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class PostItem:
    post: Post


@dataclass(frozen=True, slots=True)
class EditItem:
    """The post as it is now; `post.revision` grows with each edit."""

    post: Post


@dataclass(frozen=True, slots=True)
class RetractionItem:
    """The post is gone: `post.refs` are the names to take back; its text is empty."""

    post: Post


@dataclass(frozen=True, slots=True)
class ReactionItem:
    post: Post
    writer: Writer
    key: str
    removed: bool


@dataclass(frozen=True, slots=True)
class LetterItem:
    """Private words from a person, sent on without showing either address.

    `reply_via`: token of the sender's own -via address, so that an answer finds its way; None: to a role (owners, operator) and the
    sender's address stands in `reply_address`. `original` are the bytes as they came, where they came by this channel.
    """

    id: int
    forum: Forum | None
    writer: Writer
    subject: str
    text: str
    message_id: str
    to: str  # author | owners | operator
    reply_via: str | None = None
    reply_address: str | None = None
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """Words of the server itself (a sign-in link, a confirmation, help), already in the reader's language.

    `reply`: (verb, token) if an answer to this notice means something, for example ("confirm", TOKEN), or ("request", "").
    `in_reply_to`: Message-IDs.
    """

    id: int
    forum: Forum | None
    subject: str
    text: str
    message_id: str
    language: str = "en"
    reply: tuple[str, str] | None = None
    in_reply_to: tuple[str, ...] = ()
    enclosed: tuple[bytes, ...] = ()  # messages that it is about, as they came (RFC 5322)


@dataclass(frozen=True, slots=True)
class CorrectionItem:
    """An edit that its author or a moderator wants told where it cannot be shown: what the words were, and (in `post`) are now."""

    post: Post
    message_id: str
    before: str


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """One post of a digest; `reply` is the token of the address that answers it.

    `thread` is the same number for posts of one thread, `topic` its subject; `answers`: whom the post answers, by name.
    """

    post: Post
    reply: str
    thread: int = 0
    topic: str = ""
    answers: str = ""


@dataclass(frozen=True, slots=True)
class DigestItem:
    """What was new in a forum, frozen when it was booked: the same at every attempt. Entries of one thread stand together.

    Times are read in `timezone` (IANA). `reply` is the token of the address that answers the digest as a whole: its reader is asked
    which post they mean.
    """

    id: int
    forum: Forum
    message_id: str
    created_at: int
    entries: tuple[DigestEntry, ...]
    language: str = "en"
    timezone: str = "UTC"
    subject: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True)
class DecisionItem:
    """A post that was seen in a room while it waited under the name H-xxxx waits no longer: take its mark away, or (not approved) the
    post. `refs` are its names in the room."""

    forum: Forum
    name: str
    refs: tuple[Ref, ...]
    approved: bool


@dataclass(frozen=True, slots=True)
class QueueItem:
    """Something waits for those who look after a forum, or (`decided`, a sentence) did: show it where they meet, and change it there.

    Its one target has the address "". `name` is what `Decide` means it by. `kind`: "post", that is held; "report", of a post that is
    published; "entry", of somebody who asks to be let in. `url` is "" where only a private link leads to it.
    """

    forum: Forum
    name: str
    kind: str
    writer_name: str
    subject: str
    text: str
    reason: str
    url: str = ""
    decided: str = ""


@dataclass(frozen=True, slots=True)
class StateItem:
    """A forum is new, or its settings or members changed: make or mend what stands for it on your side (a room, a space), idempotently.

    Its one target has the address "". Once there is a room, hand it to `house.attach`, which says whether it must stay closed yet.
    Who has which place in it is told by addresses of the channel of the bridge that is handed this: owners, moderators; members, where
    not everybody comes in by themselves, and who asked to be one; who is shut out, and who may read and not write.
    """

    forum: Forum
    owners: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    asking: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    muted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberItem:
    """Somebody whose posts went to the room is called otherwise now, or is a member no more (`here`), or again.

    `writer.name` is what they are called from now on, also where they are nobody's member any more.
    """

    forum: Forum
    writer: Writer
    here: bool


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """What was said before the room was there: the next posts, in the order to say them in, with the times they were written at.

    Say `house.told_before` after each: a lot that is tried again begins with the first one that was not. A post knows the names of those in
    the same lot only by what you said yourself. Its room is closed until a StateItem comes after the last lot. May be empty.
    """

    id: int
    forum: Forum
    posts: tuple[Post, ...]


Outbound = (
    PostItem
    | EditItem
    | RetractionItem
    | ReactionItem
    | CorrectionItem
    | LetterItem
    | NoticeItem
    | DigestItem
    | DecisionItem
    | HistoryItem
    | QueueItem
    | StateItem
    | MemberItem
)
