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
    token = store.write_now(handles.printed, SECRET, "leave", 7, NOW)
    assert store.write_now(handles.printed, SECRET, "leave", 7, NOW + 1) == token
    assert store.write_now(handles.printed, SECRET, "bounces", 7, NOW) != token
    found = store.read_now(handles.redeem, "leave", token.upper(), NOW + 10**12)
    assert found is not None
    assert found.thing_id == 7
    assert store.read_now(handles.redeem, "bounces", token, NOW) is None


def test_tokens_of_many_targets_are_those_of_each(store: Store) -> None:
    one = store.write_now(handles.printed, SECRET, "leave", 3, NOW)
    many = store.write_now(handles.printed_many, SECRET, "leave", range(1, 1_201), NOW)
    again = store.write_now(handles.printed_many, SECRET, "leave", range(1, 1_201), NOW)
    assert many == again
    assert many[3] == one
    assert store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(tokens))) == 1_200
    assert store.write_now(handles.printed_many, SECRET, "leave", [], NOW) == {}


def test_no_token_is_in_the_database(store: Store) -> None:
    token = store.write_now(handles.printed, SECRET, "leave", 7, NOW)
    secret = store.write_now(handles.grant, "sign-in", 1, {"next": "/f/x"}, NOW, 1_000)

    def everything(tx: Connection) -> str:
        return repr(tx.execute(sa.select(tokens)).all())

    kept = store.read_now(everything)
    assert token not in kept
    assert secret not in kept


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
    for nonsense in ("", "x", "a" * 26, "é" * 26, "a" * 10_000):
        assert store.read_now(handles.redeem, "api", nonsense, NOW) is None


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
