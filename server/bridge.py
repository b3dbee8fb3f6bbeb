"""THE PORT: what a bridge may say to the server and what the server says to a bridge. No I/O, no rules, no bridge by name.

A bridge is a folder under `bridges/` whose package offers two names:

* `Settings`: a pydantic model, its section of `junto.toml`; each field has a default and a description;
* `create(house, settings) -> Bridge | None`: None when the settings turn it off.

It imports this file and the ground (`config errors log metrics clock limits tokens i18n render`), nothing else of the server.
It hears (`run`, handing what came to `house.accept`) and says (`deliver`). What it raises in `run` is `Rejected` or `Deferred`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol, TypeVar, runtime_checkable

MESSAGE_ID = "message-id"
"""The name space of Refs that are RFC 5322 Message-IDs, with their angle brackets. Others are named after the bridge."""

WEB = "web"
"""The channel of what is written on our own pages; every other channel is a bridge's name."""

T = TypeVar("T")


# What both directions share -------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Ref:
    """A foreign name of a post. One post may be several events: `part` counts them from 0."""

    space: str
    name: str
    part: int = 0


class Proof(IntEnum):
    """How sure we are that the author is who they say (DESIGN: a claimed sender is a claim)."""

    NONE = 0
    AUTHENTICATED = 1
    SESSION = 2
    HOMESERVER = 3


@dataclass(frozen=True, slots=True)
class Author:
    """Who says something, as the channel tells it. `address` is normalised by the bridge; `name` is plain text, may be ''."""

    channel: str
    address: str
    name: str = ""
    proof: Proof = Proof.NONE


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a post. `content_id` (no brackets) is how its HTML names it, if it does."""

    filename: str
    media_type: str
    data: bytes
    content_id: str | None = None
    inline: bool = False


# Hear: Inbound --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class NewPost:
    """A post by somebody. `refs` are its own names, `parents` what it answers, nearest first. At least one of text and html.

    Inline pictures in `html` are named `cid:CONTENT-ID`. `written_at` is what the author's message claims. `automatic`: a
    machine wrote it (RFC 3834): it is refused. `gather`: one of a burst of short messages, which the desk may append to the
    author's post before it while that is not yet due.
    """

    forum: str
    author: Author
    refs: tuple[Ref, ...]
    parents: tuple[Ref, ...] = ()
    subject: str | None = None
    text: str | None = None
    html: str | None = None
    text_format: str = "plain"  # or "markdown"
    attachments: tuple[Attachment, ...] = ()
    original: bytes | None = None
    written_at: int | None = None
    automatic: bool = False
    gather: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """The author (or a moderator) replaced the post named `target`; `ref` is the edit's own name."""

    forum: str
    author: Author
    target: Ref
    ref: Ref
    text: str | None = None
    html: str | None = None
    text_format: str = "plain"
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class Retract:
    """The author (or a moderator) took the post, or the part of it, named `target` back."""

    forum: str
    author: Author
    target: Ref


@dataclass(frozen=True, slots=True)
class Reaction:
    """One sign (`key`, an emoji) on the post named `target`; `removed` takes it away again."""

    forum: str
    author: Author
    target: Ref
    ref: Ref | None = None
    key: str = ""
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """Somebody wants to be a member. Without proof a confirmation is sent to the address first. `mode`: None, the usual."""

    forum: str
    author: Author
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody wants out: by `token` (acts at once) or by `author` (without proof a confirmation is sent first)."""

    forum: str
    author: Author | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail to the subscription behind `token` did not arrive. `status` is RFC 3463, `diagnostic` the far side's words."""

    forum: str
    token: str
    permanent: bool
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A complaint about mail to the subscription behind `token` (RFC 5965)."""

    forum: str
    token: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """Private words to somebody behind an address of ours. `to`: "author" (with `token`), "owners", or "operator".

    `forum` is None only for the operator. `original` is what came, byte for byte.
    """

    to: str
    author: Author
    forum: str | None = None
    token: str | None = None
    subject: str = ""
    text: str = ""
    original: bytes | None = None
    ref: Ref | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """A word of a member or a moderator: the bridge finds the verb and the token, the server runs it.

    Verbs: "confirm" (with token), "help". Unknown verbs are answered with the help.
    """

    forum: str
    author: Author
    verb: str
    token: str | None = None
    ref: Ref | None = None
    automatic: bool = False


Inbound = NewPost | Edit | Retract | Reaction | Join | Leave | Bounce | Report | Letter | Act


@dataclass(frozen=True, slots=True)
class Accepted:
    """It is stored for good. `post` is "FORUM/N" if it became, changed or names a post; `reply` a sentence for its sender."""

    post: str | None = None
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """We have it already; nothing was done. `post` as in Accepted."""

    post: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """It is stored and waits for a decision under the name H-xxxx."""

    name: str
    reply: str = ""


Result = Accepted | Duplicate | Held


# Say: Outbound --------------------------------------------------------------------------------------------------------
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


@dataclass(frozen=True, slots=True)
class Writer:
    """An author as shown: an opaque stable `key` and a plain `name`. Never an address; `via` is the token of their -via address."""

    key: str
    name: str
    via: str | None = None


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

    `reply`: (verb, token) if an answer to this notice means something, for example ("confirm", TOKEN). `in_reply_to`: Message-IDs.
    """

    id: int
    forum: Forum | None
    subject: str
    text: str
    message_id: str
    language: str = "en"
    reply: tuple[str, str] | None = None
    in_reply_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StateItem:
    """A forum is new or its settings changed: make or mend what stands for it on your side (a room, a space), idempotently.

    Its one target has the address "". Once there is a room, hand it to `house.attach`.
    """

    forum: Forum


