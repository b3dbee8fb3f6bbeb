"""The bridge as the server meets it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from bridges.email import Settings, create
from bridges.email.bridge import EmailBridge
from bridges.email.tests import scripted_relay
from bridges.email.tests.dialogue import speak
from server.bridge import (
    Claims,
    Community,
    Forum,
    ForumDefaults,
    Later,
    Lot,
    NoticeItem,
    Outcome,
    Post,
    Sent,
    Source,
    Target,
    Ways,
    Writer,
)
from server.errors import ConfigError
from tests.fakes import RecordingHouse, forum


def bridge(house: RecordingHouse | None = None, **changes: str) -> EmailBridge:
    made = create(
        house or RecordingHouse(),
        Settings.model_validate({"domain": "lists.test", "listen": "", "dkim_selector": ""} | changes),
    )
    assert isinstance(made, EmailBridge)
    return made


def post(of: Forum, subject: str = "Barnacles & Co") -> Post:
    return Post(
        id=1, forum=of, number=7, url=f"{of.url}/7", message_id="<a+b@lists.test>", channel="web", writer=Writer("k", "Ana"),
        subject=subject, text="x", html="<p>x</p>", fresh_text="x", fresh_html="<p>x</p>", files=(), written_at=1_790_000_000_000,
    )  # fmt: skip


def test_it_has_the_abilities_that_the_server_asks_for() -> None:
    for ability in (Claims, ForumDefaults, Source, Ways):
        assert isinstance(bridge(), ability)


def test_mail_cannot_be_taken_back_and_is_tried_for_five_days() -> None:
    traits = EmailBridge.traits
    assert (traits.takes_back, traits.ordered, traits.tends) == (False, False, False)
    assert (traits.backoff_ms[0], traits.backoff_ms[-1]) == (60_000, 16 * 3_600_000)
    assert list(traits.backoff_ms) == sorted(traits.backoff_ms)
    assert traits.give_up_ms == 5 * 86_400_000


def test_addresses_of_mail_are_claimed_and_no_others() -> None:
    assert bridge().claims("Ana@Example.ORG") == "ana@example.org"
    assert bridge().claims("@ana:example.org") is None
    assert bridge().claims("ana") is None


def test_a_new_forum_gets_the_mail_domain() -> None:
    assert bridge().forum_defaults() == {"mail_domain": "lists.test"}


def test_a_reply_by_mail_lands_in_the_thread() -> None:
    (way,) = bridge().ways(forum("tides"), post(forum("tides")))
    parts = urlsplit(way.url)
    assert (parts.scheme, unquote(parts.path), way.shown) == ("mailto", "tides@lists.test", "tides@lists.test")
    assert parse_qs(parts.query) == {"subject": ["Re: Barnacles & Co"], "In-Reply-To": ["<a+b@lists.test>"]}
    assert "+" not in parts.query  # RFC 6068 section 5: a plus is a plus, not a blank


def test_re_is_said_once() -> None:
    (way,) = bridge().ways(forum("tides"), post(forum("tides"), "RE: it"))
    assert parse_qs(urlsplit(way.url).query)["subject"] == ["RE: it"]


def test_a_new_thread_by_mail() -> None:
    assert [way.url for way in bridge().ways(forum("tides"), None)] == ["mailto:tides@lists.test"]


def test_the_source_of_a_post_is_a_message() -> None:
    raw = bridge().source(post(forum("tides", community=Community("shore", "Shore", "https://talk.test/c/shore"))), {})
    assert b"Message-ID: <a+b@lists.test>\r\n" in raw


@asynccontextmanager
async def running(one: EmailBridge) -> AsyncIterator[None]:
    task = asyncio.ensure_future(one.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 20)


async def reported(house: RecordingHouse, ok: bool) -> None:
    async with asyncio.timeout(20):
        while house.health is None or house.health[0] is not ok:
            await asyncio.sleep(0.01)


async def test_it_listens_until_it_is_cancelled() -> None:
    house = RecordingHouse()
    async with silent() as (_, port):
        pass  # a port that was free a moment ago
    one = bridge(house, listen=f"127.0.0.1:{port}")
    async with running(one):
        await reported(house, True)
        await speak(port, "S: 220 lists.test ESMTP\nC: QUIT\nS: 221")
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize("key", ["listen", "lmtp_listen"])
async def test_a_port_that_is_taken_ends_it_with_a_sentence_that_names_the_setting(key: str) -> None:
    house = RecordingHouse()
    async with silent() as (_, port):
        with pytest.raises(ConfigError) as caught:
            await asyncio.wait_for(bridge(house, **{key: f"127.0.0.1:{port}"}).run(), 20)
    sentence = (
        f"[email] {key} = 127.0.0.1:{port}: address already in use: end what uses that port, or choose another one"
    )
    assert str(caught.value) == sentence
    assert house.health == (False, sentence)


async def sent(one: EmailBridge) -> list[Outcome]:
    """What becomes of one notice."""
    outcomes: list[Outcome] = []
    item = NoticeItem(1, None, "Hello", "Hello", "<n@lists.test>")
    await one.deliver(Lot(item, (Target(1, 1, "ana@members.test"),), "key"), lambda _to, what: outcomes.append(what))
    return outcomes


async def test_open_doors_do_not_hide_that_the_relay_is_away() -> None:
    house = RecordingHouse()
    async with silent() as (_, port):
        pass  # nobody is there any more
    one = bridge(house, relay=f"smtp://127.0.0.1:{port}")
    assert [type(outcome) for outcome in await sent(one)] == [Later]
    away = house.health
    assert away is not None
    assert (away[0], "is away" in away[1]) == (False, True)
    house.health = None
    async with running(one):
        await reported(house, False)
        assert house.health == away


async def test_a_relay_that_works_does_not_hide_that_no_mail_can_come_in() -> None:
    house = RecordingHouse()
    async with silent() as (_, port), scripted_relay.relay() as far:
        one = bridge(house, listen=f"127.0.0.1:{port}", relay=far.url)
        with pytest.raises(ConfigError) as caught:
            await asyncio.wait_for(one.run(), 20)
        house.health = None
        assert [type(outcome) for outcome in await sent(one)] == [Sent]
        assert house.health == (False, str(caught.value))
        await one._sender.close()


async def test_both_directions_that_work_are_ok() -> None:
    house = RecordingHouse()
    async with scripted_relay.relay() as far:
        one = bridge(house, relay=far.url)
        async with running(one):
            await reported(house, True)
            house.health = None
            assert [type(outcome) for outcome in await sent(one)] == [Sent]
            assert house.health == (True, "")


async def test_closed_doors_are_no_error() -> None:
    house = RecordingHouse()
    async with running(bridge(house)):
        await reported(house, True)


@asynccontextmanager
async def silent(banner: bytes = b"") -> AsyncIterator[tuple[asyncio.Server, int]]:
    """A server that says its banner and nothing else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(banner)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server, server.sockets[0].getsockname()[1]
