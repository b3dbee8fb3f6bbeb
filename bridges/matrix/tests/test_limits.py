"""Limits of the homeserver: which are waited for, and how long."""

from __future__ import annotations

import pytest

from bridges.matrix import MatrixBridge, wire
from bridges.matrix.tests.homeserver import Homeserver, error
from bridges.matrix.tests.samples import post
from bridges.matrix.tests.test_say import once, say
from server.bridge import Failed, Later, PostItem


async def test_a_rate_limit_may_name_a_date(bridge: MatrixBridge, homeserver: Homeserver) -> None:
    homeserver.before = once("/send/", lambda: error(429, "M_LIMIT_EXCEEDED", after="Fri, 31 Dec 2100 23:59:59 GMT"))
    outcome = await say(bridge, PostItem(post()))
    assert isinstance(outcome, Later)
    assert outcome.after_ms == 24 * 60 * 60 * 1000  # nobody is waited for longer than a day at a time


@pytest.mark.parametrize("header", ["", "-1", "soon", "9" * 400, "²"])
def test_a_pause_that_is_none_is_the_outbox_s_own(header: str) -> None:
    assert wire.retry_after(header, 0) in (None, 24 * 60 * 60 * 1000)


async def test_limits_that_waiting_does_not_lift_are_not_waited_for(
    bridge: MatrixBridge, homeserver: Homeserver
) -> None:
    homeserver.before = once("/send/", lambda: error(429, "M_USER_LIMIT_EXCEEDED", after=1))
    assert isinstance(await say(bridge, PostItem(post())), Failed)
    homeserver.before = once("/send/", lambda: error(403, "M_RESOURCE_LIMIT_EXCEEDED", after=1))
    outcome = await say(bridge, PostItem(post()), "another")
    assert isinstance(outcome, Later)
    assert outcome.after_ms == 60 * 60 * 1000  # its operator must do something first
