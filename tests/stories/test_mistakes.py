"""Ordinary mistakes of somebody who only uses mail, with programs and servers that people use: each is answered, once, with what helps."""

from __future__ import annotations

import asyncio
import itertools
import smtplib
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.store.schema import posts, thread_marks
from tests.peers.dovecot import Dovecot
from tests.peers.postfix import Postfix
from tests.stories.test_mail_programs import by_mutt, members
from tests.stories.town import Town, letter, read, town

NAMES = itertools.count()
NOT_FOUND = "No command was found in your mail, so nothing was done."


@pytest.fixture
async def shore(tmp_path: Path, database: str, postfix: Postfix) -> AsyncIterator[Town]:
    domain = postfix.list_domain()
    mail = {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}", "trusted_networks": ["127.0.0.0/8"]}
    async with town(tmp_path, database, {"email": mail}) as place:
        postfix.route(domain, place.ports["lmtp"])
        yield place


class Ana:
    """She writes with swaks, and reads over IMAP."""

    def __init__(self, swaks: str, postfix: Postfix, dovecot: Dovecot, address: str) -> None:
        self.address = address
        self._swaks, self._postfix, self._dovecot, self._seen = swaks, postfix, dovecot, 0

    async def writes(self, to: str, subject: str, body: str, html: bool = False, sender: str = "") -> None:
        by = sender or self.address
        raw = letter(f"Ana <{by}>", to, subject, body, f"<{next(NAMES)}@ana.test>")
        raw = raw.replace(b"text/plain", b"text/html") if html else raw
        argv = [self._swaks, "--server", "127.0.0.1", "--port", str(self._postfix.port), "--from", by, "--to", to]
        await asyncio.to_thread(
            subprocess.run, [*argv, "--data", "-"], input=raw, check=True, capture_output=True, timeout=60
        )

    async def is_told(self, whom: str = "") -> str:
        """The text of the next mail, its text alone where it has a report beside it."""
        count = 1 if whom else self._seen + 1
        got = await asyncio.to_thread(self._dovecot.wait_for, whom or self.address, count)
        assert len(got) == count
        self._seen += not whom
        text = read(got[-1]).get_body(("plain",))
        assert text is not None
        return str(text.get_content())


async def test_each_mistake_is_answered_with_what_helps(
    shore: Town, postfix: Postfix, dovecot: Dovecot, program: Callable[[str], str], tmp_path: Path
) -> None:
    domain = members(postfix, dovecot)
    ana = Ana(program("swaks"), postfix, dovecot, f"ana@{domain}")
    pools = await shore.forum("pools")
    request = pools.replace("@", "-request@")
    for name in ("ana", "bo"):
        await shore.member("pools", f"{name}@{domain}", name.title())
    bo = f"bo@{domain}"
    await asyncio.to_thread(postfix.send, letter(bo, pools, "Limpets", "How?\n", "<l@x.test>"), bo, pools)
    assert "How?" in await ana.is_told()

    for subject, body in (("", ""), ("subscrieb", ""), ("hi", "unsubscibe pools\n"), ("Re: mute 1", "")):
        await ana.writes(request, subject, body)
        assert (await ana.is_told()).startswith(NOT_FOUND), (subject, body)
    await ana.writes(request, "who am i", "delivery topics\n")
    told = await ana.is_told()
    assert ana.address in told
    assert "delivery: topics" in told
    await ana.writes(request, "hi", "<div>mute 1</div><br><div>Ana</div>", html=True)
    assert "“Limpets” is muted" in await ana.is_told()
    await ana.writes(request, "Re: what?", "On Monday, Tide pools wrote:\n> help\n> leave\n\nunmute 1\n\nthank you!\n")
    assert "“Limpets” is sent to you again" in await ana.is_told()
    await by_mutt(program("mutt"), postfix, tmp_path, ana.address, request, "", "mute 1\n\n-- \nleave\n")
    assert "“Limpets” is muted" in await ana.is_told()
    assert len(await shore.rows(sa.select(thread_marks))) == 1

    stranger = f"nobody@{domain}"
    await ana.writes(request, "mute 1", "", sender=stranger)
    assert "this address is no member of Tide pools" in await ana.is_told(stranger)
    await ana.writes(pools.replace("@", f"-confirm+{'a' * 26}@"), "Re: please confirm", "yes\n")
    report = " ".join((await ana.is_told()).split())
    assert "This question was answered before, or is too old. If nothing came of it, please ask again." in report
    await ana.writes(pools, "", "")
    assert "please write something and send it again" in " ".join((await ana.is_told()).split())
    assert len(await shore.rows(sa.select(posts))) == 1
    assert "too old" in await shore.page(f"/confirm/{'a' * 26}", status=404)


async def test_a_mail_that_is_too_large_is_refused_before_it_is_sent(shore: Town) -> None:
    def talk() -> tuple[int, bytes]:
        with smtplib.SMTP("127.0.0.1", shore.ports["smtp"], timeout=30) as client:
            client.ehlo()
            return client.mail("ana@x.test", ["SIZE=999999999"])

    code, words = await asyncio.to_thread(talk)
    assert code == 552
    assert b"5.3.4" in words
