"""The bridge as the server sees it: starts the door, the listener and the pulse, and passes items to the speaker."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from aiohttp import web

from bridges.matrix import names, registration
from bridges.matrix.appservice import Endpoint
from bridges.matrix.barred import Barred
from bridges.matrix.checks import Doctor
from bridges.matrix.compose import SPACE, events
from bridges.matrix.direct import Direct
from bridges.matrix.ghosts import Ghosts
from bridges.matrix.hear import Listener
from bridges.matrix.marks import Decisions
from bridges.matrix.moderators import Moderators
from bridges.matrix.recover import Recovery
from bridges.matrix.registration import Registration
from bridges.matrix.rooms import Rooms
from bridges.matrix.say import Speaker
from bridges.matrix.settings import Settings
from bridges.matrix.wire import Trouble
from server import log
from server.bridge import Check, Forum, Health, House, Lot, Post, Settle, Traits, Way
from server.clock import DAY, MINUTE, SECOND
from server.config import host_port
from server.errors import ConfigError, Deferred
from server.i18n import _

PULSE_SECONDS = 60.0
WHOAMI_SECONDS = 1.0
SHUTDOWN_SECONDS = 5.0
_log = log.get("matrix")


def _cannot_listen(listen: str, problem: OSError) -> str:
    # asyncio puts words of its own around the system's, and a resolver's numbers are not the system's
    number = problem.errno if problem.errno in errno.errorcode else None
    words = os.strerror(number).lower() if number else problem.strerror or str(problem)
    sentence = _("[matrix] listen = {listen}: {problem}: end what uses that port, or choose another one")
    return sentence.format(listen=listen, problem=words)


class MatrixBridge:
    """Application service of one homeserver."""

    traits = Traits(
        channel=SPACE,
        takes_back=True,
        ordered=True,
        tends=True,
        queue=True,
        backoff_ms=(SECOND, 2 * SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE),
        give_up_ms=7 * DAY,
        batch=20,
        lease_ms=10 * MINUTE,
    )

    def __init__(self, house: House, settings: Settings) -> None:
        self._house, self._settings = house, settings
        self._ghosts = self._users()
        self._barred = Barred(house)
        self._rooms = Rooms(house, self._ghosts, self._barred)
        direct = Direct(house, self._ghosts)
        moderators = Moderators(house, self._ghosts, self._ghosts.ours)
        self._listener = Listener(house, self._ghosts, direct, self._rooms, self._barred, moderators)
        decisions = Decisions(house, self._ghosts, self._listener.arrived)
        self._speaker = Speaker(
            house, self._ghosts, self._rooms, self._barred, direct, decisions, moderators, self._on_doubt
        )
        self._doubted, self._up = asyncio.Event(), asyncio.Event()

    def _users(self) -> Ghosts:
        return Ghosts(self._house, self._settings, lambda: self._registration)

    @property
    def registration_path(self) -> Path:
        """A relative path is relative to the configuration file."""
        return Path(self._house.root) / self._settings.registration

    @cached_property
    def _registration(self) -> Registration:
        return registration.ensure(self.registration_path, self._settings)

    async def prepare(self) -> None:
        """Make the registration if there is none. Works offline. Raises ConfigError."""
        registration.ensure(self.registration_path, self._settings)

    async def run(self) -> None:
        """The door for the homeserver, the listener behind it, and the pulse that notices outages."""
        endpoint = Endpoint(self._house, self._ghosts, lambda: self._registration, self._listener.wake)
        runner = web.AppRunner(endpoint.app(), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        host, port = host_port(self._settings.listen)
        try:
            try:
                await web.TCPSite(runner, host, port).start()
            except OSError as problem:
                raise ConfigError(_cannot_listen(self._settings.listen, problem)) from None
            async with asyncio.TaskGroup() as group:
                group.create_task(self._listener.run())
                group.create_task(self._pulse())
                group.create_task(self._recover())
        finally:
            await runner.cleanup()
            await self._ghosts.close()

    async def deliver(self, lot: Lot, settle: Settle) -> None:
        await self._speaker.deliver(lot, settle)

    # Optional abilities
    def claims(self, address: str) -> str | None:
        """A user id of anybody but our own ghosts, with its server's name in lower case."""
        parts = names.split_user(address.strip())
        if parts is None:
            return None
        user = f"@{parts[0]}:{parts[1].lower()}"
        return None if names.is_ours(user, self._ghosts.ours) else user

    def ways(self, forum: Forum, post: Post | None) -> Sequence[Way]:
        """The room, or the post in it, through matrix.to."""
        if forum.visibility != "public":
            return ()
        alias = names.forum_alias(forum.slug, self._ghosts.ours)
        event = events(post.refs)[:1] if post is not None else []
        return (Way(_("Open in Matrix"), names.link(alias, *event), alias),)

    def refuses(self, address: str, forum: Forum) -> str | None:
        """Who is of another homeserver cannot enter a room that does not federate."""
        parts, server = names.split_user(address), names.home(self._ghosts.ours)
        if forum.federate or parts is None or parts[1] == server:
            return None
        words = _(
            "The room of {forum} is for people of {server} alone, as it was made (federate=no): {address} cannot enter it."
        )
        return words.format(forum=forum.slug, server=server, address=address)

    def _registered(self) -> Registration | None:
        return self._registration

    async def checks(self, forums: Sequence[Forum], reach: Mapping[str, int]) -> Sequence[Check]:
        """For `junto doctor`."""
        try:
            return await Doctor(self._settings, self._ghosts, self._rooms, self._barred).look(
                self._registered(), forums
            )
        finally:
            await self._ghosts.close()

    def commands(self) -> Mapping[str, Callable[[], Awaitable[str]]]:
        return {"registration": self._advise}

    async def _advise(self) -> str:
        await self.prepare()
        return registration.advice(self.registration_path.resolve(), self._settings)

    # The pulse
    def _on_doubt(self, problem: str) -> None:
        self._house.report(False, problem)
        self._doubted.set()

    async def _pulse(self) -> None:
        """Ping until it works, then now and then. Coming back from an outage, everything that waits is tried at once.

        A ping makes the homeserver push to us at once what it has kept, instead of after its own pause (up to 8.5 minutes).
        """
        was_away, pause = True, 1.0
        while True:
            self._doubted.clear()
            health = await self._ping()
            closed = await self._closed() if health.ok else ""
            self._house.report(health.ok and not closed, closed or health.detail)
            if health.ok and was_away:
                self._house.nudge()
            if health.ok:
                self._up.set()
                was_away, pause = False, 1.0
                try:
                    async with asyncio.timeout(PULSE_SECONDS):
                        await self._doubted.wait()
                        await asyncio.sleep(pause)
                except TimeoutError:
                    pass
            else:
                was_away = True
                await asyncio.sleep(pause)
                pause = min(pause * 2, 30.0)

    async def _recover(self) -> None:
        """Once, when the homeserver has answered."""
        await self._up.wait()
        await Recovery(self._house, self._ghosts).run()

    async def _closed(self) -> str:
        """Which rooms nothing can be said in, and why."""
        try:
            return " ".join(bar.why for bar in (await self._barred.all()).values())
        except Deferred:  # the database is away, which /healthz tells by itself
            return ""

    async def _ping(self) -> Health:
        """Ask the homeserver to call us back (Application Service API, "Pinging", v1.7)."""
        path = f"/_matrix/client/v1/appservice/{names.escaped(self._registration.id)[0]}/ping"
        try:
            await self._ghosts.service().call("POST", path, {"transaction_id": secrets.token_hex(8)})
        except Trouble as trouble:
            if trouble.status == 404:  # older than v1.7
                return await self._whoami()
            _log.warning("homeserver away", problem=str(trouble))
            return Health(False, str(trouble))
        return Health(True)

    async def _whoami(self) -> Health:
        """Whether the homeserver answers and knows us, where it cannot ping."""
        try:
            async with asyncio.timeout(WHOAMI_SECONDS):
                await self._ghosts.service().call("GET", "/_matrix/client/v3/account/whoami")
        except TimeoutError:
            return Health(False, _("the homeserver does not answer"))
        except Trouble as trouble:
            return Health(False, str(trouble))
        return Health(True)
