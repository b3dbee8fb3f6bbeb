"""The demo as a whole: what is started, in which order, and how all of it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from deploy.demo import ports, synapse
from deploy.demo.children import end_leftover
from deploy.demo.community import BRUNO, CHIDI, DOMAIN
from deploy.demo.junto import Junto
from deploy.demo.mailcatch import Catcher
from deploy.demo.peers import Peers, accounts
from deploy.demo.roomuser import TEMPORARY, RoomRefused
from deploy.demo.seed import HURRY, Seed, SeedFailed
from deploy.demo.stage import Stage
from deploy.demo.state import State

PORTS = ("web", "smtp", "appservice", "synapse", "stage", "catcher")
GATHER = 0.03
"""Seconds in which changes are told to the open pages as one."""


class Demo:
    """Everything that runs. `tell` is given lines for the terminal."""

    def __init__(self, state: State, tell: Callable[[str], None]) -> None:
        self.state = state
        self.tell = tell
        self._look: asyncio.TimerHandle | None = None
        self.ports = ports.choose(PORTS, state.part("ports"))
        state.data["ports"] = self.ports
        state.save()
        pids = state.folder("run")
        self.junto = Junto(state.root / "junto", self.ports, pids)
        self.synapse = synapse.Synapse(state.folder("synapse"), self.ports["synapse"], DOMAIN, state.part("keys"), pids)
        self.accounts = accounts(state)
        state.save()
        self.peers = Peers(state, self.ports, self._changed)
        self.catcher = Catcher(self.peers.office, self.ports["catcher"])
        self.stage = Stage(self.peers, self.ports["stage"], self.synapse.public_url)
        self.seed = Seed(self.peers)
        self.room_open = asyncio.Event()
        self._homeserver: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Future[Any]] = set()

    def _changed(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(GATHER, self._told)

    def _told(self) -> None:
        self._look = None
        self.stage.look()

    def _start(self, job: Awaitable[object]) -> None:
        task = asyncio.ensure_future(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open(self) -> None:
        """Web, mail and the stage. The room is still to come: `open_room`."""
        for child in (self.junto.child, self.synapse.child):
            await asyncio.to_thread(end_leftover, child.pid_file, child.argv)
        ports.check(self.ports)
        await self.catcher.start()
        await self.junto.set_up(self.state.part("set_up"), self.state.save)
        self._homeserver = asyncio.ensure_future(self._start_homeserver())  # meanwhile
        await self.junto.start()
        self._start(self._report(self.junto.child.name, self.junto.child.ended, self.junto.child.log.name))
        await self.peers.sign_in(CHIDI)
        await self.peers.watch.catch_up()
        self._start(self.peers.watch.follow())
        await self.stage.start()
        self._say("The room opens when the Matrix homeserver is ready.")
        with contextlib.suppress(SeedFailed):  # the rest follows when the room is open
            await self.seed.play(HURRY)
        self.stage.trace = self.junto.trace_line(min(self.peers.ledger.posts, default=("tidepools", 1)))

    async def _start_homeserver(self) -> None:
        await synapse.install(self._say)
        self.synapse.configure(self.junto.registration)
        await self.synapse.start()

    async def open_room(self) -> None:
        """Waits for Synapse, lets the members in, plays the rest of the sample. Raises NoSynapse and RoomRefused."""
        assert self._homeserver is not None
        await self._homeserver
        self._start(self._report("Synapse", self.synapse.child.ended, self.synapse.child.log.name))
        for account in self.accounts.values():
            await self.synapse.register(account.localpart, account.password, account.name)
        self._say("Waiting for Junto's rooms")
        try:
            await self.peers.enter_rooms(self.synapse.url, self.accounts)
        except TEMPORARY as problem:
            raise RoomRefused(f"the members could not enter the room: {problem}") from None
        assert self.peers.room is not None
        self._start(self.peers.room.follow())
        if missing := self.seed.missing:
            self._say(f"The room is open. {missing} more sample posts are on their way")
        await self.seed.play()
        self._say("")
        self.room_open.set()
        self._changed()

    def _say(self, words: str) -> None:
        self.stage.say_status(words)
        if words:
            self.tell(words)

    async def _report(self, name: str, ended: Callable[[], Awaitable[int]], log: str) -> None:
        code = await ended()
        self._say(f"{name} ended by itself (exit code {code}); see {self.state.root / 'run' / log}")

    async def lines(self) -> list[str]:
        """The four lines: the stage, the sign-in link, the Matrix client's needs, a trace."""
        link = await self.peers.fresh_link(CHIDI)
        bruno = self.accounts[BRUNO.key]
        return [
            f"The stage        http://localhost:{self.ports['stage']}/",
            f"Sign in          {link} (as {CHIDI.name}; more: {self.junto.base_url}/sign-in, mail is on the stage)",
            f"Matrix client    homeserver {self.synapse.public_url}  user {BRUNO.address}  password {bruno.password}",
            f"Trace a post     {self.stage.trace}",
        ]

    async def close(self) -> None:
        """Ends everything, children last started first."""
        tasks: list[asyncio.Future[Any]] = [*self._tasks, *([self._homeserver] if self._homeserver else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self.stage.stop()
        await self.peers.close()
        await asyncio.gather(self.synapse.child.stop(), self.junto.child.stop())
        await self.catcher.stop()
        self.state.save()
        self.state.close()
