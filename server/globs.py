"""Globs over names that strangers choose: bans by pattern, a room's list of servers. Pure; part of the ground."""

from __future__ import annotations


def matches(pattern: str, text: str) -> bool:
    """Whether the glob covers the whole text: `*` is any text, `?` one letter; case counts.

    It goes on greedily, and where it fails the last `*` takes one letter more, so that it costs one length times the other at most.
    """
    at = star_at = 0
    place, star = 0, -1
    while at < len(text):
        letter = pattern[place : place + 1]
        if letter == "*":
            star, star_at = place, at
            place += 1
        elif letter in ("?", text[at]):
            place, at = place + 1, at + 1
        elif star >= 0:
            star_at += 1
            place, at = star + 1, star_at
        else:
            return False
    return not pattern[place:].strip("*")
