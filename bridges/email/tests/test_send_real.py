"""The sender against real servers: Postfix with pipelining, aiosmtpd without, and TLS with a certificate of our own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiosmtplib
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridges.email import wire
from bridges.email.send import Sender
from bridges.email.settings import Settings, relay
from bridges.email.tests.dialogue import NobodyKnown
from bridges.email.tests.posts import MAIL, mailed, target
from bridges.email.tests.scripted_relay import ScriptedRelay
from server.bridge import Failed, Later, Lot, Outcome, PostItem, Sent, Target
from tests.fakes import RecordingHouse
from tests.peers.postfix import Postfix


class Keeper:
    def __init__(self) -> None:
        self.kept: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.kept.append((envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content))
        return "250 2.0.0 kept"


@contextmanager
def closing(server: asyncio.Server) -> Iterator[int]:
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's and a client's context that trust one certificate for 127.0.0.1."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path: Path = tmp_path_factory.mktemp("tls") / "relay.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    return serving, ssl.create_default_context(cafile=str(path))


async def deliver(url: str, targets: list[Target], context: ssl.SSLContext | None = None) -> list[Outcome]:
    sender = Sender(Settings(relay=url), RecordingHouse(), context, resolver=NobodyKnown())
    found: dict[int, Outcome] = {}
    await sender.deliver(
        Lot(PostItem(mailed()), targets, "key"), lambda to, outcome: found.update({to.delivery: outcome})
    )
    await sender.close()
    return [found[to.delivery] for to in targets]


async def test_a_server_without_pipelining_gets_the_same_bytes() -> None:
    keeper = Keeper()
    made = await asyncio.get_running_loop().create_server(lambda: SMTP(keeper), "127.0.0.1", 0)
    with closing(made) as port:
        outcomes = await deliver(f"smtp://127.0.0.1:{port}", [target(n) for n in range(1, 41)])
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(to for _, (to,), _ in keeper.kept) == sorted(f"m{n}@far.test" for n in range(1, 41))
    assert all(content.endswith(MAIL) for _, _, content in keeper.kept)


async def test_starttls_hides_the_mail_and_a_stranger_gets_none(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    serving, trusting = tls
    keeper = Keeper()
    made = await asyncio.get_running_loop().create_server(
        lambda: SMTP(keeper, tls_context=serving, require_starttls=True), "127.0.0.1", 0
    )
    with closing(made) as port:
        url = f"smtp://127.0.0.1:{port}"
        assert isinstance((await deliver(url + "?starttls=1", [target()], trusting))[0], Sent)
        untrusted = (await deliver(url + "?starttls=1", [target()]))[0]
        assert isinstance(untrusted, Later)
        assert untrusted.down
        assert not isinstance((await deliver(url, [target()]))[0], Sent)
    assert len(keeper.kept) == 1


async def test_a_pipelined_connection_over_tls(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    serving, trusting = tls
    async with ScriptedRelay(tls=serving) as far:
        url = far.url.replace("smtp://", "smtps://")
        outcomes = await deliver(url, [target(n) for n in range(1, 41)], trusting)
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert all(taken.content.endswith(MAIL) for taken in far.taken)
        assert isinstance((await deliver(url, [target()]))[0], Later)


async def test_what_is_said_in_the_clear_behind_starttls_is_not_believed(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async def injecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test\r\n")
        await reader.readline()
        writer.write(b"250-relay.test\r\n250 STARTTLS\r\n")
        await reader.readline()
        writer.write(b"220 go on\r\n250 PIPELINING\r\n")
        await reader.read()
        writer.close()

    with (
        closing(await asyncio.start_server(injecting, "127.0.0.1", 0)) as port,
        pytest.raises(wire.Unavailable, match="in the clear"),
    ):
        await wire.connect(relay(f"smtp://127.0.0.1:{port}?starttls=1"), "lists.test", tls[1])


async def test_the_scripted_relay_serves_a_stock_client_too() -> None:
    async with ScriptedRelay() as far:
        await aiosmtplib.send(
            b"Subject: x\r\n\r\n.\r\n", sender="a@b.test", recipients=["c@d.test"], hostname="127.0.0.1", port=far.port
        )
        assert far.taken[0].content == b"Subject: x\r\n\r\n.\r\n"


async def test_postfix_takes_a_pipelined_lot(postfix: Postfix) -> None:
    domain = await asyncio.to_thread(postfix.member_domain)
    gone = f"gone@{domain}"
    await asyncio.to_thread(postfix.refuse, gone)
    targets = [target(n, f"m{n}@{domain}") for n in range(1, 31)] + [target(31, gone)]
    outcomes = await deliver(f"smtp://127.0.0.1:{postfix.port}", targets)
    assert all(isinstance(outcome, Sent) for outcome in outcomes[:-1])
    assert isinstance(outcomes[-1], Failed)
    assert outcomes[-1].code == "5.1.1"
    for n in (1, 30):
        (message,) = await asyncio.to_thread(postfix.mailbox(f"m{n}@{domain}").wait_for, 1)
        assert message.endswith(MAIL.replace(b"\r\n", b"\n"))
        assert message.startswith(b"Return-Path: <tides-bounces+" + b"b" * 26 + b"@lists.test>\n")