Outbound = PostItem | EditItem | RetractionItem | ReactionItem | LetterItem | NoticeItem | StateItem


@dataclass(frozen=True, slots=True)
class Target:
    """One receiver of a lot. `attempt` counts from 1. `tokens`: printed tokens of its subscription ("leave", "bounces")."""

    delivery: int
    attempt: int
    address: str
    tokens: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lot:
    """One item for many targets, so that a bridge may pipeline. `key` is the same at every attempt of the same item."""

    item: Outbound
    targets: Sequence[Target]
    key: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The far side took responsibility; `refs` are the names it gave the item."""

    refs: tuple[Ref, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Temporary; `after_ms` overrides the backoff when the far side said when. `down`: the whole channel is away, not this target."""

    detail: str
    code: str = ""
    after_ms: int | None = None
    down: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """Permanent: never tried again."""

    detail: str
    code: str = ""


Outcome = Sent | Later | Failed
Settle = Callable[[Target, Outcome], None]
"""Called once for each target, as answers come; never blocks. A target without an answer when `deliver` returns is tried again."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What a bridge is like. `backoff_ms[i]` is the pause after attempt i+1 (the last one repeats until `give_up_ms`)."""

    channel: str
    takes_back: (
        bool  # can edit and retract what it sent: settle time does not bind it, edits and retractions are booked for it
    )
    ordered: bool  # per thread and target, one after another
    tends: bool  # gets StateItems
    backoff_ms: tuple[int, ...]
    give_up_ms: int
    batch: int = 100  # targets in one claim
    lease_ms: int = 300_000  # longer than the transport's whole timeout for one lot


class Bridge(Protocol):
    """The two verbs and the start. `prepare` makes keys and registrations (at init and every start; works offline)."""

    traits: Traits

    async def prepare(self) -> None: ...

    async def run(self) -> None:
        """Hear until cancelled. Called once, after `prepare`. An outage of the far side is waited out inside, never raised."""

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """Say one item to many targets."""


# Optional abilities: a bridge has them or not ---------------------------------------------------------------------------
@runtime_checkable
class Claims(Protocol):
    def claims(self, address: str) -> str | None:
        """The address normalised if it is one of this bridge's people ("ana@x.org", "@ana:x.org"), else None."""


@runtime_checkable
class ForumDefaults(Protocol):
    def forum_defaults(self) -> Mapping[str, str]:
        """Column values of a new forum that this bridge knows, for example its mail domain."""


@runtime_checkable
class Source(Protocol):
    def source(self, post: Post) -> bytes:
        """The post as an RFC 5322 message, for raw and mbox of posts born elsewhere."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to take part by a channel: `label` is for people ("Reply by mail"), `url` what it links to, `shown` a short name of it."""

    label: str
    url: str
    shown: str = ""


@runtime_checkable
class Ways(Protocol):
    def ways(self, forum: Forum, post: Post | None) -> Sequence[Way]:
        """How to answer `post`, or to write to the forum, by this channel. No network."""


@dataclass(frozen=True, slots=True)
class Health:
    """`ok`, or one sentence on what is wrong."""

    ok: bool
    detail: str = ""


@runtime_checkable
class Commands(Protocol):
    def commands(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        """Subcommands of `junto NAME-OF-THE-BRIDGE …`: each answers a text to print. Called without a running server."""


# What the server gives a bridge -----------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Kept:
    """A row of the inbox: something a bridge stored before it answered."""

    id: int
    name: str
    data: bytes
    attempts: int


class Rows(Protocol):
    """A bridge's own rows inside one transaction: the inbox (stored before the answer) and small facts by kind and key."""

    def keep(self, name: str, data: bytes) -> bool:
        """Store `data` under `name`; False if that name is known already, and nothing changes."""

    def take(self, limit: int) -> list[Kept]:
        """The oldest new rows, in order of arrival; they stay new until `done` or `quarantine`."""

    def done(self, row: int) -> None: ...

    def again(self, row: int, error: str) -> None:
        """Count one more failed try; the row stays new."""

    def quarantine(self, row: int, error: str) -> None:
        """Keep the bytes aside for a person; never tried again by itself."""

    def get(self, kind: str, key: str) -> str | None: ...

    def put(self, kind: str, key: str, value: str) -> None: ...

    def drop(self, kind: str, key: str) -> None: ...


class House(Protocol):
    """What the server gives a bridge. Every coroutine may raise `Deferred` when the database is away."""

    root: str  # the directory that relative paths of the configuration are relative to
    data_dir: str
    base_url: str

    async def accept(self, inbound: Inbound) -> Result:
        """The one door in: returns after the commit. Raises `Rejected` (permanent) or `Deferred` (come again)."""

    async def knows(self, slug: str) -> Forum | None:
        """The forum of that name, if there is one (for RCPT: says nothing of who may post)."""

    async def forum_of(self, address: str) -> Forum | None:
        """The forum whose posts go to this room address of the calling bridge."""

    async def attach(self, forum: str, address: str) -> None:
        """This address (a room) of the calling bridge gets the forum's posts from now on; those it missed are booked too."""

    async def known(self, forum: str, ref: Ref) -> bool:
        """Whether a post of the forum has this name."""

    async def write(self, work: Callable[[Rows], T]) -> T:
        """Run `work` in one transaction over the bridge's own rows; returns after the commit."""

    async def blob(self, hash: str) -> bytes:
        """The bytes of a stored attachment. Raises NotFound."""

    def url(self, path: str) -> str:
        """The public address of a path of ours ("/f/x/1")."""

    def nudge(self) -> None:
        """The far side is back: try what waits for this bridge now instead of at its backoff."""

    def report(self, ok: bool, detail: str = "") -> None:
        """Tell /healthz how the far side is."""
