"""TCP ports of 127.0.0.1: chosen once, and who holds one that should be ours. Reads /proc, opens nothing but probes."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

RANGE = range(20000, 32000)
"""Below Linux's ephemeral ports, so that no outgoing connection can sit on one between two starts."""

LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""


class PortTaken(RuntimeError):
    """A port of the demo is held by somebody else; the text is one sentence that names the holder."""


def free(port: int) -> bool:
    """Whether a listener could be opened there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(names: Iterable[str], known: Mapping[str, int]) -> dict[str, int]:
    """A port for each name: the known one, else a free one that no other name has."""
    chosen = {name: known[name] for name in names if name in known}
    for name in names:
        if name not in chosen:
            chosen[name] = next(
                port for port in random.sample(RANGE, len(RANGE)) if port not in chosen.values() and free(port)
            )
    return chosen


def check(chosen: Mapping[str, int]) -> None:
    """Raises PortTaken for the first port that somebody else listens on."""
    for name, port in chosen.items():
        if not free(port):
            raise PortTaken(
                f"Port {port} ({name}) is taken by {holder(port)}: end it, or set "
                "JUNTO_DEMO_DIR to another directory for a demo with ports of its own."
            )


def holder(port: int, proc: Path = Path("/proc")) -> str:
    """Who listens on that port, for people: "pid 12 (nginx -g daemon off)"."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        try:
            inodes |= _listeners((proc / "net" / table).read_text(), port)
        except OSError:
            continue
    for directory in proc.iterdir():
        if directory.name.isdigit() and _holds(directory, inodes):
            command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            return f"pid {directory.name} ({command[:80]})"
    return "a process of another user" if inodes else "another program"


def _listeners(table: str, port: int) -> set[str]:
    """The socket inodes that listen on the port, from the text of /proc/net/tcp."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(fields[9])
    return found


def _holds(process: Path, inodes: set[str]) -> bool:
    try:
        return any(
            os.readlink(handle) in {f"socket:[{inode}]" for inode in inodes} for handle in (process / "fd").iterdir()
        )
    except OSError:  # gone meanwhile, or another user's
        return False
