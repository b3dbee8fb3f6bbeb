"""The demo's command: arguments, signals, what is printed, the exit code."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence

from deploy.demo.demo import Demo
from deploy.demo.junto import JuntoFailed
from deploy.demo.peers import NotThere
from deploy.demo.ports import PortTaken
from deploy.demo.roomuser import RoomRefused
from deploy.demo.seed import SeedFailed
from deploy.demo.state import AlreadyRunning, State, directory
from deploy.demo.synapse import NoSynapse
from deploy.demo.walk import FORUM, Walk

PROBLEMS = (AlreadyRunning, PortTaken, JuntoFailed, NoSynapse, RoomRefused, SeedFailed, NotThere)
RARELY = 8.0
"""Seconds between two progress lines where the output is not a terminal."""


class Lines:
    """Progress on one line of a terminal, or now and then a line in a log."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._last = 0.0
        self._start = time.monotonic()

    def __call__(self, words: str) -> None:
        if self._terminal:
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._last > RARELY or not self._last:
            self._last = time.monotonic()
            print(f"[{time.monotonic() - self._start:5.1f} s] {words}", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Ends the line that is being rewritten."""
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def command(arguments: Sequence[str]) -> int:
    """Runs the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="make run", description="Junto with real peers and a page to watch them.")
    parser.add_argument(
        "--walk", action="store_true", help="play five posts through all channels, say what came through, end"
    )
    return asyncio.run(_run(parser.parse_args(arguments).walk))


async def _run(walk: bool) -> int:
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    work = asyncio.create_task(_work(walk))
    stop = asyncio.create_task(asked.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
    stop.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        return 130 if walk else 0
    except PROBLEMS as problem:
        print(problem, file=sys.stderr)
        return 1


async def _work(walk: bool) -> int:
    """Until the walk is over, or until cancelled; either way everything is ended."""
    line = Lines()
    demo = Demo(State(directory()), line)
    try:
        line("Starting Junto")
        await demo.open()
        room = asyncio.create_task(demo.open_room())
        try:
            if walk:
                await room
                line.clear()
                return await Walk(demo.peers, await demo.junto.mailboxes(FORUM)).run()
            line.clear()
            print("\n".join(await demo.lines()), flush=True)
            await _room_or_word(demo, room, line)
            await asyncio.Event().wait()
            return 0
        finally:
            room.cancel()
            with contextlib.suppress(asyncio.CancelledError, *PROBLEMS):
                await room
    finally:
        line.clear()
        await demo.close()


async def _room_or_word(demo: Demo, room: asyncio.Task[None], line: Lines) -> None:
    """Without a room the rest goes on; why there is none is said."""
    try:
        await room
        line.clear()
        print("The room is open. Ctrl-C ends everything.", file=sys.stderr)
    except PROBLEMS as problem:
        line.clear()
        print(problem, file=sys.stderr)
        demo.stage.say_status(str(problem))
