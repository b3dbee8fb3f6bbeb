"""Power levels: everybody has what their place in the forum gives, and what others gave is left to them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.matrix import powers
from server.bridge import StateItem
from tests.fakes import forum

BOT, ANA, BO, EVE = "@_junto_bot:hs.test", "@ana:hs.test", "@bo:hs.test", "@eve:hs.test"


def item(**who: tuple[str, ...]) -> StateItem:
    return StateItem(forum(), **who)


@pytest.mark.parametrize(
    ("version", "above"), [("1", False), ("9", False), ("11", False), ("12", True), ("org.x", True)]
)
def test_who_stands_above(version: str, above: bool) -> None:
    assert powers.stands_above(version) is above
    assert (BOT in powers.at_first(BOT, version).get("users", {})) is not above


def test_places_become_levels_and_go_again() -> None:
    now = powers.at_first(BOT, "11")
    there, stands = powers.wanted(now, item(owners=(ANA,), moderators=(BO,), muted=(EVE,)), {}, [], BOT)
    assert there["users"] == {BOT: 150, ANA: 100, BO: 50, EVE: -1}
    assert stands == {ANA: 100, BO: 50, EVE: -1}
    assert powers.wanted(there, item(moderators=(ANA,)), stands, [], BOT)[0]["users"] == {BOT: 150, ANA: 50}


def test_what_others_gave_is_theirs() -> None:
    now = {"users": {BOT: 100, ANA: 100, BO: 75}}
    there, stands = powers.wanted(now, item(moderators=(ANA, BO)), {}, [], BOT)
    assert there["users"] == now["users"]
    assert stands == {}
    assert powers.wanted(there, item(), stands, [], BOT)[0]["users"] == now["users"]


def test_a_creator_is_never_named() -> None:
    there, stands = powers.wanted({"users": {BOT: 100}}, item(owners=(ANA, BO)), {}, [ANA], BOT)
    assert there["users"] == {BOT: 100, BO: 100}
    assert stands == {BO: 100}


def test_a_bot_without_power_changes_nothing() -> None:
    now = {"users": {ANA: 100}, "events": {"m.room.name": 50}}
    assert powers.wanted(now, item(owners=(BO,), muted=()), {}, [], BOT) == (now, {})


_LEVEL = st.integers(-5, 200)
_USERS = st.dictionaries(st.sampled_from([BOT, ANA, BO, EVE]), _LEVEL)
_SOME = st.lists(st.sampled_from([ANA, BO, EVE]), unique=True).map(tuple)
_ODD: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "users": _USERS | st.text(),
        "events": st.none() | st.dictionaries(st.text(), _LEVEL),
        "users_default": _LEVEL,
    },
)


@given(_ODD, _SOME, _SOME, _SOME, st.dictionaries(st.sampled_from([ANA, BO, EVE]), _LEVEL), st.booleans())
def test_nothing_is_asked_for_that_a_homeserver_forbids(
    now: dict[str, Any],
    owners: tuple[str, ...],
    moderators: tuple[str, ...],
    muted: tuple[str, ...],
    before: dict[str, int],
    bot_made_it: bool,
) -> None:
    """Nobody is raised above the bot, who stands as high is left alone, and twice is once (room version 11, rule 9)."""
    creators = [BOT] if bot_made_it else []
    who = item(owners=owners, moderators=moderators, muted=muted)
    there, stands = powers.wanted(now, who, before, creators, BOT)
    own = powers.level(now, creators, BOT)
    found = now.get("users")
    old = found if isinstance(found, dict) else {}
    for user in {*old, *there["users"]} - {BOT}:
        if old.get(user) != there["users"].get(user):
            assert old.get(user, own - 1) < own or own == powers.ABOVE_ALL
            assert there["users"].get(user, own) <= own
    assert powers.wanted(there, who, stands, creators, BOT) == (there, stands)
