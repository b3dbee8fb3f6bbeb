"""The mail bridge as the server sees it: traits, addresses, ways to write, and the two verbs. The work is done in its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from bridges.email.addresses import normal
from bridges.email.listener import Listener
from bridges.email.receive import CHANNEL
from bridges.email.send import Sender
from bridges.email.settings import Relay, Settings, relay
from bridges.email.source import source
from server import limits, log, metrics
from server.bridge import Bridge, Forum, House, Lot, Post, Settle, Traits, Way
from server.clock import DAY, HOUR, MINUTE
from server.i18n import _

OPEN_AGAIN_SECONDS = 5.0
logger = log.get("email.bridge")

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
        self._sender = Sender(settings, house)

    async def prepare(self) -> None:
        """Nothing has to be made for mail."""

    async def run(self) -> None:
        """Take mail until cancelled. A port that is taken is tried again, and /healthz says so."""
        try:
            while True:
                listener = Listener(self._house, self._settings)
                try:
                    await listener.start()
                except OSError as problem:
                    self._house.report(False, _("mail cannot come in: {problem}").format(problem=problem))
                    logger.error("listen", error=str(problem))
                    metrics.LOOP_ERRORS.labels(part="email.listener").inc()
                    await asyncio.sleep(OPEN_AGAIN_SECONDS)
                    continue
                try:
                    self._house.report(True)
                    await asyncio.get_running_loop().create_future()
                finally:
                    await listener.stop()
        finally:
            await self._sender.close()

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        """Hand one item to the relay for many mailboxes."""
        await self._sender.deliver(lot, settle)

    def claims(self, address: str) -> str | None:
        """The mail address normalised, or None if it is none."""
        return normal(address)

    def forum_defaults(self) -> Mapping[str, str]:
        return {"mail_domain": self._settings.domain}

    def source(self, post: Post) -> bytes:
        """A post born elsewhere as the message that mailboxes get."""
        return source(post)

    def ways(self, forum: Forum, post: Post | None) -> Sequence[Way]:
        """A mailto link (RFC 6068); for an answer with the header fields that thread it."""
        address = f"{forum.slug}@{forum.mail_domain}"
        link = f"mailto:{quote(forum.slug)}@{quote(forum.mail_domain)}"
        if post is None:
            return (Way(_("Write by mail"), link, address),)
        subject = post.subject[: limits.SUBJECT_CHARS]
        answer = subject if subject[:3].lower() == "re:" else f"Re: {subject}"
        # every character that is not unreserved is written %XX: "&", "+" and angle brackets mean something else in a link
        link += f"?subject={quote(answer, safe='')}&In-Reply-To={quote(post.message_id, safe='')}"
        return (Way(_("Reply by mail"), link, address),)


def create(house: House, settings: Settings) -> Bridge:
    """The bridge; it is never off: a server without open doors still sends."""
    return EmailBridge(house, settings)
