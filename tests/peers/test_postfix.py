import asyncio
import smtplib
import socket
from collections.abc import AsyncIterator
from email.message import EmailMessage

import pytest
from aiosmtpd.lmtp import LMTP

from tests.peers import postfix as peer
from tests.peers import run
from tests.peers.forward import Forwarder
from tests.peers.net import free_port, wait_for
from tests.peers.postfix import Postfix


class ListServer:
    """An LMTP server that knows the addresses in `known` and keeps what it gets."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.known: set[str] = set()
        self.got: list[tuple[str, list[str], bytes]] = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # type: ignore[no-untyped-def]
        if address not in self.known:
            return "550 5.1.1 no such list"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):  # type: ignore[no-untyped-def]
        self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "\r\n".join("250 2.0.0 kept" for _ in envelope.rcpt_tos)


@pytest.fixture
async def lists() -> AsyncIterator[ListServer]:
    stub = ListServer(free_port())
    server = await asyncio.get_running_loop().create_server(
        lambda: LMTP(stub, enable_SMTPUTF8=True), "127.0.0.1", stub.port
    )
    yield stub
    server.close()


def letter(sender: str, to: str, subject: str = "Limpets") -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Message-ID"] = f"<{free_port()}@client.test>"
    message.set_content("Seen at low tide.\n")
    return message.as_bytes()


def test_mail_to_a_member_lands_in_their_mailbox_alone(postfix: Postfix) -> None:
    domain = postfix.member_domain()
    ana, bo = f"ana@{domain}", f"bo@{domain}"
    postfix.send(letter(bo, ana, "first"), bo, ana)
    postfix.send(letter(ana, f"{ana}, {bo}", "second"), ana, [ana, bo])
    first, second = postfix.mailbox(ana).wait_for(2)
    assert b"Subject: first\n" in first
    assert first.startswith(f"Return-Path: <{bo}>\n".encode())
    assert b"Subject: second\n" in second
    assert len(postfix.mailbox(bo).wait_for(1)) == 1


def test_members_test_is_there_from_the_start(postfix: Postfix) -> None:
    someone = f"ana-{free_port()}@members.test"
    postfix.send(letter(someone, someone), someone, someone)
    assert len(postfix.mailbox(someone).wait_for(1)) == 1


async def test_mail_to_a_list_goes_out_by_lmtp(postfix: Postfix, lists: ListServer) -> None:
    domain = postfix.route(postfix.list_domain(), lists.port)
    lists.known.add(f"tides@{domain}")
    await asyncio.to_thread(
        postfix.send, letter("ana@members.test", f"tides@{domain}"), "ana@members.test", f"tides@{domain}"
    )
    await asyncio.to_thread(wait_for, lambda: lists.got, "the mail at the list server")
    sender, recipients, content = lists.got[0]
    assert (sender, recipients) == ("ana@members.test", [f"tides@{domain}"])
    assert b"\r\nSeen at low tide.\r\n" in content


async def test_an_unknown_list_is_refused_at_rcpt(postfix: Postfix, lists: ListServer) -> None:
    domain = postfix.route(postfix.list_domain(), lists.port)
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        await asyncio.to_thread(postfix.send, b"Subject: x\r\n\r\nx", "ana@members.test", f"nobody@{domain}")
    code, text = refused.value.recipients[f"nobody@{domain}"]
    assert code == 550
    assert b"There is no such list here" in text
    lists.known.add(f"nobody@{domain}")  # a list that is made now is known soon
    await asyncio.to_thread(wait_for, lambda: _accepted(postfix, f"nobody@{domain}"), "the new list to be known", 10, 1)


def _accepted(postfix: Postfix, recipient: str) -> bool:
    with smtplib.SMTP("127.0.0.1", postfix.port) as client:
        client.ehlo("client.test")
        client.mail("ana@members.test")
        return client.rcpt(recipient)[0] == 250


async def test_mail_waits_while_the_list_server_is_away(postfix: Postfix, lists: ListServer) -> None:
    with Forwarder(lists.port) as line:
        domain = postfix.route(postfix.list_domain(), line.port)
        lists.known.add(f"tides@{domain}")
        assert await asyncio.to_thread(_accepted, postfix, f"tides@{domain}")  # verified while it was up
        line.cut()
        await asyncio.to_thread(
            postfix.send, letter("ana@members.test", f"tides@{domain}"), "ana@members.test", f"tides@{domain}"
        )
        await asyncio.to_thread(
            wait_for, lambda: [line for line in postfix.queue() if domain in line], "the mail in the queue"
        )
        assert lists.got == []
        line.mend()
        await asyncio.to_thread(wait_for, lambda: lists.got, "the mail after the outage")


async def test_an_address_outside_of_ascii_passes(postfix: Postfix, lists: ListServer) -> None:
    domain = postfix.route(postfix.list_domain(), lists.port)
    lists.known.add(f"tides@{domain}")
    message = "From: Zoë <zoë@members.test>\r\nSubject: Blåstång\r\n\r\nJa.\r\n".encode()
    await asyncio.to_thread(postfix.send, message, "zoë@members.test", f"tides@{domain}")
    await asyncio.to_thread(wait_for, lambda: lists.got, "the mail at the list server")
    assert lists.got[0][0] == "zoë@members.test"


def test_bounced_refused_and_deferred_addresses(postfix: Postfix) -> None:
    domain = postfix.member_domain()
    sender, gone, full, nobody = (f"{name}@{domain}" for name in ("owner", "gone", "full", "nobody"))
    postfix.bounce(gone)
    postfix.defer(full)
    postfix.refuse(nobody)
    refused = postfix.send(letter(sender, gone), sender, [gone, full, nobody])
    assert refused == {nobody: (550, refused[nobody][1])}
    assert b"5.1.1" in refused[nobody][1]
    (report,) = postfix.mailbox(sender).wait_for(1)
    assert b"multipart/report" in report
    assert b"Status: 5.1.1" in report
    assert [line for line in postfix.queue() if full in line]
    postfix.accept(full)
    postfix.flush()
    assert len(postfix.mailbox(full).wait_for(1)) == 1


def test_no_mail_leaves_the_machine(postfix: Postfix) -> None:
    sender = f"ana@{postfix.member_domain()}"
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="no mail leaves this machine"):
        postfix.send(letter(sender, "someone@example.org"), sender, "someone@example.org")


def test_a_smuggled_message_end_makes_no_second_message(postfix: Postfix) -> None:
    sender = f"ana@{postfix.member_domain()}"
    with socket.create_connection(("127.0.0.1", postfix.port)) as line:
        talk = line.makefile("rwb")

        def say(words: bytes) -> bytes:
            talk.write(words)
            talk.flush()
            answer = talk.readline()
            while answer[3:4] == b"-":
                answer = talk.readline()
            return answer

        assert talk.readline().startswith(b"220")
        assert say(b"EHLO client.test\r\n").startswith(b"250")
        assert say(f"MAIL FROM:<{sender}>\r\n".encode()).startswith(b"250")
        assert say(f"RCPT TO:<{sender}>\r\n".encode()).startswith(b"250")
        assert say(b"DATA\r\n").startswith(b"354")
        inner = f"\n.\r\nMAIL FROM:<{sender}>\r\nRCPT TO:<{sender}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"
        say(b"Subject: outer\r\n\r\nHello" + inner.encode())
        talk.close()
    messages = postfix.mailbox(sender).wait_for(1)
    assert len(messages) == 1
    assert b"smuggled" in messages[0]  # as text of the one message, where it does no harm


def test_it_starts_again_with_its_mailboxes_after_a_stop(postfix: Postfix) -> None:
    place = run.directory() / f"postfix-{free_port()}"
    place.mkdir(mode=0o755)
    found = peer.start(place)
    other = Postfix(place, found["port"], found["far_port"])
    try:
        other.send(letter("bo@members.test", "ana@members.test"), "bo@members.test", "ana@members.test")
        other.mailbox("ana@members.test").wait_for(1)
        other.stop()
        with pytest.raises(OSError):
            other.send(b"x", "bo@members.test", "ana@members.test")
        other.start()
        other.send(letter("bo@members.test", "ana@members.test"), "bo@members.test", "ana@members.test")
        assert len(other.mailbox("ana@members.test").wait_for(2)) == 2
    finally:
        other.stop()
