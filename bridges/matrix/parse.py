"""What an event of a room says, as far as the event alone tells it. Pure: a JSON object in, one of a few shapes out.

Every field is foreign: it may be missing, of another type, or huge; a name that cannot be an event's is no name. No text that goes
out of here holds a NUL or a lone surrogate. What means nothing to us is Ignored, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from bridges.matrix import forms
from bridges.matrix.forms import Malformed as Malformed
from bridges.matrix.markup import Picture, Rich, clean, from_matrix, without_fallback
from bridges.matrix.mentions import listed, unlinked
from bridges.matrix.names import POST_MARK, is_foreign_ghost, is_id, is_ours, media_parts, split_user
from server.limits import NAME_CHARS

MEDIA_TYPES = ("m.image", "m.file", "m.audio", "m.video")
KEY_CHARS = 100
_SAYING = frozenset({"m.room.message", "m.sticker", *forms.POLLS})
Event = dict[str, Any]
OWN = "our own post"


@dataclass(frozen=True, slots=True)
class Media:
    """A file that the homeserver keeps. Name, type and size are what the sender says of it."""

    mxc: str
    filename: str
    media_type: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """Words or a file. `answers` are events, nearest first; `thread` is the root of its Matrix thread, if it is in one.

    `pictures` are those that the HTML names by `cid:`; `people` are ids whose names belong where the ids stand.
    """

    text: str
    html: str | None = None
    media: Media | None = None
    pictures: tuple[Picture, ...] = ()
    people: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    thread: str | None = None
    emote: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    target: str
    text: str
    html: str | None = None
    people: tuple[str, ...] = ()


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
    if kind in _SAYING:
        return _message(kind, content)
    if kind in forms.POLL_VOTES:
        return Ignored("a vote, or the end of a poll")
    return Ignored(f"a {kind[:60]}")


def current(event: Event) -> Message | None:
    """What a message says now: its newest edit, which the homeserver bundles with it, or itself. None if it says nothing."""
    content = _object(event, "content")
    newest = _object(_object(_object(event, "unsigned"), "m.relations"), "m.replace")
    fresh = _object(_object(newest, "content"), "m.new_content")
    said = _said(_text(event, "type"), fresh or content)
    return said if said.text or said.html else None


def _message(kind: str, content: Event) -> Message | Edited | Ignored:
    if not content:
        return Ignored("redacted already")
    relation = _object(content, "m.relates_to")
    if relation.get("rel_type") == "m.replace":
        fresh = _said(kind, _object(content, "m.new_content"))
        if not fresh.text and not fresh.html:
            return Ignored("an edit without words")
        return Edited(_target(relation), fresh.text, fresh.html, fresh.people)
    msgtype = _text(content, "msgtype") if kind == "m.room.message" else ""
    if msgtype in (
        "m.notice",
        "m.server_notice",
    ):  # a machine spoke (C-S API 11.3.1.4); answering it is how loops begin
        return Ignored("a notice")
    if msgtype.startswith("m.key.verification"):
        return Ignored("a verification")
    said = _said(kind, content)
    nearest = _event_id(_object(relation, "m.in_reply_to"))
    thread = _event_id(relation) if relation.get("rel_type") == "m.thread" else None
    answers = tuple(dict.fromkeys(name for name in (nearest, thread) if name is not None))
    text = without_fallback(said.text) if answers else said.text
    return replace(said, text=text, answers=answers, thread=thread, emote=msgtype == "m.emote")


def _said(kind: str, content: Event) -> Message:
    """What a content says by itself, whatever it answers. A poll is words, a place a link, a sticker a picture."""
    if kind in forms.POLLS:
        return Message(*forms.poll(kind, content))
    msgtype = "m.image" if kind == "m.sticker" else content.get("msgtype")
    body = content.get("body", forms.fallback(content))
    if not isinstance(body, str):
        raise Malformed("body is missing or no text")
    body = clean(body)
    if msgtype == "m.location":
        return Message(*forms.location(content, body))
    media = _media(content, body) if msgtype in MEDIA_TYPES else None
    # A file's `body` is its name, unless there is a `filename` beside it: then it is a caption (v1.10).
    filename = content.get("filename")
    captioned = isinstance(filename, str) and filename != content.get("body") and kind != "m.sticker"
    if media is not None and not captioned:
        return Message("", media=media)
    rich = Rich("")
    if content.get("format") == "org.matrix.custom.html" and isinstance(content.get("formatted_body"), str):
        rich = from_matrix(clean(content["formatted_body"]))
    for picture in rich.pictures:
        body = body.replace(picture.mxc, picture.words)
    body, named = unlinked(body)
    # Plain words would give away what is hidden; the house makes them of the HTML, with the warning before them.
    text = "" if rich.hides and rich.html else body
    people = tuple(dict.fromkeys((*listed(content), *rich.people, *named)))
    return Message(text, rich.html or None, media, rich.pictures, people)


def _media(content: Event, body: str) -> Media:
    mxc, filename, info = content.get("url"), content.get("filename"), _object(content, "info")
    if not isinstance(mxc, str) or media_parts(mxc) is None:
        raise Malformed("a file without an address")
    media_type, size = info.get("mimetype"), info.get("size")
    return Media(
        mxc,
        clean(filename if isinstance(filename, str) else body)[:255],
        clean(media_type)[:100] if isinstance(media_type, str) else "application/octet-stream",
        size if isinstance(size, int) else 0,
    )


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
