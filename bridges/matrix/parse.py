"""What an event of a room says, as far as the event alone tells it. Pure: a JSON object in, one of a few shapes out.

Every field is foreign: it may be missing, of another type, or huge; a name that cannot be an event's is no name. No text that goes
out of here holds a NUL or a lone surrogate. What means nothing to us is Ignored, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bridges.matrix.markup import clean, from_matrix, without_fallback
from bridges.matrix.names import POST_MARK, is_foreign_ghost, is_id, is_ours, media_parts, split_user
from server.limits import NAME_CHARS

MEDIA_TYPES = frozenset({"m.image", "m.file", "m.audio", "m.video"})
KEY_CHARS = 100
Event = dict[str, Any]


OWN = "our own post"


@dataclass(frozen=True, slots=True)
class Media:
    """A file that the homeserver keeps."""

    mxc: str
    filename: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Message:
    """Words or a file. `answers` are events, nearest first; `thread` is the root of its Matrix thread, if it is in one."""

    text: str
    html: str | None = None
    media: Media | None = None
    answers: tuple[str, ...] = ()
    thread: str | None = None
    emote: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    target: str
    text: str
    html: str | None = None


@dataclass(frozen=True, slots=True)
class Redacted:
    target: str


@dataclass(frozen=True, slots=True)
class Reacted:
    target: str
    key: str


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody's place in the room has changed. `came` and `went` are both false for a new name or picture."""

    user: str
    name: str
    came: bool
    went: bool


@dataclass(frozen=True, slots=True)
class Encrypted:
    """We cannot read it."""


@dataclass(frozen=True, slots=True)
class Ignored:
    reason: str


Heard = Message | Edited | Redacted | Reacted | Member | Encrypted | Ignored


class Malformed(ValueError):
    """Not an event at all, or one whose parts contradict its kind."""


def parse(event: Event, server_name: str) -> Heard:
    """What the event says. Raises Malformed."""
    kind, sender = _text(event, "type"), _text(event, "sender")
    content = event.get("content")
    if split_user(sender) is None or not isinstance(content, dict):
        raise Malformed("no sender or no content")
    if kind == "m.room.member" and "state_key" in event:
        return _member(event, content, server_name)
    if is_ours(sender, server_name):  # our own voice, told by who speaks: any client can copy our marker
        edits = isinstance(content.get("m.relates_to"), dict) and content["m.relates_to"].get("rel_type") == "m.replace"
        return Ignored(OWN if POST_MARK in content and not edits else "our own")
    if is_foreign_ghost(sender):
        return Ignored("another bridge")
    if kind in ("m.room.encrypted", "m.room.encryption"):
        return Encrypted()
    if "state_key" in event:
        return Ignored("state")
    if kind == "m.room.redaction":
        return _redaction(event, content)
    if kind == "m.reaction":
        return _reaction(content)
    if kind == "m.room.message":
        return _message(content)
    return Ignored(f"a {kind[:60]}")


def current(event: Event) -> Message | None:
    """What a message says now: its newest edit, which the homeserver bundles with it, or itself. None if it says nothing."""
    content = _object(event, "content")
    newest = _object(_object(_object(event, "unsigned"), "m.relations"), "m.replace")
    fresh = _object(_object(newest, "content"), "m.new_content")
    text, html, _media = _body(fresh or content)
    return Message(text, html) if text or html else None


def _message(content: Event) -> Message | Edited | Ignored:
    if not content:
        return Ignored("redacted already")
    relation = _object(content, "m.relates_to")
    if relation.get("rel_type") == "m.replace":
        fresh = _object(content, "m.new_content")
        text, html, _media = _body(fresh)
        return Edited(_target(relation), text, html)
    kind = _text(content, "msgtype")
    if kind == "m.notice":  # a machine spoke (C-S API 11.3.1.4); answering it is how loops begin
        return Ignored("a notice")
    if kind.startswith("m.key.verification"):
        return Ignored("a verification")
    text, html, media = _body(content)
    nearest = _event_id(_object(relation, "m.in_reply_to"))
    thread = _event_id(relation) if relation.get("rel_type") == "m.thread" else None
    answers = tuple(dict.fromkeys(name for name in (nearest, thread) if name is not None))
    if answers:
        text = without_fallback(text)
    return Message(text, html, media, answers, thread, emote=kind == "m.emote")


def _body(content: Event) -> tuple[str, str | None, Media | None]:
    """Text, HTML and file. A file's `body` is its name, unless there is a `filename` beside it: then it is a caption (v1.10)."""
    body = clean(_text(content, "body"))
    html: str | None = None
    if content.get("format") == "org.matrix.custom.html" and isinstance(content.get("formatted_body"), str):
        html = from_matrix(clean(content["formatted_body"])) or None
    if content.get("msgtype") not in MEDIA_TYPES:
        return body, html, None
    mxc = content.get("url")
    if not isinstance(mxc, str) or media_parts(mxc) is None:
        raise Malformed("a file without an address")
    filename = content.get("filename")
    caption = isinstance(filename, str) and filename != body
    info = _object(content, "info")
    media_type = info.get("mimetype")
    media = Media(
        mxc,
        clean(filename if isinstance(filename, str) else body)[:255],
        clean(media_type)[:100] if isinstance(media_type, str) else "application/octet-stream",
    )
    return (body, html, media) if caption else ("", None, media)


def _redaction(event: Event, content: Event) -> Redacted:
    target = content.get("redacts") or event.get("redacts")  # in the content since room version 11 (MSC2174)
    if not is_id(target, "$"):
        raise Malformed("a redaction of nothing")
    return Redacted(target)


def _reaction(content: Event) -> Reacted | Ignored:
    relation = _object(content, "m.relates_to")
    key = relation.get("key")
    sign = clean(key) if isinstance(key, str) and len(key) <= KEY_CHARS else ""
    if relation.get("rel_type") != "m.annotation" or not sign:
        return Ignored("a reaction without a sign")
    return Reacted(_target(relation), sign)


def _member(event: Event, content: Event, server_name: str) -> Member | Ignored:
    user = _text(event, "state_key")
    if split_user(user) is None:
        raise Malformed("a member without an id")
    if is_ours(user, server_name) or is_foreign_ghost(user):
        return Ignored("a ghost's membership")
    now = content.get("membership")
    before = _object(_object(event, "unsigned"), "prev_content").get("membership")
    name = content.get("displayname")
    return Member(
        user,
        plain_name(name) if isinstance(name, str) else "",
        came=now == "join" and before != "join",
        went=now in ("leave", "ban") and before in ("join", None),
    )


def plain_name(name: str) -> str:
    """A display name on one line, without characters that do not print."""
    return " ".join("".join(c if c.isprintable() else " " for c in clean(name)).split())[:NAME_CHARS]


def _text(of: Event, key: str) -> str:
    value = of.get(key)
    if not isinstance(value, str):
        raise Malformed(f"{key} is missing or no text")
    return value


def _event_id(of: Event) -> str | None:
    value = of.get("event_id")
    return value if is_id(value, "$") else None


def _target(relation: Event) -> str:
    name = _event_id(relation)
    if name is None:
        raise Malformed("event_id is missing or no event's")
    return name


def _object(of: Event, key: str) -> Event:
    value = of.get(key)
    return value if isinstance(value, dict) else {}
