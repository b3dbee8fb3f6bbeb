"""People and their addresses."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from server.errors import NotFound, Rejected
from server.people import identity
from server.store.db import Store
from server.store.schema import people
from tests.people.conftest import NOW


def _count(tx: Connection) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(people)) or 0


def test_an_address_leads_to_one_person_however_often_it_is_met(store: Store) -> None:
    first = store.write_now(identity.ensure, "post", "ana@x.example", "Ana", NOW)
    again = store.write_now(identity.ensure, "post", "ana@x.example", "Ana", NOW + 1)
    assert first == again == store.read_now(identity.find, "post", "ana@x.example")
    assert store.read_now(_count) == 1
    assert store.read_now(identity.find, "chat", "ana@x.example") is None


def test_a_name_fills_an_empty_one_and_replaces_none(store: Store) -> None:
    assert store.write_now(identity.ensure, "post", "ana@x.example", "", NOW).name == ""
    assert store.write_now(identity.ensure, "post", "ana@x.example", " Ana ", NOW).name == "Ana"
    assert store.write_now(identity.ensure, "post", "ana@x.example", "Eve", NOW).name == "Ana"
    known = store.read_now(identity.find, "post", "ana@x.example")
    assert known is not None
    store.write_now(identity.rename, known.person_id, "Ana Sá")
    assert store.read_now(identity.person, known.person_id).name == "Ana Sá"


def test_nothing_of_the_address_is_in_the_key(store: Store) -> None:
    known = store.write_now(identity.ensure, "post", "ana@x.example", "Ana", NOW)
    assert len(known.key) == 16
    assert "ana" not in known.key or known.key.isalnum()


def test_a_room_is_nobody(store: Store) -> None:
    room = store.write_now(identity.ensure_room, "chat", "!pools:x.example", NOW)
    assert store.write_now(identity.ensure_room, "chat", "!pools:x.example", NOW) == room
    assert store.read_now(identity.find, "chat", "!pools:x.example") is None
    with pytest.raises(Rejected):
        store.write_now(identity.ensure, "chat", "!pools:x.example", "Room", NOW)
    with pytest.raises(NotFound):
        store.read_now(identity.person_at, room)
    assert store.read_now(_count) == 0


def test_a_person_is_no_room(store: Store) -> None:
    known = store.write_now(identity.ensure, "chat", "@ana:x.example", "Ana", NOW)
    assert store.read_now(identity.person_at, known.address_id) == known.person_id
    with pytest.raises(Rejected):
        store.write_now(identity.ensure_room, "chat", "@ana:x.example", NOW)


def test_the_verified_address_is_the_one_to_write_to(store: Store) -> None:
    known = store.write_now(identity.ensure, "post", "ana@old.example", "Ana", NOW)
    assert store.read_now(identity.address_of, known.person_id, "post") == "ana@old.example"
    assert store.read_now(identity.address_of, known.person_id, "chat") is None

    def second(tx: Connection) -> None:
        other = identity.ensure(tx, "post", "ana@new.example", "", NOW, verified=True)
        tx.execute(
            sa.text("UPDATE addresses SET person_id = :p WHERE id = :a"), {"p": known.person_id, "a": other.address_id}
        )

    store.write_now(second)
    assert store.read_now(identity.address_of, known.person_id, "post") == "ana@new.example"


def test_nobody_is_behind_an_unknown_number(store: Store) -> None:
    with pytest.raises(NotFound):
        store.read_now(identity.person, 99)
