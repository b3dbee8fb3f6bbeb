"""A relay that says more than it was asked for is left, before what it says fills our memory."""

from __future__ import annotations

import asyncio

from bridges.email import wire
from bridges.email.tests.scripted_relay import relay
from bridges.email.tests.test_send import Sending, sending
from server.bridge import Later, Sent

__all__ = ["sending"]  # the fixture


async def test_a_relay_that_says_more_than_was_asked_is_away(sending: type[Sending]) -> None:
    async with relay(greeting="220-and more\r\n" * wire.UNREAD_REPLIES + "220 relay.test") as far:
        assert all(isinstance(outcome, Sent) for outcome in await sending(far.url).lot(3))
    async with relay(greeting="220-and more\r\n" * wire.UNREAD_REPLIES + "220-and more") as far:
        found = await sending(far.url).lot(3)
        assert all(isinstance(outcome, Later) and "says more than was asked" in outcome.detail for outcome in found)


async def test_answers_that_nobody_asked_for_are_not_kept() -> None:
    class Line(asyncio.Transport):
        ended = False

        def abort(self) -> None:
            self.ended = True

    line, ours = Line(), wire.Connection()
    ours.connection_made(line)
    ours.data_received(b"250 ok\r\n" * wire.UNREAD_REPLIES)
    assert not line.ended
    ours.data_received(b"250 ok\r\n")
    assert line.ended
