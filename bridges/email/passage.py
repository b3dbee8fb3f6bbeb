"""How a received message goes on to its readers: what of its header is promised, and whether its From must become ours.

From stays the author's unless their domain asks receivers to put aside what fails (DMARC), no signature of that domain survives what we
change, and so our copies would be put aside; or unless the author hides their address, or the relay takes no foreign From.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from bridges.email import decoration, dkim_check, fields, headers, item_replies, linked, longlines
from bridges.email.addresses import split
from bridges.email.authentication import verified
from bridges.email.compose import AS_IT_IS, MUST, Passage
from bridges.email.dkim_check import Message, Signature
from bridges.email.dmarc import Dmarc, Policy, domain_of
from bridges.email.dns import Resolver, Temporary
from bridges.email.mailboxes import is_plain, mailboxes
from bridges.email.settings import Settings
from server.bridge import Post
from server.errors import Deferred
from server.i18n import _

TRIES = 5  # with a DNS that does not answer; then From is rewritten: a mail that looks odd is better than none


class Passages:
    """Decides by what the DNS says, which the resolver remembers. `clock` answers seconds."""

    def __init__(self, settings: Settings, resolver: Resolver, clock: Callable[[], float] = time.time) -> None:
        self._always = settings.rewrite_from == "always"
        self._impersonated = frozenset(
            one for one in (settings.domain, settings.trusted_authserv_id.strip().lower()) if one
        )
        self._resolver, self._dmarc, self._clock = resolver, Dmarc(resolver), clock

    async def of(self, post: Post, attempt: int = 1) -> Passage:
        """Raises Deferred where it hangs on a DNS that does not answer, but not for ever."""
        if post.original is None:
            return AS_IT_IS
        rewritten = Passage(rewrite=True, impersonated=self._impersonated)
        if self._always or post.writer.hidden:
            return rewritten
        of = await asyncio.to_thread(dkim_check.message, post.original)
        if not all(is_plain(headers.body(field)) for field in headers.named(of.fields, b"from")):
            return rewritten  # a reader may see another author in it than the one that was looked at
        domain = author_domain(of.fields)
        if domain is None:
            return Passage(impersonated=self._impersonated)
        try:
            return await self._decided(post, of, domain)
        except Temporary:
            if attempt >= TRIES:
                return rewritten
            reason = _("the DNS of {domain} does not answer, so nobody can say how its mail may go on")
            raise Deferred(reason.format(domain=domain), "4.4.3") from None

    async def _decided(self, post: Post, of: Message, domain: str) -> Passage:
        policy: Policy | None = None
        silent = False
        try:
            policy = await self._dmarc.policy(domain)
        except Temporary:
            silent = True
        strict = silent or (policy is not None and policy.strict_dkim)
        theirs: list[Signature] = []
        for signature in await asyncio.to_thread(survivors, post, of.fields):
            try:
                if await self._dmarc.aligned(signature.domain, domain, strict):
                    theirs.append(signature)
            except Temporary:
                silent = True
        as_it_is = Passage(promised=promised(theirs), impersonated=self._impersonated)
        if not silent and (policy is None or not policy.harms):
            return as_it_is
        for signature in theirs:
            try:
                if await verified(self._resolver, of, signature, self._clock()):
                    return as_it_is
            except Temporary:
                silent = True
        if silent:
            raise Temporary(domain)
        return Passage(rewrite=True, impersonated=self._impersonated)


def author_domain(of: Sequence[bytes]) -> str | None:
    """The domain of From, as DMARC looks at it."""
    found = [one for field in headers.named(of, b"from") for one in mailboxes(headers.body(field))]
    return domain_of(split(found[0].address)[1]) if found else None


def promised(signatures: Sequence[Signature]) -> frozenset[bytes]:
    """The names that the signatures cover."""
    return frozenset(name for signature in signatures for name in signature.names)


def survivors(post: Post, of: Sequence[bytes]) -> list[Signature]:
    """The signatures that what we must and may change leaves alone."""
    if linked.changes_body(post) or decoration.changes_body(post) or _has_long_lines(post):
        return []
    prefix = post.forum.subject_prefix
    touched = MUST | longlines.long_fields(of) | item_replies.touched(of, post.forum)
    if prefix and _is_prefixed(of, prefix):
        touched |= {b"subject"}
    return [signature for signature in dkim_check.signatures(of) if not touched & set(signature.names)]


def _has_long_lines(post: Post) -> bool:
    """Whether lines of the body must be broken for relays."""
    return post.original is not None and longlines.is_long(headers.mended(headers.cut(post.original)[2]))


def _is_prefixed(of: Sequence[bytes], prefix: str) -> bool:
    return any(prefix not in fields.words(headers.body(field)) for field in headers.named(of, b"subject"))
