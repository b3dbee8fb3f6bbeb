"""What Mailman's exports say, in our words. Pure: text in, members and options out.

Mailman 2: `list_members -f LIST`, `config_list -o FILE LIST`. Mailman 3: `mailman members LIST`, and the JSON of its REST interface:
`/lists/LIST/roster/member` (or `/members/find`) and `/lists/LIST/config`.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from server import limits
from server.errors import CommandError
from server.i18n import _

_DIGESTS = ("plaintext_digests", "mime_digests", "summary_digests")
_ROLES = ("member", "moderator", "owner")
_WHOLE = str(limits.MESSAGE_BYTES)


@dataclass(slots=True)
class Settings:
    """Options of a forum by our names, and those settings of the export that we have nothing for."""

    taken: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


# Members --------------------------------------------------------------------------------------------------------------
def members(text: str) -> list[tuple[int, dict[str, str]]] | None:
    """Line (or place) and cells `address name delivery role` of each member; None if this is no export of Mailman's."""
    if text.lstrip()[:1] in ("{", "["):
        return _roster(_json(text))
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    full = [(number, line) for number, line in lines if line]
    if not full or "@" not in full[0][1] or "," in full[0][1].rpartition("<")[2]:
        return None
    return [(number, _mailbox(line)) for number, line in full]


def _mailbox(line: str) -> dict[str, str]:
    """`Name <address>`, or the address alone."""
    name, bracket, rest = line.rpartition("<")
    if not bracket:
        return {"address": line}
    return {"address": rest.rpartition(">")[0] or rest, "name": name.strip().strip('"').replace('\\"', '"')}


def _roster(found: Any) -> list[tuple[int, dict[str, str]]]:
    """A roster's entries. Who has several roles stands there several times, and is taken once."""
    entries = found.get("entries", []) if isinstance(found, dict) else found
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise CommandError(_("This JSON holds no members: it has no list of entries."))
    people: dict[str, tuple[int, dict[str, str]]] = {}
    for number, entry in enumerate(entries, 1):
        role = str(entry.get("role", "member"))
        if role not in _ROLES:
            continue  # who only wrote once, or may not
        address = _address(entry)
        before = people.get(address, (number, {"role": "member"}))
        cells = {"address": address, "name": str(entry.get("display_name") or "")}
        if role == "member":
            cells["delivery"] = _delivery(entry)
        cells["role"] = max(role, before[1]["role"], key=_ROLES.index)
        people[address] = (before[0], before[1] | cells)
    return list(people.values())


def _address(entry: Mapping[str, Any]) -> str:
    """The one field that is a bare address: display names have blanks, links have slashes."""
    words = (str(value) for key, value in entry.items() if key != "display_name")
    return next((word.lower() for word in words if "@" in word and not {"/", " "} & {*word}), "")


def _delivery(entry: Mapping[str, Any]) -> str:
    if entry.get("delivery_status", "enabled") != "enabled":
        return "none"
    return "daily" if entry.get("delivery_mode") in _DIGESTS else "each"


# Settings -------------------------------------------------------------------------------------------------------------
def settings(text: str, known: Mapping[str, Any]) -> Settings:
    """What an export of a list's settings says, of the options that are `known`. Raises CommandError for what is none."""
    if text.lstrip()[:1] == "{":
        return _told(_json(text), _OF_3, known)
    return _told(_assigned(text), _OF_2, known)


def _told(found: Any, means: Mapping[str, Callable[[Any], dict[str, str]]], known: Mapping[str, Any]) -> Settings:
    if not isinstance(found, dict) or not found.keys() & means.keys():
        raise CommandError(_("This is no export of a list's settings: it names none that we know."))
    told = Settings()
    for name, value in found.items():
        options = means[name](value) if name in means else {}
        taken = {key: text for key, text in options.items() if key in known}
        if not taken:
            told.left.append(name)
        for key, text in taken.items():
            told.taken.setdefault(key, text)
    return told


def _assigned(text: str) -> dict[str, Any]:
    """The assignments of a file that `config_list` wrote: names and literals, of which nothing is run."""
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CommandError(
            _("This is no export of a list's settings: it is neither JSON nor what config_list writes.")
        ) from None
    found: dict[str, Any] = {}
    for line in lines:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = ast.literal_eval(line.value)
            except (ValueError, TypeError, RecursionError, MemoryError):
                continue  # no setting has such a value
    return found


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CommandError(_("This JSON cannot be read.")) from None


def _title(value: Any) -> dict[str, str]:
    line = " ".join(str(value or "").split())[: limits.NAME_CHARS].strip()
    return {"title": line} if line else {}


def _text(option: str) -> Callable[[Any], dict[str, str]]:
    return lambda value: {option: str(value).strip()} if isinstance(value, str) and value.strip() else {}


def _flag(on: dict[str, str], off: dict[str, str] | None = None) -> Callable[[Any], dict[str, str]]:
    return lambda value: on if value in (1, True) else off or {}


def _one(meanings: Mapping[Any, dict[str, str]]) -> Callable[[Any], dict[str, str]]:
    return lambda value: meanings.get(value, {}) if isinstance(value, str | int) else {}


def _kilobytes(value: Any) -> dict[str, str]:
    if not isinstance(value, int) or value < 0:
        return {}
    return {"max_size": str(min(value * 1024, limits.MESSAGE_BYTES)) if value else _WHOLE}


def _recipients(value: Any) -> dict[str, str]:
    return {"max_recipients": str(min(value, 500))} if isinstance(value, int) and value >= 0 else {}


_OPEN, _APPROVAL = {"join": "open"}, {"join": "approval"}
_ANYONE, _HOLD, _REFUSE = {"post": "anyone"}, {"strangers": "hold"}, {"strangers": "refuse"}
_OF_2: dict[str, Callable[[Any], dict[str, str]]] = {
    "description": _title,
    "real_name": _title,
    "subscribe_policy": _one({0: _OPEN, 1: _OPEN, 2: _APPROVAL, 3: _APPROVAL}),
    "archive_private": _flag({"visibility": "members"}, {"visibility": "public"}),
    "generic_nonmember_action": _one({0: _ANYONE, 1: _HOLD, 2: _REFUSE, 3: _REFUSE}),
    "default_member_moderation": _flag({"post": "moderators"}),
    "emergency": _flag({"hold_all": "yes"}),
    "reply_goes_to_list": _one({0: {"reply_to": "author"}, 1: {"reply_to": "list"}}),
    "max_message_size": _kilobytes,
    "max_num_recipients": _recipients,
    "subject_prefix": _text("subject_prefix"),
    "msg_footer": _text("footer"),
}
_OF_3: dict[str, Callable[[Any], dict[str, str]]] = {
    "description": _title,
    "display_name": _title,
    "subscription_policy": _one(
        {"open": _OPEN, "confirm": _OPEN, "moderate": _APPROVAL, "confirm_then_moderate": _APPROVAL}
    ),
    "archive_policy": _one({"public": {"visibility": "public"}, "private": {"visibility": "members"}}),
    "default_nonmember_action": _one(
        {"accept": _ANYONE, "hold": _HOLD, "defer": _HOLD, "reject": _REFUSE, "discard": _REFUSE}
    ),
    "default_member_action": _one({"hold": {"post": "moderators"}, "reject": {"post": "moderators"}}),
    "emergency": _flag({"hold_all": "yes"}),
    "reply_goes_to_list": _one({"no_munging": {"reply_to": "author"}, "point_to_list": {"reply_to": "list"}}),
    "max_message_size": _kilobytes,
    "max_num_recipients": _recipients,
    "subject_prefix": _text("subject_prefix"),
}
