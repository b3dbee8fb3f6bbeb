"""That our rspamd is one: what it knows by itself, and what our rules add."""

from __future__ import annotations

import json
import urllib.request

import pytest

from tests.peers import rspamd as peer
from tests.peers.rspamd import Rspamd


@pytest.mark.parametrize(
    ("subject", "body", "action"),
    [
        ("hello", "hello", "no action"),
        ("hello", peer.REJECT, "reject"),
        ("hello", peer.ADD_HEADER, "add header"),
        ("hello", peer.REWRITE_SUBJECT, "rewrite subject"),
        (peer.COME_AGAIN, "hello", "soft reject"),
        (peer.FIVE_POINTS, "hello", "greylist"),
    ],
)
def test_it_judges(rspamd: Rspamd, subject: str, body: str, action: str) -> None:
    message = f"From: ana@x.test\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()
    with urllib.request.urlopen(rspamd.url + "/checkv2", data=message, timeout=20) as answer:
        assert json.load(answer)["action"] == action
