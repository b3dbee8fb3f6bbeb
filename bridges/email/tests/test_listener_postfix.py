"""A real Postfix in front of the LMTP door, set up as `deploy/postfix` says."""

from __future__ import annotations

import asyncio
import smtplib

import pytest

from bridges.email.dns import Resolver
from bridges.email.listener import Listener
from bridges.email.settings import Settings
from bridges.email.tests.dialogue import NobodyKnown
from server.bridge import Accepted, Bounce, Doubt, Inbound, Letter, NewPost, Proof, Refusal, Result
from server.errors import Deferred
from tests.fakes import RecordingHouse, forum
from tests.peers.names import Names
from tests.peers.postfix import Postfix

TOKEN = "abcdefghijklmnopqrstuvwx23"


class Behind:
    """A house, its listener behind Postfix, and a domain of its own."""

    def __init__(self, postfix: Postfix, names: Names | None = None) -> None:
        self.postfix, self.domain = postfix, postfix.list_domain()
        resolver = Resolver(names.server) if names is not None else NobodyKnown()
        self.house = RecordingHouse(
            forum("tides", mail_domain=self.domain), forum("birds", id=2, mail_domain=self.domain)
        )
        settings = Settings(
            domain=self.domain, listen="", lmtp_listen="127.0.0.1:0", trusted_authserv_id="mx.lists.test"
        )
        self.listener = Listener(self.house, settings, resolver=resolver)

    async def __aenter__(self) -> Behind:
        await self.listener.start()
        await asyncio.to_thread(self.postfix.route, self.domain, self.listener.ports["lmtp"])
        return self

    async def __aexit__(self, *problem: object) -> None:
        await self.listener.stop()

    async def send(self, text: str, *locals_: str, sender: str = "ana@members.test") -> dict[str, tuple[int, bytes]]:
        to = [f"{local}@{self.domain}" for local in locals_]
        return await asyncio.to_thread(self.postfix.send, text.replace("\n", "\r\n").encode(), sender, to)

    async def accepted(self, count: int) -> list[Inbound]:
        async with asyncio.timeout(60):
            while len(self.house.accepted) < count:
                await asyncio.sleep(0.02)
        return self.house.accepted


async def test_each_recipient_is_answered_once(postfix: Postfix) -> None:
    async with Behind(postfix) as behind:
        refused = await behind.send(
            "From: Jörg <ana@members.test>\nMessage-ID: <1@m>\nSubject: Gezeitentümpel\n\nGrüße\n.\n",
            "tides", "birds", "tides-owner", "nobody",
        )  # fmt: skip
        assert {address.partition("@")[0]: code for address, (code, _) in refused.items()} == {"nobody": 550}
        accepted = await behind.accepted(3)
        # what was answered is not sent again: a second message overtakes nothing and finds three
        await behind.send("From: ana@members.test\nMessage-ID: <2@m>\n\nlast\n", "birds")
        accepted = list(await behind.accepted(4))
    assert sorted(type(one).__name__ for one in accepted[:3]) == ["Letter", "NewPost", "NewPost"]
    assert {one.forum for one in accepted[:3] if isinstance(one, NewPost | Letter)} == {"tides", "birds"}
    for one in accepted[:3]:
        if isinstance(one, NewPost):
            assert (one.subject, one.text, one.author.name) == ("Gezeitentümpel", "Grüße\n.\n", "Jörg")
    assert isinstance(accepted[3], NewPost)
    assert accepted[3].refs[0].name == "<2@m>"


async def test_what_cannot_be_taken_now_waits_in_postfix(postfix: Postfix) -> None:
    async with Behind(postfix) as behind:
        tried = 0

        def answer(_: Inbound) -> Result:
            nonlocal tried
            tried += 1
            if tried == 1:
                raise Deferred("the database does not answer")
            return Accepted()

        behind.house.answer = answer
        await behind.send("From: ana@members.test\nMessage-ID: <3@m>\n\nx\n", "tides")
        async with asyncio.timeout(60):
            while not behind.house.accepted:
                await asyncio.to_thread(postfix.flush)
                await asyncio.sleep(0.3)
        assert tried == 2


async def test_a_report_of_postfix_is_a_bounce(postfix: Postfix) -> None:
    async with Behind(postfix) as behind:
        gone = "gone@members.test"
        await asyncio.to_thread(postfix.bounce, gone)
        try:
            await asyncio.to_thread(
                postfix.send, b"From: x@y.test\r\n\r\nx\r\n", f"tides-bounces+{TOKEN}@{behind.domain}", [gone]
            )
            (bounce,) = await behind.accepted(1)
        finally:
            await asyncio.to_thread(postfix.accept, gone)
    assert isinstance(bounce, Bounce)
    assert (bounce.forum, bounce.token, bounce.refusal is Refusal.GONE, bounce.status) == (
        "tides",
        TOKEN,
        True,
        "5.1.1",
    )
    assert "this mailbox is gone" in bounce.diagnostic


async def test_an_unknown_address_is_refused_in_the_senders_own_session(postfix: Postfix) -> None:
    async with Behind(postfix) as behind:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            await behind.send("From: ana@members.test\n\nx\n", "nobody")
    assert [code for code, _ in caught.value.recipients.values()] == [550]


async def test_what_the_server_in_front_found_out_counts_by_its_id_alone(postfix: Postfix, names: Names) -> None:
    names.txt("_dmarc.members.test", "v=DMARC1; p=reject")
    wrote = "Authentication-Results: {id}; {said}\nFrom: ana@members.test\nMessage-ID: <{n}@m>\n\nwords\n"
    cases = [
        ("mx.lists.test", "dmarc=pass header.from=members.test", (Proof.AUTHENTICATED, Doubt.NONE)),
        ("mx.far.test", "dmarc=pass header.from=members.test", (Proof.NONE, Doubt.FAILS)),
        ("mx.lists.test", "spf=fail smtp.mailfrom=far.test", (Proof.NONE, Doubt.FORBIDDEN)),
    ]
    async with Behind(postfix, names) as behind:
        for n, (who, said, _expected) in enumerate(cases):
            await behind.send(wrote.format(id=who, said=said, n=n), "tides")
            await behind.accepted(n + 1)
        told = [one.author for one in behind.house.accepted if isinstance(one, NewPost)]
    assert [(author.proof, author.doubt) for author in told] == [expected for *_, expected in cases]
