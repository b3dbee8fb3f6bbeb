"""What a bridge says to the server: one sum type with one door, `House.accept`, and its answers."""

from __future__ import annotations

from dataclasses import dataclass

from server.bridge.shared import Attachment, Author, Ref, Refusal, Spam


@dataclass(frozen=True, slots=True)
class NewPost:
    """A post by somebody. `refs` are its own names, `parents` what it answers, nearest first. At least one of text and html.

    Inline pictures in `html` are named `cid:CONTENT-ID`. `written_at` is what the author's message claims. `automatic`: a machine wrote
    it (RFC 3834): it is refused where a forum does not let it in; `answering`: of its own accord, so it is dropped instead, for the
    refusal would go to the person for whom it answers. `gather`: one of a burst of short messages, which the desk may append to the
    author's post before it while that is not yet due. `item`: the token of a reply address that names the post which this answers
    (never its author). `chat`: it was said at the level of a room, to nobody in particular, or in plain answer to what was (`parents`);
    the forum's `room_messages` says what it is. `addressed`: who else it was sent to by the channel itself, as normalised addresses.
    `handed_on`: nothing in it says that it is for this forum, so that anybody who had it may have brought it here.
    `mentions`: whom it speaks to by name, as addresses of its channel and as authors' keys (`Writer.key`).
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
    answering: bool = False
    gather: bool = False
    chat: bool = False
    item: str | None = None
    addressed: tuple[str, ...] = ()
    handed_on: bool = False
    mentions: tuple[str, ...] = ()
    spam: Spam = Spam.NO


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
class Correct:
    """The author (or a moderator) wants the edits of the post named `target` told where they cannot be shown."""

    forum: str
    author: Author
    target: Ref


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
    """Somebody wants to be a member. Without proof a confirmation is sent to the address first. `mode`: None, the usual.

    Where moderators let people in the answer is Held: `words` are theirs to them. `ref`: the name of the message that says so,
    here and in `Leave`.
    """

    forum: str
    author: Author
    mode: str | None = None
    ref: Ref | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """Somebody wants out: by `token` (acts at once) or by `author` (without proof a confirmation is sent first)."""

    forum: str
    author: Author | None = None
    token: str | None = None
    ref: Ref | None = None


@dataclass(frozen=True, slots=True)
class Undelivered:
    """What is said of one address. `refusal` None: it arrived there, or is still being tried."""

    address: str
    refusal: Refusal | None
    status: str = ""
    diagnostic: str = ""


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail to the subscription behind `token` did not arrive. `status` is RFC 3463, `diagnostic` the far side's words.

    `each`: where several are named, what is said of each; what is said of the subscription's own address then counts instead.
    """

    forum: str
    token: str
    refusal: Refusal
    status: str = ""
    diagnostic: str = ""
    each: tuple[Undelivered, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A complaint about mail to the subscription behind `token` (RFC 5965)."""

    forum: str
    token: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Letter:
    """Private words to somebody behind an address of ours. `to`: "author" (with `token` or `key`), "owners", or "operator".

    `key` is the author's opaque one (`Writer.key`). `forum` is None only for the operator, and with a `key`: then it is one that both
    are members of. `original` is what came, byte for byte.
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
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """A word with a token, by whoever has it: the bridge finds the verb, what follows it, and the token; the server runs it.

    Verbs: "confirm". Unknown ones are answered with the help. `words`: what stands after the verb on its line.
    """

    forum: str
    author: Author
    verb: str
    token: str | None = None
    ref: Ref | None = None
    automatic: bool = False
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks of a forum in words, several things at once; all are answered together. `ref` is its own name.

    `commands`: each a verb and what follows it: "help"; "join" [MODE]; "leave"; "whoami"; "delivery" MODE; "conversations" HOW;
    "mute", "unmute", "follow", "unfollow" [N]; "hide"; "show"; "name" NAME; "timezone" ZONE; "language" TAG; "addressed" forum or direct;
    "own-posts" yes or no; "digest-hour" HOUR; "digest-day" DAY; "delete" N; "resume"; "link" ADDRESS;
    "who" [N], who wrote a post; "trace" [N], where it went; "unknown" [LINE], for words that are none of these.
    `about`: the names of what it answers, nearest first, for verbs that mean a thread.
    """

    forum: str
    author: Author
    commands: tuple[tuple[str, ...], ...] = ()
    about: tuple[Ref, ...] = ()
    ref: Ref | None = None
    automatic: bool = False


@dataclass(frozen=True, slots=True)
class Decide:
    """Somebody who looks after the forum decides on what a QueueItem named. `verb`: "approve", "reject" or "ban"; `words`: the reason.

    Of a report: the post stays (approve), is taken back (reject), or its author is shut out too (ban).
    """

    forum: str
    author: Author
    name: str
    verb: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Flag:
    """A member thinks that those who look after the forum should see the post named `target`."""

    forum: str
    author: Author
    target: Ref
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Discipline:
    """Somebody did this to whoever has the `address` of their channel, in the forum's room: "ban", "unban", "kick" (also of one who asks
    to be let in), "mute", "unmute", or "admit" (let in who asked). What it means for the forum depends on who did it.
    """

    forum: str
    author: Author
    address: str
    verb: str
    reason: str = ""


Inbound = (
    NewPost
    | Edit
    | Correct
    | Retract
    | Reaction
    | Join
    | Leave
    | Bounce
    | Report
    | Letter
    | Act
    | Request
    | Decide
    | Flag
    | Discipline
)


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
    """It is stored and waits for a decision: a post under the name H-xxxx, who wants to be let in without a name."""

    name: str
    reply: str = ""


Result = Accepted | Duplicate | Held
