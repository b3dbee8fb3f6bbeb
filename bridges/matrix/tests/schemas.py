"""What an event of ours must look like, after the Matrix specification's event schemas (v1.18), with what we promise beside them.

`check` takes a kind and a content and raises Wrong. A kind without a schema is wrong too: whoever emits a new one writes it down here.
The fake homeserver checks everything that is put to it, and the tests against a real one check what its rooms hold in the end.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator
from selectolax.lexbor import LexborHTMLParser, LexborNode

Schema = dict[str, Any]
LARGEST = 2**53
EVENT_BYTES = 65_536
ENVELOPE_BYTES = 4_000  # names, references, hashes and signatures around a content; Synapse's are under 2,000

_SERVER = r"(([0-9]{1,3}\.){3}[0-9]{1,3}|\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,255})(:[0-9]{1,5})?"
_MXC = {"type": "string", "pattern": rf"\Amxc://{_SERVER}/[A-Za-z0-9_-]+\Z"}
_USER = {"type": "string", "pattern": rf"\A@[a-z0-9._=/+-]+:{_SERVER}\Z", "maxLength": 255}
_ALIAS = {"type": "string", "pattern": rf"\A#[^:\0]+:{_SERVER}\Z", "maxLength": 255}
_ROOM = {"type": "string", "pattern": r"\A![!-~]+\Z", "maxLength": 255}
_EVENT = {"type": "string", "pattern": r"\A\$[!-~]+\Z", "maxLength": 255}
_SIZE: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string", "minLength": 1}


def _exactly(required: dict[str, Schema], **optional: Schema) -> Schema:
    """An object with these members and no others."""
    properties = required | optional
    return {"type": "object", "properties": properties, "required": [*required], "additionalProperties": False}


_LINKS = _exactly({"event_id": _EVENT})
_THREAD = _exactly(
    {
        "rel_type": {"const": "m.thread"},
        "event_id": _EVENT,
        "is_falling_back": {"type": "boolean"},
        "m.in_reply_to": _LINKS,
    }
)
_ANSWER = _exactly({"m.in_reply_to": _LINKS})
_REPLACE = _exactly({"rel_type": {"const": "m.replace"}, "event_id": _EVENT})
_MENTIONS = _exactly({}, user_ids={"type": "array", "items": _USER, "uniqueItems": True, "maxItems": 50})
_POST = _exactly({"id": _SIZE, "message_id": {"type": "string", "pattern": r"\A<[^<>\s]+>\Z"}})
_PAGE = {"type": "string", "pattern": r"\Ahttps?://"}

_WORDS = {
    "body": {"type": "string"},
    "m.mentions": _MENTIONS,  # on every message, so that no client guesses (MSC4210, v1.17)
}
_ANSWERS = _exactly({"forum": _TEXT, "verb": _TEXT, "token": _TEXT})
_NAME = {"type": "string", "minLength": 1, "maxLength": 255}
_PROFILE = _exactly({"id": _NAME, "displayname": _NAME, "has_fallback": {"const": True}})  # MSC4144
_MORE = {
    "external_url": _PAGE,
    "net.junto.post": _POST,
    "net.junto.answer": _ANSWERS,
    "com.beeper.per_message_profile": _PROFILE,
}
_RELATED = {"m.relates_to": {"oneOf": [_THREAD, _ANSWER]}}
_RICH = {"format": {"const": "org.matrix.custom.html"}, "formatted_body": _TEXT}
_BOTH = {"dependentRequired": {"format": ["formatted_body"], "formatted_body": ["format"]}}


def _said(**more: Schema) -> Schema:
    kinds = {"msgtype": {"enum": ["m.text", "m.notice", "m.emote"]}}
    return _exactly(kinds | _WORDS, **_RICH, **_MORE, **more) | _BOTH


def _file(msgtype: str, **info: Schema) -> Schema:
    about = {"mimetype": {"type": "string", "pattern": r"\A[^\s/]+/[^\s/]+\Z"}, "size": _SIZE}
    fields = {"msgtype": {"const": msgtype}, "filename": _TEXT, "url": _MXC, "info": _exactly(about, **info)}
    return _exactly(fields | _WORDS, **_MORE, **_RELATED, **_RICH) | _BOTH


_SHAPE = {"w": _SIZE | {"minimum": 1}, "h": _SIZE | {"minimum": 1}}
_FILES = [
    _file("m.file"),
    _file("m.image", **_SHAPE),
    _file("m.audio", duration=_SIZE),
    _file("m.video", **_SHAPE, duration=_SIZE),
]
_EDIT = _said(**{"m.new_content": _said(), "m.relates_to": _REPLACE})
_EDIT["required"] = [*_EDIT["required"], "m.new_content", "m.relates_to"]
_LEVELS: Schema = {"type": "object", "additionalProperties": {"type": "integer"}}
_NUMBERS: dict[str, Schema] = {
    key: {"type": "integer"}
    for key in ("ban", "events_default", "invite", "kick", "redact", "state_default", "users_default")
}
_VIA = {"type": "array", "items": {"type": "string", "pattern": rf"\A{_SERVER}\Z"}, "minItems": 1}
_MEMBERSHIP: dict[str, Schema] = {"membership": {"enum": ["join", "invite", "leave", "ban", "knock"]}}
_NAMES: dict[str, Schema] = {
    "displayname": {"type": ["string", "null"]},
    "avatar_url": {"oneOf": [_MXC, {"type": "null"}]},
}
_RULES: dict[str, Schema] = {"join_rule": {"enum": ["public", "invite", "knock", "restricted", "knock_restricted"]}}
_ALLOW = {
    "type": "array",
    "items": _exactly({"type": {"const": "m.room_membership"}, "room_id": _TEXT}),
}
_ORDER = {"type": "string", "pattern": r"\A[ -~]{1,50}\Z"}

SCHEMAS: dict[str, Schema] = {
    "m.room.message": {"oneOf": [_said(**_RELATED), _EDIT, *_FILES]},
    "m.reaction": _exactly(
        {"m.relates_to": _exactly({"rel_type": {"const": "m.annotation"}, "event_id": _EVENT, "key": _TEXT})}
    ),
    "m.room.redaction": _exactly({}, reason=_TEXT, redacts=_EVENT),
    "m.room.create": {
        "type": "object",
        "properties": {"m.federate": {"type": "boolean"}, "type": {"const": "m.space"}, "room_version": _TEXT},
    },
    "m.room.name": _exactly({"name": {"type": "string", "maxLength": 255}}),
    "m.room.topic": {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]},
    "m.room.avatar": _exactly({}, url=_MXC, info={"type": "object"}),
    "m.room.join_rules": _exactly(_RULES, allow=_ALLOW),
    "m.room.history_visibility": _exactly(
        {"history_visibility": {"enum": ["invited", "joined", "shared", "world_readable"]}}
    ),
    "m.room.guest_access": _exactly({"guest_access": {"enum": ["can_join", "forbidden"]}}),
    "m.room.canonical_alias": _exactly({}, alias=_ALIAS, alt_aliases={"type": "array", "items": _ALIAS}),
    "m.room.pinned_events": _exactly({"pinned": {"type": "array", "items": _EVENT}}),
    "m.room.power_levels": _exactly(
        {},
        **_NUMBERS,
        events=_LEVELS,
        users=_LEVELS | {"propertyNames": _USER},
        notifications=_LEVELS,
        historical={"type": "integer"},  # Synapse's own, from before history could be imported by another way
    ),
    "m.room.member": _exactly(_MEMBERSHIP, **_NAMES, reason={"type": "string"}),
    "m.room.tombstone": _exactly({"body": {"type": "string"}, "replacement_room": _ROOM}),
    "net.junto.forum": _exactly({"forum": _TEXT, "members_only": {"type": "boolean"}}),
    "m.space.child": _exactly({}, via=_VIA, suggested={"type": "boolean"}, order=_ORDER),
    "m.space.parent": _exactly({}, via=_VIA, canonical={"type": "boolean"}),
}
_VALIDATORS = {kind: Draft202012Validator(schema) for kind, schema in SCHEMAS.items()}

# Client-Server API 11.3.1.1: tags and attributes of formatted_body.
_TAGS = frozenset(
    {
        *(
            "del",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "blockquote",
            "p",
            "a",
            "ul",
            "ol",
            "sup",
            "sub",
            "li",
            "b",
            "i",
            "u",
        ),
        *(
            "strong",
            "em",
            "s",
            "code",
            "hr",
            "br",
            "div",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "caption",
            "pre",
        ),
        *("span", "img", "details", "summary"),
    }
)
_ATTRIBUTES = {
    "span": {"data-mx-bg-color", "data-mx-color", "data-mx-spoiler", "data-mx-maths"},
    "a": {"target", "href"},
    "img": {"width", "height", "alt", "title", "src"},
    "ol": {"start"},
    "code": {"class"},
    "div": {"data-mx-maths"},
    "strong": {"data-mx-profile-fallback"},  # MSC4144: the name before the words of one account that speaks for many
}
_SCHEMES = {"https", "http", "ftp", "mailto", "magnet"}
DEPTH = 100


class Wrong(AssertionError):
    """An event that is not as the specification says, or not as we promise."""


def check(kind: str, content: Any) -> None:
    """Raise Wrong unless this may be the content of an event of that kind."""
    if kind not in _VALIDATORS:
        raise Wrong(f"no schema for {kind}")
    problems = [f"{error.json_path}: {error.message[:300]}" for error in _VALIDATORS[kind].iter_errors(content)]
    if problems:
        raise Wrong(f"{kind} {json.dumps(content)[:600]}: {'; '.join(problems)}")
    canonical(content)
    for said in (content, content.get("m.new_content", {})):
        if "formatted_body" in said:
            html(said["formatted_body"])
        if said.get("body", "").startswith(("> <@", "> * <@")):
            raise Wrong("a body that begins like the fallback of a reply, which clients cut off")


def canonical(content: Any) -> None:
    """What canonical JSON can hold (appendix "Canonical JSON"), in the size that an event may have."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, float):
            raise Wrong(f"a float: {value}")
        if isinstance(value, int) and not -LARGEST < value < LARGEST:
            raise Wrong(f"an integer beyond 2^53: {value}")
        if isinstance(value, str) and ("\0" in value or not _encodes(value)):
            raise Wrong(f"no text for everybody: {value[:60]!r}")
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        if isinstance(value, list):
            waiting += value
    size = len(json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode())
    if size > EVENT_BYTES - ENVELOPE_BYTES:
        raise Wrong(f"{size} bytes")


