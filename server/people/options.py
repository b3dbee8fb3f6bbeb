"""What may be set of a member, by the names that people set it with. Pure.

Some of it belongs to the person, some to the membership, some to the subscription of one mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from babel import Locale, UnknownLocaleError

from server import clock
from server.bridge import MODES
from server.desk.options import one_of, whole, yes_or_no
from server.errors import CommandError
from server.i18n import _
from server.people.membership import ROLES

read_mode = one_of(*MODES)
read_role = one_of(*ROLES)
_read_conversations = one_of("each", "digest", "none")
_read_addressed = one_of("forum", "direct")
_read_state = one_of("active", "banned")
_read_via = one_of("new")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_read_day = one_of(*WEEKDAYS)
_read_hour = whole(0, 23)
KEYS = (
    *("name", "role", "delivery", "conversations", "own_posts", "addressed", "hide_address", "may_post", "state"),
    *("digest_hour", "digest_day", "timezone", "language", "via"),
)


@dataclass
class Wanted:
    """What is to be set, by the table that it stands in. `new_via`: another private address."""

    name: str | None = None
    person: dict[str, Any] = field(default_factory=dict)
    membership: dict[str, Any] = field(default_factory=dict)
    subscription: dict[str, Any] = field(default_factory=dict)
    new_via: bool = False


def read(options: Mapping[str, str]) -> Wanted:
    """The values that the texts mean. Raises CommandError for an unknown key or a bad value."""
    wanted = Wanted()
    for key, text in options.items():
        match key:
            case "name":
                wanted.name = text
            case "role":
                wanted.membership["role"] = read_role(key, text)
            case "state":
                wanted.membership["state"] = _read_state(key, text)
            case "may_post":
                wanted.membership["may_post"] = yes_or_no(key, text)
            case "delivery":
                wanted.subscription["mode"] = read_mode(key, text)
            case "own_posts":
                wanted.subscription["own_posts"] = yes_or_no(key, text)
            case "conversations":
                wanted.subscription["conversations"] = _read_conversations(key, text)
            case "hide_address":
                wanted.membership["hide_address"] = yes_or_no(key, text)
            case "addressed":
                wanted.subscription["addressed"] = _read_addressed(key, text)
            case "digest_hour":
                wanted.subscription["digest_hour"] = _read_hour(key, text)
            case "digest_day":
                wanted.subscription["digest_day"] = WEEKDAYS.index(_read_day(key, text.strip().lower()))
            case "timezone":
                wanted.person["timezone"] = _timezone(key, text)
            case "via":
                _read_via(key, text)
                wanted.new_via = True
            case "language":
                wanted.person["language"] = _language(key, text)
            case _:
                raise CommandError(
                    _("There is no option {names}; there are: {known}.").format(names=key, known=", ".join(KEYS))
                )
    return wanted


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
