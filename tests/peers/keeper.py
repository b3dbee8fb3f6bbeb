"""Runs one peer for as long as its owner lives:  keeper.py OWNER_PID STOP_SIGNAL PROGRAM ARGUMENT...

The owner is the pytest process that started the run. When it ends, however it ends, or when the keeper gets SIGTERM, the peer
and what it started are ended too. When the peer ends by itself, so does its keeper. Standard library only; imports nothing.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

GRACE = 10.0
"""Seconds that a peer has to end after the stop signal; then its process group is killed."""


def keep(owner: int, stop_signal: int, argv: list[str]) -> int:
    """Starts the peer, waits for its end, its owner's end or SIGTERM; returns the peer's exit code."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGTERM, lambda _signal, _frame: None)
    try:
        owner_fd = os.pidfd_open(owner)
    except ProcessLookupError:
        return 1
    with subprocess.Popen(argv, start_new_session=True, stdin=subprocess.DEVNULL) as peer:
        peer_fd = os.pidfd_open(peer.pid)
        ended, _, _ = select.select([owner_fd, peer_fd, wake_read], [], [])
        if peer_fd not in ended:
            _end(peer, stop_signal)
        else:
            _kill_group(peer.pid)
        return peer.wait()


def _end(peer: subprocess.Popen[bytes], stop_signal: int) -> None:
    peer.send_signal(stop_signal)
    try:
        peer.wait(GRACE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _kill_group(peer.pid)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(keep(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