def created(wish: dict[str, Any]) -> None:
    """The body of POST /createRoom: every state event that will come of it."""
    for event in wish.get("initial_state", []):
        check(event["type"], event["content"])
    check("m.room.create", wish.get("creation_content", {}))
    check("m.room.power_levels", wish.get("power_level_content_override", {}))
    check("m.room.name", {"name": wish.get("name", "")})
    check("m.room.topic", {"topic": wish.get("topic", "")})


def html(text: str) -> None:
    """Markup in Matrix's subset and nothing else."""
    if "<mx-reply" in text.lower():
        raise Wrong("the fallback of a reply, which nobody sends any more (v1.13)")
    body = LexborHTMLParser(f"<body>{text}").body
    waiting = [(node, 1) for node in _children(body)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEPTH:
            raise Wrong("nested too deeply")
        _element(node)
        waiting += [(child, depth + 1) for child in _children(node)]


def _element(node: LexborNode) -> None:
    name, attributes = node.tag or "", node.attributes
    if name not in _TAGS or not set(attributes) <= _ATTRIBUTES.get(name, set()):
        raise Wrong(f"<{name} {attributes}> is not in the subset")
    if name == "a" and "href" in attributes and urlsplit(attributes["href"] or "").scheme not in _SCHEMES:
        raise Wrong(f"a link to {attributes['href']}")
    if name == "img" and not Draft202012Validator(_MXC).is_valid(attributes.get("src")):
        raise Wrong(f"a picture from {attributes.get('src')}")
    if name == "code" and not (attributes.get("class") or "language-").startswith("language-"):
        raise Wrong(f"a class {attributes['class']}")


def _children(node: LexborNode | None) -> list[LexborNode]:
    return [] if node is None else [child for child in node.iter(include_text=False) if child.tag != "-comment"]


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
