"""Tokens and sessions."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from server.people import handles, sessions
from server.store.db import Store
from server.store.schema import sessions as session_table
from server.store.schema import tokens
from tests.people.conftest import NOW, Place

SECRET = b"s" * 32


def test_a_printed_token_is_the_same_for_ever_and_leads_to_its_thing(store: Store) -> None:
    token = store.read_now(handles.printed, SECRET, "leave", 7)
    assert store.read_now(handles.printed, SECRET, "leave", 7) == token
    assert store.read_now(handles.printed_on, SECRET, "leave", token) == 7
    assert store.read_now(handles.printed_on, SECRET, "leave", f" {token.upper()}\n") == 7


def test_kinds_and_servers_never_mix(store: Store) -> None:
    leave = store.read_now(handles.printed, SECRET, "leave", 7)
    bounces = store.read_now(handles.printed, SECRET, "bounces", 7)
    assert leave != bounces
    assert store.read_now(handles.printed_on, SECRET, "bounces", leave) is None
    assert store.read_now(handles.printed_on, b"t" * 32, "leave", leave) is None
    assert store.read_now(handles.redeem, "leave", leave, NOW) is None
    granted = store.write_now(handles.grant, "leave", 7, {}, NOW, 1_000)
    assert store.read_now(handles.printed_on, SECRET, "leave", granted) is None


def test_a_printed_token_with_any_letter_changed_leads_nowhere(store: Store) -> None:
    token = store.read_now(handles.printed, SECRET, "leave", 7)
    for at, letter in enumerate(token):
        other = token[:at] + ("a" if letter != "a" else "b") + token[at + 1 :]
        assert store.read_now(handles.printed_on, SECRET, "leave", other) is None


def test_tokens_of_many_targets_are_those_of_each(store: Store) -> None:
    many = store.read_now(handles.printed_many, SECRET, "leave", range(1, 1_201))
    assert many[3] == store.read_now(handles.printed, SECRET, "leave", 3)
    assert len(set(many.values())) == 1_200
    assert all(store.read_now(handles.printed_on, SECRET, "leave", token) == thing for thing, token in many.items())
    assert store.read_now(handles.printed_many, SECRET, "leave", []) == {}


def test_neighbours_have_nothing_in_common(store: Store) -> None:
    many = store.read_now(handles.printed_many, SECRET, "leave", range(1, 1_201))
    assert len({token[:8] for token in many.values()}) == 1_200  # where the id is: masked anew for each


def test_a_replaced_token_is_worth_nothing_and_the_new_one_is(store: Store) -> None:
    old = store.read_now(handles.printed, SECRET, "via", 7)
    neighbour = store.read_now(handles.printed, SECRET, "via", 8)
    new = store.write_now(handles.replace, SECRET, "via", 7, NOW)
    newest = store.write_now(handles.replace, SECRET, "via", 7, NOW)
    assert len({old, new, newest}) == 3
    assert [store.read_now(handles.printed_on, SECRET, "via", token) for token in (old, new, newest)] == [None, None, 7]
    many = store.read_now(handles.printed_many, SECRET, "via", range(6, 9))
    assert (many[7], many[8]) == (newest, neighbour)
    assert (
        store.read_now(handles.printed_on, SECRET, "bounces", store.read_now(handles.printed, SECRET, "bounces", 7))
        == 7
    )


def test_no_token_is_in_the_database(store: Store) -> None:
    tokens_given = [
        store.read_now(handles.printed, SECRET, "leave", 7),
        store.write_now(handles.replace, SECRET, "leave", 7, NOW),
        store.write_now(handles.grant, "sign-in", 1, {"next": "/f/x"}, NOW, 1_000),
    ]

    def everything(tx: Connection) -> str:
        return repr(tx.execute(sa.select(tokens)).all())

    kept = store.read_now(everything)
    assert not any(token in kept for token in tokens_given)


def test_a_grant_is_good_once_and_for_its_time(store: Store) -> None:
    token = store.write_now(handles.grant, "sign-in", 5, {"next": "/f/x"}, NOW, 1_000)
    found = store.read_now(handles.redeem, "sign-in", token, NOW + 999)
    assert found is not None
    assert (found.thing_id, found.data) == (5, {"next": "/f/x"})
    assert store.read_now(handles.redeem, "sign-in", token, NOW + 1_000) is None
    assert store.write_now(handles.use, found.id, NOW) is True
    assert store.write_now(handles.use, found.id, NOW) is False
    assert store.read_now(handles.redeem, "sign-in", token, NOW) is None


def test_what_is_made_up_leads_nowhere(store: Store) -> None:
    store.write_now(handles.grant, "api", 5, {}, NOW, 1_000)
    for nonsense in ("", "x", "a" * 26, "é" * 26, "\u212a" * 26, "a" * 10_000):
        assert store.read_now(handles.redeem, "api", nonsense, NOW) is None
        assert store.read_now(handles.printed_on, SECRET, "leave", nonsense) is None


def test_a_session_is_its_persons_until_it_is_over_or_closed(place: Place) -> None:
    cookie = place.do(sessions.open, place.ana.person_id, NOW)
    assert place.see(sessions.person_of, cookie, NOW) == place.ana.person_id
    assert place.see(sessions.person_of, cookie, NOW + sessions.LIFE_MS) is None
    assert place.see(sessions.person_of, "nonsense", NOW) is None
    place.do(sessions.close, cookie)
    assert place.see(sessions.person_of, cookie, NOW) is None


def test_old_sessions_are_swept_when_a_new_one_begins(place: Place) -> None:
    place.do(sessions.open, place.ana.person_id, NOW)
    place.do(sessions.open, place.ana.person_id, NOW + sessions.LIFE_MS)
    assert place.see(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(session_table))) == 1
