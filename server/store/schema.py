"""The tables, for both engines. Only tables: no statements, no engine, no rules.

Every `_at` is milliseconds since the epoch, UTC. Every `channel` is a bridge's name or "web". JSON is text, written and read by
the one module that owns the table (a test holds that each table has one writer).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = BigInteger().with_variant(Integer, "sqlite")  # SQLite autoincrements only INTEGER PRIMARY KEY


def _id() -> Column[int]:
    return Column("id", Id, primary_key=True, autoincrement=True)


def _to(target: str, name: str, null: bool = False, index: bool = False) -> Column[int]:
    return Column(name, Id, ForeignKey(f"{target}.id"), nullable=null, index=index)


def _flag(name: str, default: bool) -> Column[bool]:
    return Column(name, Boolean, nullable=False, default=default, server_default=text("true" if default else "false"))


def _words(name: str, default: str, kind: TypeEngine[str] | None = None) -> Column[str]:
    return Column(name, kind or String, nullable=False, default=default, server_default=default)


def _number(name: str, default: int = 0) -> Column[int]:
    return Column(name, BigInteger, nullable=False, default=default, server_default=str(default))


# Places ---------------------------------------------------------------------------------------------------------------
slugs = Table(  # one name space for communities and forums
    "slugs", metadata, Column("slug", String, primary_key=True), Column("kind", String, nullable=False)
)
communities = Table(
    "communities",
    metadata,
    _id(),
    Column("slug", String, ForeignKey("slugs.slug"), nullable=False, unique=True),
    Column("name", String, nullable=False),
    _words("purpose", "", Text()),
    _number("created_at"),
)
forums = Table(
    "forums",
    metadata,
    _id(),
    _to("communities", "community_id", index=True),
    Column("slug", String, ForeignKey("slugs.slug"), nullable=False, unique=True),
    Column("title", String, nullable=False),
    Column("mail_domain", String, nullable=False),
    _words("visibility", "public"),  # public | members
    _words("join_policy", "open"),  # open | approval | invite
    _words("post_policy", "members"),  # members | anyone | moderators
    _flag("federate", True),
    _number("settle_ms", 120_000),
    _words("room_messages", "conversation"),  # conversation | topics | threads-only
    _flag("plain_replies", False),  # answers in a room without threads, for programs that show none
    _words("reply_to", "list"),  # list | author
    _flag("hide_addresses", False),
    _words("subject_prefix", ""),
    _words("footer", "", Text()),
    _number("max_size", 25 * 1024 * 1024),
    _number("max_recipients", 20),  # mailboxes that To and Cc of a post may name; 0: any number
    _number("link_over", 0),  # bytes; a larger attachment leaves the mail as a link; 0: never
    _words("refused_types", ""),  # media types and file endings, by spaces
    _words("proof_policy", "usual"),  # usual | strict | lax: what becomes of a post that nothing proves
    _words("strangers", "confirm"),  # confirm | hold | refuse: what becomes of a non-member's post
    _words("first_post", "post"),  # post | hold
    _flag("hold_all", False),  # emergency: every post waits for a moderator
    _words("machines", "", Text()),  # addresses of machines that may post, by spaces
    _words("state", "open"),  # open | closed
    Column("fuse_reason", String),  # set: the forum's queue is held, and why
    _number("last_seq"),
    _number("modseq"),
    _number("created_at"),
)
changes = Table(  # what changed since N: the one source of cursors
    "changes",
    metadata,
    Column("forum_id", Id, ForeignKey("forums.id"), primary_key=True),
    Column("modseq", BigInteger, primary_key=True),
    Column("kind", String, nullable=False),  # post | edit | retraction | reaction | thread | forum | member
    Column("thing_id", Id, nullable=False),
    _number("at"),
)

# People ---------------------------------------------------------------------------------------------------------------
people = Table(
    "people",
    metadata,
    _id(),
    Column("key", String, nullable=False, unique=True),  # opaque, may be shown anywhere
    _words("name", ""),
    _words("language", "en"),
    _words("timezone", "UTC"),
    Column("merged_into", Id, ForeignKey("people.id")),
    Column("erased_at", BigInteger),
    _number("created_at"),
)
addresses = Table(  # where somebody or something is reached: a mailbox, a Matrix id, a room
    "addresses",
    metadata,
    _id(),
    Column("channel", String, nullable=False),
    Column("address", String, nullable=False),
    _to("people", "person_id", null=True, index=True),  # null: a room
    Column("verified_at", BigInteger),
    _number("created_at"),
    UniqueConstraint("channel", "address"),
)
memberships = Table(
    "memberships",
    metadata,
    _id(),
    _to("people", "person_id"),
    _to("forums", "forum_id", index=True),
    _words("role", "member"),  # member | moderator | owner
    _words("state", "active"),  # active | pending | left | banned
    _flag("may_post", True),
    _flag("hide_address", False),
    _number("joined_at"),
    UniqueConstraint("person_id", "forum_id"),
)
entry_requests = Table(  # who asked to be let in, and waits: their membership is pending
    "entry_requests",
    metadata,
    Column("membership_id", Id, ForeignKey("memberships.id"), primary_key=True),
    _to("addresses", "address_id", null=True),  # where they are told
    Column("mailbox_id", Id, ForeignKey("addresses.id")),  # what will be sent the posts
    _words("mode", "each"),
    _words("words", "", Text()),
    _number("asked_at"),
)
subscriptions = Table(  # a target of posts, nothing else
    "subscriptions",
    metadata,
    _id(),
    _to("forums", "forum_id"),
    _to("addresses", "address_id", index=True),
    _to("people", "person_id", null=True, index=True),
    _words("mode", "each"),  # of bridge.MODES
    _words("conversations", "each"),  # each | digest | none
    _words("state", "active"),  # active | stopped | ended
    _flag("own_posts", False),
    _words("addressed", "forum"),  # forum | direct: the copy to have where a post names the mailbox in To or Cc
    _number("bounce_score"),  # thousandths of a point, as of bounced_at
    Column("bounced_at", BigInteger),
    Column("probed_at", BigInteger),
    Column("stopped_at", BigInteger),
    _words("stop_reason", ""),  # bounces | complaint
    _flag("members_only", False),  # of a room: nobody but members is in it
    _flag("filling", False),  # of a room: it is told what was posted before, and nothing else yet
    _number("digest_hour", 7),  # of the day where the person lives
    _number("digest_day", 0),  # of the week, 0 is Monday
    _number("digest_seq"),  # posts up to this number were digested
    Column("digest_at", BigInteger, index=True),  # when the next digest is due
    _number("created_at"),
    UniqueConstraint("forum_id", "address_id"),
)
thread_marks = Table(  # what a person wants of a thread, whatever their mode
    "thread_marks",
    metadata,
    Column("person_id", Id, ForeignKey("people.id"), primary_key=True),
    Column("thread_id", Id, ForeignKey("threads.id"), primary_key=True),
    Column("mark", String, nullable=False),  # muted | followed
    _number("at"),
    Index("ix_thread_marks_thread_id", "thread_id"),
)
bans = Table(  # who may neither join nor post
    "bans",
    metadata,
    _id(),
    _to("forums", "forum_id", null=True, index=True),  # null: every forum
    Column("kind", String, nullable=False),  # address | domain | pattern
    Column("value", String, nullable=False),
    _words("reason", "", Text()),
    _words("actor", "command"),
    _number("created_at"),
    UniqueConstraint("forum_id", "kind", "value"),
)
tokens = Table(  # what a token stands for; the token itself is never stored
    "tokens",
    metadata,
    _id(),
    Column("hash", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),  # leave | bounces | via | item | mute | mod | confirm | sign-in | api
    Column("thing_id", Id, nullable=False),
    _words("data", "{}", Text()),
    _number("created_at"),
    Column("expires_at", BigInteger),
    Column("used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("ix_tokens_kind_thing_id", "kind", "thing_id"),
)
sessions = Table(
    "sessions",
    metadata,
    Column("hash", String, primary_key=True),
    _to("people", "person_id", index=True),
    _number("created_at"),
    _number("seen_at"),
    _number("expires_at"),
)
audit = Table(
    "audit",
    metadata,
    _id(),
    _number("at"),
    _to("forums", "forum_id", null=True, index=True),
    Column("actor", String, nullable=False),  # "person:ID", "command", "server"
    Column("verb", String, nullable=False),
    Column("thing", String, nullable=False),
    _words("detail", "", Text()),
)
bounces = Table(
    "bounces",
    metadata,
    _id(),
    _to("subscriptions", "subscription_id", index=True),
    _number("at"),
    _flag("permanent", False),
    _words("status", ""),  # RFC 3463
    _words("diagnostic", "", Text()),
)

# Posts ----------------------------------------------------------------------------------------------------------------
threads = Table(
    "threads",
    metadata,
    _id(),
    _to("forums", "forum_id"),
    _words("subject", ""),
    Column("root_post_id", Id),  # the earliest published post without a known parent; null while only ghosts
    _number("posts"),
    _number("last_seq"),
    _number("last_at"),
    Column("merged_into", Id, ForeignKey("threads.id")),
    Index("ix_threads_forum_id_last_seq", "forum_id", "last_seq"),
)
posts = Table(
    "posts",
    metadata,
    _id(),
    _to("forums", "forum_id"),
    Column("origin", Id, index=True),  # the first row of this post; the same in every forum it went to
    Column("seq", BigInteger),  # given at publication: archive number, page key, order of delivery
    _to("threads", "thread_id", null=True),
    Column("parent_id", Id, ForeignKey("posts.id"), index=True),
    Column("parent_ref_id", Id),  # the nearest known name of the parent, which may still be a ghost
    _words("state", "published"),  # published | held | rejected | retracted
    _to("people", "person_id", null=True, index=True),
    _to("addresses", "address_id", null=True),
    _words("author_name", ""),
    Column("channel", String, nullable=False),
    _number("proof"),
    Column("message_id", String, nullable=False),
    _words("subject", ""),
    _words("content_hash", ""),
    _number("revision"),
    Column("written_at", BigInteger),  # as the author's message claims
    _number("arrived_at"),
    Column("published_at", BigInteger),
    Column("edited_at", BigInteger),
    Column("retracted_at", BigInteger),
    _flag("imported", False),  # written elsewhere, before: nobody is told of it
    _words("chat", ""),  # lines: what several people said at the level of a room
    UniqueConstraint("forum_id", "seq"),
    Index("ix_posts_thread_id_seq", "thread_id", "seq"),
    Index("ix_posts_parent_ref_id", "parent_ref_id"),
    Index("ix_posts_message_id", "message_id"),
    Index("ix_posts_published_at", "published_at"),
)
mentions = Table(  # whom a post names
    "mentions",
    metadata,
    Column("post_id", Id, ForeignKey("posts.id"), primary_key=True),
    Column("person_id", Id, ForeignKey("people.id"), primary_key=True),
)
bodies = Table(  # derived, and can be derived again
    "bodies",
    metadata,
    Column("post_id", Id, ForeignKey("posts.id"), primary_key=True),
    _words("text", "", Text()),
    _words("html", "", Text()),  # sanitised; pictures as blob:HASH; quotes marked
    _words("fresh_text", "", Text()),  # quotes and signature folded away
    _words("fresh_html", "", Text()),
    Column("pieces", Text),  # JSON [{text, html}] of a burst gathered into one post, by part
)
conversations = Table(  # what is talked of in a room at the moment
    "conversations",
    metadata,
    Column("forum_id", Id, ForeignKey("forums.id"), primary_key=True),
    Column("channel", String, primary_key=True),
    _to("posts", "opener_id", null=True),
    _to("posts", "lines_id", null=True, index=True),  # the post that takes lines; null: none does
    _number("lines"),
    _number("began_at"),  # of these lines
    _number("last_at"),
)
revisions = Table(
    "revisions",
    metadata,
    _id(),
    _to("posts", "post_id"),
    _number("number"),
    _words("text", "", Text()),  # as it was before this revision
    _number("at"),
    Column("message_id", String),  # of the correction that was asked for
    Column("corrects", BigInteger),  # number of the first revision that it tells
    UniqueConstraint("post_id", "number"),
)
originals = Table(  # byte for byte as received, zstd
    "originals",
    metadata,
    _id(),
    _to("posts", "post_id"),
    _number("part"),
    Column("channel", String, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    UniqueConstraint("post_id", "part"),
)
refs = Table(  # every foreign name of a post; post_id null: a ghost, named by others and not here yet
    "refs",
    metadata,
    _id(),
    _to("forums", "forum_id"),
    Column("space", String, nullable=False),  # "message-id", "form", or a bridge's name
    Column("name", String, nullable=False),
    _number("part"),
    _to("posts", "post_id", null=True, index=True),
    _to("threads", "thread_id", null=True, index=True),
    UniqueConstraint("forum_id", "space", "name"),
    Index("ix_refs_name", "name"),
)
held = Table(
    "held",
    metadata,
    Column("post_id", Id, ForeignKey("posts.id"), primary_key=True),
    Column("name", String, nullable=False, unique=True),  # H-xxxx
    _to("forums", "forum_id"),
    Column("author", String, nullable=False),  # channel:address
    Column("content_hash", String, nullable=False),
    Column("reason", String, nullable=False),
    _words("awaits", "moderators"),  # moderators | author | parent: whose word
    _flag("line", False),  # it would have been a line of talk
    _words("refs", "[]", Text()),  # names it claims only when published
    _words("parents", "[]", Text()),
    Column("reported_at", BigInteger),  # to the moderators
    Column("reminded_at", BigInteger),
    Column("told_at", BigInteger),  # its author, that nobody decided yet
    UniqueConstraint("forum_id", "author", "content_hash"),
)
decisions = Table(  # what became of held posts, for those who saw that they wait
    "decisions",
    metadata,
    Column("post_id", Id, ForeignKey("posts.id"), primary_key=True),
    Column("name", String, nullable=False),
    _flag("approved", False),
    _words("refs", "[]", Text()),
)
flags = Table(  # published posts that members reported
    "flags",
    metadata,
    _id(),
    _to("forums", "forum_id", index=True),
    _to("posts", "post_id"),
    _number("part"),  # the line of a talk that is meant
    _to("people", "person_id"),  # who reported it
    _words("reason", "", Text()),
    _words("state", "open"),  # open | dismissed | upheld
    _number("at"),
    Column("reported_at", BigInteger),  # to the moderators
    Column("decided_at", BigInteger),
    Column("decided_by", String),
    UniqueConstraint("post_id", "part", "person_id"),
)
blobs = Table(
    "blobs",
    metadata,
    Column("hash", String, primary_key=True),  # sha256, hex
    _number("size"),
    _number("created_at"),
)
attachments = Table(
    "attachments",
    metadata,
    _id(),
    _to("posts", "post_id", index=True),
    _number("position"),
    _number("part"),  # which piece of a burst it came with
    Column("blob_hash", String, ForeignKey("blobs.hash"), nullable=False),
    _words("filename", ""),
    _words("media_type", "application/octet-stream"),
    _number("size"),
    Column("content_id", String),
    _flag("inline", False),
)
reactions = Table(
    "reactions",
    metadata,
    _id(),
    _to("posts", "post_id"),
    _to("people", "person_id"),
    Column("key", String, nullable=False),
    Column("channel", String, nullable=False),
    _number("at"),
    Column("removed_at", BigInteger),
    UniqueConstraint("post_id", "person_id", "key"),
)

# What leaves ----------------------------------------------------------------------------------------------------------
letters = Table(  # private: a letter to one person, or a notice by the server itself
    "letters",
    metadata,
    _id(),
    Column("kind", String, nullable=False),  # letter | notice
    _to("forums", "forum_id", null=True),
    _to("people", "person_id", null=True, index=True),  # who wrote it
    Column("template", String, nullable=False),
    _words("data", "{}", Text()),
    Column("original", LargeBinary),  # zstd
    _number("created_at"),
    Index("ix_letters_forum_id_template_created_at", "forum_id", "template", "created_at"),
)
deliveries = Table(
    "deliveries",
    metadata,
    _id(),
    Column(
        "item_kind", String, nullable=False
    ),  # post edit retraction reaction correction letter notice digest state history decision queue entry flag hook
    Column("item_id", Id, nullable=False),
    Column("origin", Id, nullable=False),  # posts.origin for a post, else the item's id: once per origin and mailbox
    _to("forums", "forum_id", null=True),
    Column("channel", String, nullable=False),
    _to("addresses", "address_id", null=True),  # null: the bridge itself (state)
    _to("subscriptions", "subscription_id", null=True),
    Column("order_key", Id),  # deliveries of one key to one address go one after another; null: no order
    _number("not_before"),
    _words("state", "due"),  # due | claimed | sent | failed | held | dropped
    _number("attempts"),
    Column("holder", String),  # the process that claimed it
    Column("lease_until", BigInteger),
    Column("detail", Text),  # the last answer, for a person
    Column("settled_at", BigInteger),
    _number("created_at"),
    UniqueConstraint("item_kind", "origin", "channel", "address_id"),
    Index("ix_deliveries_channel_state_not_before", "channel", "state", "not_before"),
    Index("ix_deliveries_address_id_order_key", "address_id", "order_key"),
    Index("ix_deliveries_item_kind_item_id", "item_kind", "item_id"),
)
attempts = Table(
    "attempts",
    metadata,
    _id(),
    _to("deliveries", "delivery_id", index=True),
    _number("number"),
    _number("at"),
    Column("outcome", String, nullable=False),  # sent | later | failed
    _words("code", ""),
    _words("detail", "", Text()),
)
digests = Table(  # one mail with what was new; frozen when it is booked
    "digests",
    metadata,
    _id(),
    _to("subscriptions", "subscription_id"),
    _to("forums", "forum_id"),
    Column("message_id", String, nullable=False, unique=True),
    _number("after_seq"),
    _number("until_seq"),
    _number("created_at"),
    UniqueConstraint("subscription_id", "after_seq"),
)
digest_entries = Table(
    "digest_entries",
    metadata,
    Column("digest_id", Id, ForeignKey("digests.id"), primary_key=True),
    Column("post_id", Id, ForeignKey("posts.id"), primary_key=True),
    _number("position"),
    Index("ix_digest_entries_post_id", "post_id"),
)
imports = Table(  # how far the reading of a file of old messages has come
    "imports",
    metadata,
    _id(),
    _to("forums", "forum_id"),
    Column("source", String, nullable=False),  # what tells the file from others, whatever it is called
    _number("position"),
    _number("imported"),
    _number("duplicate"),
    _number("rejected"),
    _number("updated_at"),
    UniqueConstraint("forum_id", "source"),
)
fanouts = Table(  # a post with very many receivers is booked in slices from here
    "fanouts",
    metadata,
    _id(),
    _to("posts", "post_id"),
    _number("after_subscription"),
    _number("until_subscription"),
    _words("state", "due"),  # due | done
)
server_state = Table(  # few words about the whole server: held queue, and why
    "server_state", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False)
)
processes = Table(  # who may hold claims; a dead one's are released
    "processes",
    metadata,
    Column("holder", String, primary_key=True),
    Column("host", String, nullable=False),
    _number("pid"),
    _number("started_at"),
    _number("seen_at"),
)
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    _number("until_at"),
)

# Bridges' own rows ----------------------------------------------------------------------------------------------------
inbox = Table(  # what a bridge stored before it answered; quarantine
    "inbox",
    metadata,
    _id(),
    Column("bridge", String, nullable=False),
    Column("name", String, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    _words("state", "new"),  # new | done | quarantined
    _number("attempts"),
    Column("error", Text),
    _number("created_at"),
    UniqueConstraint("bridge", "name"),
    Index("ix_inbox_bridge_state", "bridge", "state"),
)
bridge_rows = Table(
    "bridge_rows",
    metadata,
    Column("bridge", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)
