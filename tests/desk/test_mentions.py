"""Who is named in a post gets it where they want answers only; not who wants nothing, nor who muted the thread."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from server.desk import linking
from server.people import identity, marks, membership
from server.store.schema import deliveries, mentions
from tests.desk.conftest import Table
from tests.desk.test_accept import rows


def receivers(table: Table) -> set[int]:
    posted = (deliveries.c.item_kind == "post", deliveries.c.channel == "post")
    return {row.address_id for row in rows(table, sa.select(deliveries.c.address_id).where(*posted))}


@pytest.fixture
def ana(table: Table) -> identity.Known:
    table.forum()
    return table.member("ana", mode="mentions")


def say(table: Table, *names: str, **more: Any) -> Any:
    return table.post("bruno", channel="room", name=f"${names}{more}", mentions=names, **more)


@pytest.mark.parametrize("by", ["key", "address"])
@pytest.mark.parametrize("mode", ["mentions", "topics"])
def test_who_is_named_gets_it(table: Table, by: str, mode: str) -> None:
    table.forum()
    ana = table.member("ana", mode=mode)
    table.do(identity.ensure, "room", "@ana@x.test", "", table.now)
    table.do(linking.merge, table.desk, 2, ana.person_id, "command")
    table.post("carla", channel="room", name="$root", text="root")
    before = receivers(table)
    say(table, "@ana@x.test" if by == "address" else ana.key, parents=("$root",))
    assert ana.address_id in receivers(table)
    assert (ana.address_id in before) == (mode == "topics")


def test_who_is_not_named_does_not(table: Table, ana: identity.Known) -> None:
    say(table, "nobody", "@eve@x.test")
    assert receivers(table) == set()
    assert rows(table, sa.select(mentions)) == []


@pytest.mark.parametrize("how", ["none", "muted", "left"])
def test_who_wants_nothing_of_it_does_not(table: Table, how: str) -> None:
    table.forum()
    ana = table.member("ana", mode="none" if how == "none" else "mentions")
    table.post("carla", channel="room", name="$root", text="root")
    if how == "muted":
        table.do(marks.put, ana.person_id, 1, marks.MUTED, table.now)
    elif how == "left":
        table.do(membership.leave, 1, ana.person_id)
    say(table, ana.key, parents=("$root",))
    assert receivers(table) == set()


def test_a_later_message_of_a_burst_names_too(table: Table, ana: identity.Known) -> None:
    table.post("bruno", channel="room", name="$1", text="first", gather=True)
    assert receivers(table) == set()
    table.post("bruno", channel="room", name="$2", text="second", gather=True, mentions=(ana.key, ana.key))
    assert receivers(table) == {ana.address_id}
    assert len(rows(table, sa.select(mentions))) == 1


def test_very_many_names_are_not_all_looked_up(table: Table, ana: identity.Known) -> None:
    say(table, *(f"k{n}" for n in range(60)), ana.key)
    assert receivers(table) == set()
