"""Child processes that never outlive the demo, however it ends, and never meet a left-over of themselves."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

GRACE = 10.0
"""Seconds from the wish to end to the kill."""

_PR_SET_PDEATHSIG = 1  # prctl(2)
_LIBC = ctypes.CDLL(None, use_errno=True)


def tied_to(parent: int) -> Callable[[], None]:
    """What a fresh child runs before exec: the kernel sends it SIGTERM when its parent dies, a kill -9 included.

    The signal is sent when the *thread* that forked ends: start children from the main thread only.
    """

    def tie() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return tie


class Child:
    """One long-running child, its log and its pid file."""

    def __init__(self, name: str, argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = [str(word) for word in argv]
        self.log = folder / f"{name}.log"
        self.pid_file = folder / f"{name}.pid"
        self.env = {**os.environ, **(env or {})}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Ends a left-over of a killed run first; then there is exactly one."""
        await asyncio.to_thread(end_leftover, self.pid_file, self.argv)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.env,
                start_new_session=True,  # Ctrl-C in the terminal is for the demo, which ends its children in order
                preexec_fn=tied_to(os.getpid()),
            )
        self.pid_file.write_text(str(self.process.pid))

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.returncode is None

    async def ended(self) -> int:
        """Waits for its end; the exit code."""
        assert self.process is not None
        return await self.process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        if self.process is None:
            return
        if self.running:
            self.process.terminate()
            try:
                async with asyncio.timeout(GRACE):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        self.pid_file.unlink(missing_ok=True)

    def tail(self, lines: int = 12) -> str:
        """The end of its log, for messages."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:]) if self.log.exists() else ""


def end_leftover(pid_file: Path, argv: Sequence[str]) -> None:
    """Ends the process of the pid file if it is still the same program with the same arguments."""
    try:
        pid = int(pid_file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    # A script's interpreter stands before it in cmdline, so the tail is what has to agree.
    if [word.encode() for word in argv[1:]] != command[-len(argv) : -1]:
        return
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, GRACE)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not _alive(pid):
                pid_file.unlink(missing_ok=True)
                return
            time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
