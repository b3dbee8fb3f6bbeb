"""Mail in: what SMTP and LMTP clients are answered. It knows the dialogue, not the rules: those are at the desk.

RCPT is answered for the address only, whoever writes (peers probe and remember it); who may post is answered after DATA; 250 is
said after the commit and never before.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from aiosmtpd.smtp import Envelope, Session

from bridges.email.addresses import OPERATOR, POST, Mailbox, ascii_domain, read_local, split
from bridges.email.authentication import NOTHING_SAID, Authentication, Peer, Verdict
from bridges.email.connection import Connection, Envelopes, LmtpConnection, one_line
from bridges.email.dns import Resolver
from bridges.email.gate import Gate, Guest
from bridges.email.parse import Mail, parse, refuse_loops
from bridges.email.receive import hangs_on_author, inbound
from bridges.email.rspamd import Filter, Report, Thing
from bridges.email.settings import Settings
from bridges.email.slowing import Slowing
from server import limits, log, metrics
from server.bridge import Accepted, Duplicate, Forum, House, Result
from server.clock import Clock, now_ms
from server.config import host_port
from server.errors import ConfigError, Deferred, Rejected
from server.i18n import _

PARSERS = 4  # messages that are parsed at once, off the loop
RECIPIENTS = 100  # RFC 5321 section 4.5.3.1.8
STOP_SECONDS = 10.0

Destination = tuple[Mailbox, Forum | None]
logger = log.get("email.listener")


class Reception:
    """The hooks that aiosmtpd calls. One for all connections; what belongs to a transaction is in its envelope."""

    def __init__(
        self, house: House, settings: Settings, authentication: Authentication, spam: Filter, clock: Clock = now_ms
    ) -> None:
        self._house, self._settings, self._clock = house, settings, clock
        self._authentication, self._spam = authentication, spam
        self._parsing = asyncio.Semaphore(PARSERS)
        self._slowing = Slowing()
        self.under_way: set[asyncio.Task[list[str]]] = set()

    async def handle_HELO(self, server: Connection, session: Session, envelope: Envelope, hostname: str) -> bytes:
        session.host_name = hostname
        return f"250 {server.hostname}".encode()

    async def handle_EHLO(
        self, server: Connection, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[bytes]:
        """RFC 2033 section 5 asks for both additions; commands wait in the stream's buffer, so they may be sent in groups."""
        session.host_name = hostname
        first, *others = responses
        return ["\r\n".join([first, "250-PIPELINING", "250-ENHANCEDSTATUSCODES", *others]).encode()]

    async def handle_RCPT(
        self, server: Connection, session: Session, envelope: Envelopes, address: str, options: Sequence[str]
    ) -> str:
        local, domain = split(address)
        found = await self._find(local, domain)
        if isinstance(found, str):
            return found
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 too many recipients"
        if not server.lmtp and envelope.destinations and found not in envelope.destinations:
            return "452 4.5.3 one forum at a time, please send the others again"  # SMTP has one answer for one message
        envelope.rcpt_tos.append(address)
        envelope.destinations.append(found)
        return "250 2.1.5 OK"

    async def _find(self, local: str, domain: str) -> Destination | str:
        """What the address means, or the reply that refuses it."""
        relaying = "550 5.7.1 " + one_line(_("this server takes mail for its own forums only"))
        wire = ascii_domain(domain) if domain else self._settings.domain
        mailbox = read_local(local)
        ours = wire == self._settings.domain
        if mailbox is None or (not domain and mailbox.function != OPERATOR):
            return self._unknown(local) if ours else relaying
        if mailbox.function == OPERATOR:
            return (mailbox, None) if ours else relaying
        try:
            forum = await self._house.knows(mailbox.slug)
        except Deferred as problem:
            return f"451 {problem.code} {one_line(problem.reason)}"
        if not ours and (forum is None or wire != forum.mail_domain):
            return relaying
        if forum is None:
            return self._unknown(local)
        return mailbox, forum

    def _unknown(self, local: str) -> str:
        return "550 5.1.1 " + one_line(_("there is no forum or function {name} here").format(name=local[:80]))

    async def handle_DATA(self, server: Connection, session: Session, envelope: Envelopes) -> str | bytes:
        # a client that hangs up must not undo half of it: it finishes, and what comes again is a duplicate
        replies = await asyncio.shield(self._run(self._answers(session, envelope, server.lmtp)))
        # RFC 2033 section 4.2: one reply for each recipient that was accepted
        return "\r\n".join(replies).encode() if server.lmtp else replies[0]

    async def handle_exception(self, error: Exception) -> str:
        """What we did not think of is temporary, and tells nothing of our insides."""
        logger.error("dialogue", exc_info=error)
        metrics.LOOP_ERRORS.labels(part="email.listener").inc()
        return "451 4.3.0 " + one_line(_("something went wrong here, please come again"))

    def _run(self, work: Coroutine[Any, Any, list[str]]) -> asyncio.Task[list[str]]:
        task = asyncio.ensure_future(work)
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)
        return task

    async def _answers(self, session: Session, envelope: Envelopes, lmtp: bool) -> list[str]:
        """A reply for each recipient, in their order."""
        content = envelope.content
        assert isinstance(content, bytes)
        peer = _peer(session, envelope, lmtp)
        wanted = list(dict.fromkeys(envelope.destinations))
        try:
            read = await self._read(content, peer, wanted)
            read = await self._spam.judged(read, content, peer, envelope.rcpt_tos)
        except Exception as error:  # noqa: BLE001  a loop's edge: the message comes again, its bytes are not lost
            reply = await self.handle_exception(error)
            return [reply] * len(envelope.destinations)
        replies = {to: await self._answer(to, thing, peer.address) for to, thing in zip(wanted, read, strict=True)}
        return [replies[to] for to in envelope.destinations]

    async def _read(self, content: bytes, peer: Peer, wanted: list[Destination]) -> list[Thing]:
        """What the message is for each of its destinations. Parsed on threads, a few at once; the DNS is waited for by none."""
        try:
            async with self._parsing:
                mail = await asyncio.to_thread(parse, content, peer.envelope_from, self._settings.domain, self._clock())
        except Rejected as refusal:
            return [refusal] * len(wanted)
        verdict: Verdict | Deferred = NOTHING_SAID
        if any(hangs_on_author(mailbox) for mailbox, _forum in wanted):
            try:
                verdict = await self._authentication.verdict(mail, peer)
            except Deferred as problem:
                verdict = problem
        async with self._parsing:
            return [await asyncio.to_thread(self._thing, mail, to, verdict) for to in wanted]

    def _thing(self, mail: Mail, to: Destination, verdict: Verdict | Deferred) -> Thing:
        """What the message is for one of them; runs on a thread and touches nothing shared."""
        mailbox, forum = to
        if isinstance(verdict, Deferred):
            if hangs_on_author(mailbox):
                return verdict
            verdict = NOTHING_SAID
        try:
            if mailbox.function in (POST, "item") and forum is not None:
                refuse_loops(mail, f"{forum.slug}.{forum.mail_domain}")
            domain = forum.mail_domain if forum is not None else self._settings.domain
            return inbound(mail, mailbox, verdict, domain)
        except Rejected as refusal:
            return refusal

    async def _answer(self, to: Destination, thing: Thing, peer: str) -> str:
        try:
            if isinstance(thing, Rejected | Deferred):
                raise thing
            if thing is not None and not self._slowing.lets_through(thing, peer):
                thing = None
            said = "250 2.0.0 taken, nothing to do" if thing is None else _said(await self._house.accept(thing))
        except Rejected as refusal:
            said = f"{_reply_code(refusal.code)} {_class(refusal.code, '5', '5.0.0')} {one_line(refusal.reason)}"
        except Deferred as problem:
            said = f"451 {_class(problem.code, '4', '4.3.0')} {one_line(problem.reason)}"
        except Exception as error:  # noqa: BLE001  a loop's edge: unknown means temporary
            return await self.handle_exception(error)
        logger.info("mail", forum=to[0].slug, function=to[0].function, reply=said[:10].rstrip())
        return said


