"""Who vouches for the author of a received message: a host of ours, the server in front of us, a signature, or the peer itself.

It answers a proof and a doubt; what becomes of them is the desk's. Where the answer hangs on a DNS that does not speak, it raises
`Deferred`: the message comes again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridges.email import authres, dkim_check, headers, peers, spf
from bridges.email.addresses import split
from bridges.email.dkim_check import Message, Signature
from bridges.email.dmarc import Dmarc, Policy, domain_of
from bridges.email.dns import Resolver, Temporary
from bridges.email.parse import Mail
from bridges.email.settings import Settings
from server.bridge import Doubt, Proof
from server.errors import Deferred
from server.i18n import _


@dataclass(frozen=True, slots=True)
class Verdict:
    """How sure we are of the author, and what speaks against them."""

    proof: Proof = Proof.NONE
    doubt: Doubt = Doubt.NONE


@dataclass(frozen=True, slots=True)
class Peer:
    """Who hands us a message. `asked`: it came by SMTP, so that its address may be that of the sender's own host."""

    address: str
    greeting: str = ""
    envelope_from: str = ""
    asked: bool = False

    @property
    def direct(self) -> bool:
        """Whether SPF can say anything: behind an MTA the peer is that MTA."""
        return self.asked and peers.is_direct(self.address)


VOUCHED, NOTHING_SAID = Verdict(Proof.AUTHENTICATED), Verdict()


@dataclass(slots=True)
class _Case:
    """One message under examination. `silent`: something was not answered that could have proved it."""

    domain: str
    fields: Sequence[bytes]
    raw: bytes
    peer: Peer
    policy: Policy | None = None
    policy_known: bool = True
    silent: bool = False


class Authentication:
    """Holds the resolver, and so what it remembers. `clock` answers seconds."""

    def __init__(self, settings: Settings, resolver: Resolver, clock: Callable[[], float] = time.time) -> None:
        self._networks, self._trusted = settings.networks, settings.trusted_authserv_id.strip()
        self._resolver, self._dmarc, self._clock = resolver, Dmarc(resolver), clock

    async def verdict(self, mail: Mail, peer: Peer) -> Verdict:
        """Raises Deferred."""
        if peers.within(peer.address, self._networks):
            return VOUCHED
        domain = domain_of(split(mail.author.address)[1]) if mail.author is not None else None
        if domain is None:
            return NOTHING_SAID
        case = _Case(domain, headers.tidy(headers.cut(mail.raw)[0]), mail.raw, peer)
        try:
            case.policy = await self._dmarc.policy(domain)
        except Temporary:
            case.policy_known = False
        said = authres.results(case.fields, self._trusted) if self._trusted else None
        if await self._said(case, said or ()) or await self._signed(case) or await self._sent(case):
            return VOUCHED
        return _doubt(case, spf_known=peer.direct or any(one.method in ("spf", "dmarc") for one in said or ()))

    async def _aligned(self, case: _Case, domain: str | None, strict: bool) -> bool:
        if domain is None:
            return False
        try:
            return await self._dmarc.aligned(domain, case.domain, strict or not case.policy_known)
        except Temporary:
            case.silent = True
            return False

    async def _said(self, case: _Case, said: Sequence[authres.Result]) -> bool:
        """Whether the server in front of us says that somebody who may speak for the author's domain does."""
        strict_dkim, strict_spf = _strictness(case.policy)
        for one in said:
            if one.result != "pass":
                continue
            of = one.properties
            if one.method == "dmarc" and domain_of(of.get("header.from", "")) == case.domain:
                return True
            if one.method == "dkim" and await self._aligned(
                case, domain_of(of.get("header.d") or split(of.get("header.i", ""))[1]), strict_dkim
            ):
                return True
            if one.method == "spf" and await self._aligned(case, _sender(of), strict_spf):
                return True
        return False

    async def _signed(self, case: _Case) -> bool:
        """Whether a signature of somebody who may speak for the author's domain verifies."""
        strict = _strictness(case.policy)[0]
        found = dkim_check.signatures(case.fields)
        theirs = [one for one in found if await self._aligned(case, one.domain, strict)]
        if not theirs:
            return False
        of = await asyncio.to_thread(dkim_check.message, case.raw)
        for signature in theirs:
            try:
                if await verified(self._resolver, of, signature, self._clock()):
                    return True
            except Temporary:
                case.silent = True
        return False

    async def _sent(self, case: _Case) -> bool:
        """Whether the peer may send for somebody who may speak for the author's domain."""
        if not case.peer.direct:
            return False
        peer = case.peer
        domain = domain_of(split(peer.envelope_from)[1] if peer.envelope_from else peer.greeting)
        if not await self._aligned(case, domain, _strictness(case.policy)[1]):
            return False
        try:
            return await spf.passes(self._resolver, peer.address, peer.envelope_from, peer.greeting)
        except Temporary:
            case.silent = True
            return False


async def verified(resolver: Resolver, of: Message, signature: Signature, now: float) -> bool:
    """Whether the signature is good. Raises Temporary where its key cannot be had right now."""
    if not await asyncio.to_thread(of.holds_body_of, signature):
        return False
    keys = await resolver.txt(signature.key_name)
    return bool(keys) and await asyncio.to_thread(dkim_check.verifies, of, signature, keys, int(now))


def _strictness(policy: Policy | None) -> tuple[bool, bool]:
    return (policy.strict_dkim, policy.strict_spf) if policy is not None else (False, False)


def _sender(properties: dict[str, str]) -> str | None:
    """The domain that SPF was asked about: the envelope's sender, or the greeting where that was null."""
    sender = properties.get("smtp.mailfrom") or properties.get("smtp.helo", "")
    return domain_of(sender.rpartition("@")[2])


def _doubt(case: _Case, spf_known: bool) -> Verdict:
    """Nothing vouches for the author: does their domain mind?

    Where nobody could look at SPF, mail that its domain would have let pass by it alone is doubtful, not forbidden.
    """
    if case.policy is None and case.policy_known:
        return NOTHING_SAID
    if case.silent or not case.policy_known:
        raise Deferred(
            _("the DNS of {domain} does not answer, so nobody can say whether this mail is theirs").format(
                domain=case.domain
            ),
            "4.4.3",
        )
    assert case.policy is not None
    return Verdict(Proof.NONE, Doubt.FORBIDDEN if case.policy.enforces and spf_known else Doubt.FAILS)
