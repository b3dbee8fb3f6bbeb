"""Muting a thread by the link in a mail of it: looking changes nothing, the button does, and the same page takes it back."""

from __future__ import annotations

from typing import Any

from server.people import handles, identity, marks, membership, subscriptions
from tests.archive.sample import NOW
from tests.web.conftest import SECRET, Reader


def subscribed(reader: Reader, rows: dict[str, int]) -> tuple[str, int]:
    """Dora's link to the first thread of the forum, and her id."""

    def work(tx: Any) -> tuple[str, int]:
        known = identity.ensure(tx, "post", "dora@example.org", "Dora", NOW)
        subscription = membership.join(tx, rows["tides"], known.person_id, known.address_id, NOW)
        return handles.printed(tx, SECRET, "mute", subscription or 0), known.person_id

    return reader.home.store.write_now(work)


def mark(reader: Reader, person: int, forum: int) -> str | None:
    def work(tx: Any) -> str | None:
        thread = marks.thread(tx, forum, 1)
        assert thread is not None
        return marks.of(tx, person, thread.id)

    return reader.home.store.read_now(work)


async def test_the_button_mutes_and_takes_it_back(reader: Reader, rows: dict[str, int]) -> None:
    token, dora = subscribed(reader, rows)
    page = await reader.text(f"/mute/{token}/2")
    assert "Mute “Limpets”?" in page
    assert mark(reader, dora, rows["tides"]) is None
    done = await reader.submit(f"/mute/{token}/2", 200)
    assert "Set-Cookie" not in done.headers
    assert mark(reader, dora, rows["tides"]) == "muted"
    assert "Muted: “Limpets”" in await reader.text(f"/mute/{token}/1")
    await reader.submit(f"/mute/{token}/1", 200)
    assert mark(reader, dora, rows["tides"]) == "muted"
    await reader.submit(f"/mute/{token}/1", 200, undo="1")
    assert mark(reader, dora, rows["tides"]) is None


async def test_a_link_says_nothing_to_who_has_no_right_to_it(reader: Reader, rows: dict[str, int]) -> None:
    token, dora = subscribed(reader, rows)
    await reader.text(f"/mute/{'a' * 26}/1", status=404)
    await reader.text(f"/mute/{token}/99", status=404)
    reader.home.store.write_now(membership.leave, rows["tides"], dora)
    await reader.text(f"/mute/{token}/1", status=404)
    await reader.submit(f"/mute/{token}/1", 404)


async def test_the_token_that_leaves_does_not_mute(reader: Reader, rows: dict[str, int]) -> None:
    _token, dora = subscribed(reader, rows)

    def other(tx: Any) -> str:
        known = identity.find(tx, "post", "dora@example.org")
        assert known is not None
        row = subscriptions.at(tx, rows["tides"], known.address_id)
        assert row is not None
        return handles.printed(tx, SECRET, "leave", row.id)

    await reader.submit(f"/mute/{reader.home.store.read_now(other)}/1", 404)
    assert mark(reader, dora, rows["tides"]) is None