def _peer(session: Session, envelope: Envelope, lmtp: bool) -> Peer:
    return Peer(
        address=str(session.peer[0]) if isinstance(session.peer, tuple) else "",
        greeting=str(session.host_name or ""),
        envelope_from="" if envelope.mail_from in (None, "<>") else str(envelope.mail_from),
        asked=not lmtp,
    )


def _said(result: Result) -> str:
    if isinstance(result, Accepted):
        return "250 2.0.0 " + one_line(result.reply or (f"accepted as {result.post}" if result.post else "accepted"))
    if isinstance(result, Duplicate):
        return "250 2.0.0 " + one_line(f"we have it already, as {result.post}" if result.post else "we have it already")
    return "250 2.0.0 " + one_line(f"held as {result.name}. {result.reply}" if result.name else result.reply)


def _reply_code(code: str) -> str:
    """The SMTP reply code that goes with an enhanced one (RFC 5248 section 2.4)."""
    return {"5.3.4": "552", "5.4.6": "554"}.get(code, "550")


def _class(code: str, wanted: str, otherwise: str) -> str:
    return code if code.startswith(wanted + ".") else otherwise


def _cannot_listen(key: str, where: str, problem: OSError) -> str:
    # asyncio puts words of its own around the system's, and a resolver's numbers are not the system's
    number = problem.errno if problem.errno in errno.errorcode else None
    words = os.strerror(number).lower() if number else problem.strerror or str(problem)
    sentence = _("[email] {key} = {where}: {problem}: end what uses that port, or choose another one")
    return sentence.format(key=key, where=where, problem=words)


