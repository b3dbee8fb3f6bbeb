"""One test run: its directory, its locks, and the processes that it shares between pytest workers.

The first process of the run (pytest itself, not an xdist worker) makes the directory and names itself the owner in the
environment, which the workers inherit. Whoever first needs a peer starts it under a file lock and writes down how to reach
it; the owner ends all of them.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.peers.net import PeerError

_DIRECTORY = "JUNTO_TEST_RUN"
_OWNER = "JUNTO_TEST_OWNER"
_KEEPER = Path(__file__).with_name("keeper.py")


def open_run() -> bool:
    """Makes the run's directory unless a parent process did; True for the owner, who must call `close_run`."""
    if _DIRECTORY in os.environ:
        return False
    directory = tempfile.mkdtemp(prefix="junto-run-")
    os.chmod(directory, 0o755)  # the postgres and postfix users must be able to walk through
    os.environ[_DIRECTORY] = directory
    os.environ[_OWNER] = str(os.getpid())
    return True


def close_run() -> None:
    """Ends every peer of the run, the last started first, and removes the directory."""
    directory = Path(os.environ.pop(_DIRECTORY))
    os.environ.pop(_OWNER, None)
    for note in sorted(directory.glob("*/keeper.pid"), key=lambda path: path.stat().st_mtime, reverse=True):
        end_keeper(int(note.read_text()))
    if os.environ.get("JUNTO_KEEP_RUN"):
        print(f"\nkept: {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)


def directory() -> Path:
    """The directory of this run."""
    return Path(os.environ[_DIRECTORY])


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the run's lock of that name against the other workers."""
    with (directory() / f"{name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def shared(name: str, start: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """What `start(directory of the peer)` returned in whichever worker called first. Nothing is kept when it raises."""
    place = directory() / name
    note = directory() / f"{name}.json"
    with locked(name):
        if not note.exists():
            place.mkdir(mode=0o755)
            try:
                note.write_text(json.dumps(start(place)))
            except BaseException:
                stop(place)
                place.rename(place.with_name(f"{name}.failed-{os.getpid()}-{os.urandom(3).hex()}"))
                raise
        found: dict[str, Any] = json.loads(note.read_text())
        return found


def start(place: Path, argv: list[str], stop_signal: signal.Signals = signal.SIGTERM, **environment: str) -> int:
    """Starts a peer under a keeper, its output in `place/log`; returns the keeper's pid."""
    with (place / "log").open("ab") as log:
        keeper = subprocess.Popen(
            [sys.executable, str(_KEEPER), os.environ[_OWNER], str(int(stop_signal)), *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for pytest alone
            cwd=place,
            env={**os.environ, **environment},
        )
    (place / "keeper.pid").write_text(str(keeper.pid))
    keeper.returncode = 0  # it outlives this worker on purpose: no warning when the object goes
    return keeper.pid


def stop(place: Path) -> None:
    """Ends the peer that `start` started there; returns when it is gone."""
    note = place / "keeper.pid"
    if note.exists():
        end_keeper(int(note.read_text()))
        note.unlink()


def alive(place: Path) -> bool:
    """Whether the peer's keeper runs."""
    note = place / "keeper.pid"
    keeper = _keeper_fd(int(note.read_text())) if note.exists() else None
    if keeper is not None:
        os.close(keeper)
    return keeper is not None


def tail(place: Path, lines: int = 30) -> str:
    """The end of a peer's log, for messages."""
    log = place / "log"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"


def end_keeper(pid: int, timeout: float = 20.0) -> None:
    """SIGTERM to a keeper of ours and waits until it and its peer are gone."""
    keeper = _keeper_fd(pid)
    if keeper is None:
        return
    try:
        signal.pidfd_send_signal(keeper, signal.SIGTERM)
        if not select.select([keeper], [], [], timeout)[0]:
            raise PeerError(f"keeper {pid} did not end within {timeout:g} s")
    except ProcessLookupError:
        return
    finally:
        os.close(keeper)


def _keeper_fd(pid: int) -> int | None:
    """A handle on the process, None when it has ended or the number now names another program."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    ended = bool(select.select([handle], [], [], 0)[0])
    if not ended:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a moment while the keeper is being executed
        if not command or str(_KEEPER).encode() in command:
            return handle
    os.close(handle)
    return None
