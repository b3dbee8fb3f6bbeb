"""What may be set of a member, by the names that people set it with. Pure.

Some of it belongs to the person, some to the membership, some to the subscription of one mailbox.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from babel import Locale, UnknownLocaleError

from server import clock
from server.bridge import MODES
from server.errors import CommandError
from server.i18n import _
from server.people.membership import ROLES
from server.values import one_of, whole, yes_or_no

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
read_mode = one_of(*MODES)
read_role = one_of(*ROLES)
_read_state = one_of("active", "banned")
_read_via = one_of("new")
_read_weekday = one_of(*WEEKDAYS)


def _timezone(key: str, text: str) -> str:
    if clock.zone(text.strip()) is None:
        raise CommandError(
            _("{key} cannot be “{text}”: it is the name of a region, such as Europe/Lisbon or UTC.").format(
                key=key, text=text
            )
        )
    return text.strip()


def _language(key: str, text: str) -> str:
    """A BCP 47 tag in its usual spelling."""
    try:
        return str(Locale.parse(text.strip().replace("_", "-"), sep="-")).replace("_", "-")
    except (UnknownLocaleError, ValueError):
        raise CommandError(
            _("{key} cannot be “{text}”: it is a tag such as en or pt-BR.").format(key=key, text=text)
        ) from None


def _weekday(key: str, text: str) -> int:
    return WEEKDAYS.index(_read_weekday(key, text.strip().lower()))


_READ: Mapping[
    str, tuple[str, str, Callable[[str, str], Any]]
] = {  # by name: the table, the column, how its text is read
    "role": ("membership", "role", read_role),
    "may_post": ("membership", "may_post", yes_or_no),
    "hide_address": ("membership", "hide_address", yes_or_no),
    "delivery": ("subscription", "mode", read_mode),
    "conversations": ("subscription", "conversations", one_of("each", "digest", "none")),
    "own_posts": ("subscription", "own_posts", yes_or_no),
    "addressed": ("subscription", "addressed", one_of("forum", "direct")),
    "digest_hour": ("subscription", "digest_hour", whole(0, 23)),
    "digest_day": ("subscription", "digest_day", _weekday),
    "timezone": ("person", "timezone", _timezone),
    "language": ("person", "language", _language),
}
KEYS = ("name", *_READ, "state", "via")


@dataclass
class Wanted:
    """What is to be set, by the table that it stands in. `banned`: shut out, or let in again; `new_via`: another private address."""

    name: str | None = None
    person: dict[str, Any] = field(default_factory=dict)
    membership: dict[str, Any] = field(default_factory=dict)
    subscription: dict[str, Any] = field(default_factory=dict)
    banned: bool | None = None
    new_via: bool = False


def read(options: Mapping[str, str]) -> Wanted:
    """The values that the texts mean. Raises CommandError for an unknown key or a bad value."""
    wanted = Wanted()
    tables = {"person": wanted.person, "membership": wanted.membership, "subscription": wanted.subscription}
    for key, text in options.items():
        if key == "name":
            wanted.name = text
        elif key == "state":
            wanted.banned = _read_state(key, text) == "banned"
        elif key == "via":
            _read_via(key, text)
            wanted.new_via = True
        elif key in _READ:
            table, column, read_one = _READ[key]
            tables[table][column] = read_one(key, text)
        else:
            raise CommandError(
                _("There is no option {names}; there are: {known}.").format(names=key, known=", ".join(KEYS))
            )
    return wanted
