"""A message as it is written in a test, read as the bridge reads it."""

from __future__ import annotations

from bridges.email.addresses import Mailbox
from bridges.email.authentication import NOTHING_SAID
from bridges.email.parse import Mail, parse
from bridges.email.receive import inbound
from server.bridge import NewPost

NOW = 1_790_000_000_000


def mail(text: str | bytes, sender: str = "ana@members.test") -> Mail:
    raw = text if isinstance(text, bytes) else text.lstrip("\n").replace("\n", "\r\n").encode()
    return parse(raw, sender, "lists.test", NOW)


def post(text: str | bytes) -> NewPost:
    told = inbound(mail(text), Mailbox("tides"), NOTHING_SAID, "lists.test")
    assert isinstance(told, NewPost)
    return told


def header(name: str, value: str) -> Mail:
    return mail(f"From: ana@members.test\n{name}: {value}\n\nx\n")
