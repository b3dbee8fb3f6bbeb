"""The mail bridge as the server sees it: traits, addresses, ways to write, and the two verbs. The work is done in its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from urllib.parse import quote

from bridges.email import dkim_key
from bridges.email.addresses import normal
from bridges.email.dkim_key import Key
from bridges.email.dns import Resolver
from bridges.email.doctor import Doctor
from bridges.email.listener import Listener
from bridges.email.parse import parse
from bridges.email.receive import CHANNEL, old
from bridges.email.send import Sender
from bridges.email.settings import Relay, Settings, relay
from bridges.email.source import source
from server import limits, subjects
from server.bridge import NO_FILES, Bridge, Check, Forum, House, Lot, NewPost, Post, Settle, Traits, Way
from server.clock import DAY, HOUR, MINUTE, now_ms
from server.errors import ConfigError
from server.i18n import _

TRAITS = Traits(
    channel=CHANNEL,
    takes_back=False,
    ordered=False,
    tends=False,
    # RFC 5321 section 4.5.4.1: half an hour and more for a host that is away; the first tries are for a relay that restarts
    backoff_ms=(MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR),
    give_up_ms=5 * DAY,
    batch=500,
    # the answer to the last dot alone may take 10 minutes (RFC 5321 section 4.5.3.2.6)
    lease_ms=20 * MINUTE,
)


class EmailBridge:
    """A forum is a mailing list: its address takes posts, its members' mailboxes get them."""

    traits = TRAITS

    def __init__(self, house: House, settings: Settings) -> None:
        self._house, self._settings = house, settings
        self._relay: Relay = relay(settings.relay)
        self._resolver = Resolver(settings.resolver)  # one for both directions: what it remembers serves both
        self._problems: dict[str, str] = {}  # of each direction, "" where it works; both have one line on /healthz
        key = (lambda: self._key) if settings.dkim_selector else None
        self._sender = Sender(settings, house, report=partial(self._report, "out"), key=key, resolver=self._resolver)

    @cached_property
    def _key(self) -> Key:
        selector = self._settings.dkim_selector
        return dkim_key.ensure(dkim_key.path(self._house.data_dir, selector), selector)

    async def prepare(self) -> None:
        """Make the key of our signature if there is none. Raises ConfigError."""
        if self._settings.dkim_selector:
            await asyncio.to_thread(lambda: self._key)

    async def run(self) -> None:
        """Take mail until cancelled. Raises ConfigError where a port cannot be had."""
        report = partial(self._report, "spam")
        listener = Listener(self._house, self._settings, report=report, resolver=self._resolver)
        try:
            try:
                await listener.start()
            except ConfigError as problem:
                self._report("in", False, str(problem))
                raise
            self._report("in", True)
            await asyncio.get_running_loop().create_future()
        finally:
            try:
                await listener.stop()
            finally:
                await self._sender.close()

    def _report(self, direction: str, ok: bool, detail: str = "") -> None:
        """Neither direction's good news hides the other's problem."""
        self._problems[direction] = "" if ok else detail or _("mail does not work")
        wrong = [problem for _direction, problem in sorted(self._problems.items()) if problem]
        self._house.report(not wrong, "; ".join(wrong))

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """Hand one item to the relay for many mailboxes."""
        await self._sender.deliver(lot, settle)

    def claims(self, address: str) -> str | None:
        """The mail address normalised, or None if it is none."""
        return normal(address)

    def commands(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        return {"dkim": self._advise}

    async def checks(self, forums: Sequence[Forum], reach: Mapping[str, int]) -> Sequence[Check]:
        """What mail of these forums needs of the world outside."""
        key = self._key if self._settings.dkim_selector else None
        doctor = Doctor(self._settings, Resolver(self._settings.resolver), key, self._house.url("/leave/"))
        return await doctor.checks(forums, reach)

    async def _advise(self) -> str:
        if not self._settings.dkim_selector:
            return _("Nothing is signed here: dkim_selector is empty under [email].")
        await self.prepare()
        return dkim_key.advice(self._key, self._settings.domain)

    def forum_defaults(self) -> Mapping[str, str]:
        return {"mail_domain": self._settings.domain}

    def read(self, original: bytes, forum: Forum) -> NewPost:
        """A message of an archive. The envelope is not known any more; nobody sent it by the null sender to us."""
        return old(parse(original, "unknown", self._settings.domain, now_ms()), forum.slug)

    def source(self, post: Post, files: Mapping[str, bytes] = NO_FILES) -> bytes:
        """As received, or as the message that mailboxes get."""
        return source(post, files)

    def ways(self, forum: Forum, post: Post | None) -> Sequence[Way]:
        """A mailto link (RFC 6068); for an answer with the header fields that thread it."""
        address = f"{forum.slug}@{forum.mail_domain}"
        link = f"mailto:{quote(forum.slug)}@{quote(forum.mail_domain)}"
        if post is None:
            return (Way(_("Write by mail"), link, address),)
        subject = post.subject[: limits.SUBJECT_CHARS]
        answer = subjects.answering(subject)
        # every character that is not unreserved is written %XX: "&", "+" and angle brackets mean something else in a link
        link += f"?subject={quote(answer, safe='')}&In-Reply-To={quote(post.message_id, safe='')}"
        return (Way(_("Reply by mail"), link, address),)


def create(house: House, settings: Settings) -> Bridge:
    """The bridge; it is never off: a server without open doors still sends."""
    return EmailBridge(house, settings)
