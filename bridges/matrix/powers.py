"""Who may do what in a room, as its power levels say. Pure: what there is and who has which place, to what there should be.

Since room version 12 those who made a room stand above every level and may not be named in one (MSC4289); before, whoever is left out of
an override is nobody.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from server.bridge import StateItem

CREATORS_STAND_ABOVE = 12  # the room version since which they do
ABOVE_ALL = 2**52  # the level of such a creator, in numbers that JSON can hold
BOT = 150  # of the bot in older rooms: above owners, so that who is no owner any more can be made none
NOBODY = 151
OWNER, MODERATOR, MUTED = 100, 50, -1
Levels = dict[str, Any]
Given = dict[str, int]


def stands_above(version: str) -> bool:
    """Whether who makes a room of this version stands above its levels. A version that is no number is newer than all that are."""
    return not version.isdecimal() or int(version) >= CREATORS_STAND_ABOVE


def at_first(bot: str, version: str, is_space: bool = False) -> Levels:
    """What a room is made with; an override replaces the homeserver's own map, so its usual guards are named here."""
    above = stands_above(version)
    levels: Levels = {"events": {} if is_space else guarded(ABOVE_ALL if above else BOT), "invite": MODERATOR}
    return levels if above else levels | {"users": {bot: BOT}}


def guarded(own: int) -> dict[str, int]:
    """Levels of kinds of events. `own`: nobody can guard what is above themselves."""
    return {
        "m.room.encryption": min(NOBODY, own),  # nobody closes the room's text to the archive
        "m.room.tombstone": 100,
        "m.room.power_levels": 100,
        "m.room.history_visibility": 100,
        "m.room.server_acl": 100,
        "m.room.canonical_alias": 50,
        "m.room.name": 50,
        "m.room.avatar": 50,
        "m.room.topic": 50,
    }


def level(now: Levels, creators: Collection[str], user: str) -> int:
    """What that user can do."""
    if user in creators:
        return ABOVE_ALL
    users = now.get("users")
    found = users.get(user) if isinstance(users, dict) else None
    usual = now.get("users_default", 0)
    return found if isinstance(found, int) else usual if isinstance(usual, int) else 0


def wanted(now: Levels, item: StateItem, given: Given, creators: Collection[str], bot: str) -> tuple[Levels, Given]:
    """The levels as they should be, and those that stand there because of the forum. What others gave is left to them.

    `given`: what stood there because of the forum before. Who has as much as the bot is out of its reach.
    """
    own = level(now, creators, bot)
    places = dict.fromkeys(item.muted, MUTED) | dict.fromkeys(item.moderators, MODERATOR)
    places |= dict.fromkeys(item.owners, OWNER)
    places = {user: wish for user, wish in places.items() if user not in creators and user != bot and wish <= own}
    users = {user: found for user, found in _object(now, "users").items() if isinstance(found, int)}
    for user, stood in given.items():
        if user not in places and users.get(user) == stood and stood < own:
            del users[user]
    for user, wish in places.items():
        there = users.get(user)
        if there is None or (there < own and (wish > there or user in given or wish == MUTED)):
            users[user] = wish
    events = _object(now, "events")
    if own >= OWNER:
        events["m.room.encryption"] = max(_number(events, "m.room.encryption"), min(NOBODY, own))
    levels = now | {"users": users, "events": events}
    if own >= OWNER and _number(now, "invite") < MODERATOR:
        levels["invite"] = MODERATOR
    return levels, {user: wish for user, wish in places.items() if users.get(user) == wish}


def _object(levels: Levels, key: str) -> dict[str, Any]:
    found = levels.get(key)
    return dict(found) if isinstance(found, dict) else {}


def _number(levels: Levels, key: str) -> int:
    found = levels.get(key, 0)
    return found if isinstance(found, int) else 0