class Listener:
    """The open doors. `ports` tells where they are once `start` has returned: {"smtp": …, "lmtp": …}.

    `report` is told whether the filter that is asked about spam answers.
    """

    def __init__(
        self,
        house: House,
        settings: Settings,
        gate: Gate | None = None,
        size: int | None = None,
        resolver: Resolver | None = None,
        report: Report | None = None,
    ) -> None:
        self._settings = settings
        self._spam = Filter(settings.rspamd, report or house.report)
        authentication = Authentication(settings, resolver or Resolver(settings.resolver))
        self._reception = Reception(house, settings, authentication, self._spam)
        self._gates = {"smtp": gate or Gate(settings.networks), "lmtp": Gate()}
        self._size = size or limits.MESSAGE_BYTES
        self._servers: list[asyncio.Server] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Open the doors that the settings name. Raises ConfigError where a port cannot be had; none is open then."""
        loop = asyncio.get_running_loop()
        doors: tuple[tuple[str, str, str, type[Connection]], ...] = (
            ("smtp", "listen", self._settings.listen, Connection),
            ("lmtp", "lmtp_listen", self._settings.lmtp_listen, LmtpConnection),
        )
        for name, key, where, kind in doors:
            if not where:
                continue
            host, port = host_port(where)
            try:
                server = await loop.create_server(partial(self._connection, kind, self._gates[name], loop), host, port)
            except OSError as problem:
                await self.stop()
                raise ConfigError(_cannot_listen(key, where, problem)) from None
            self._servers.append(server)
            self.ports[name] = int(server.sockets[0].getsockname()[1])
            logger.info("listening", door=name, host=host, port=self.ports[name])

    def _connection(self, kind: type[Connection], gate: Gate, loop: asyncio.AbstractEventLoop) -> Connection:
        return kind(self._reception, gate, self._settings.domain, self._size, loop)

    def _guests(self) -> list[Guest]:
        return [guest for gate in self._gates.values() for guest in gate.connections]

    async def stop(self) -> None:
        """Close the doors, let what is being accepted finish and be answered, hang up."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for gate in self._gates.values():
            gate.closing = True
        answering = [guest for guest in self._guests() if guest.answering]
        for guest in self._guests():
            if not guest.answering:
                guest.hang_up()
        if answering:
            over = [asyncio.ensure_future(guest.answered()) for guest in answering]
            await asyncio.wait(over, timeout=STOP_SECONDS)
        for guest in self._guests():
            guest.hang_up()
        if self._reception.under_way:
            await asyncio.wait(self._reception.under_way, timeout=STOP_SECONDS)
        await self._spam.close()
