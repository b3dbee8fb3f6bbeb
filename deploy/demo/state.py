"""What the demo remembers between two starts: one JSON file and the directories beside it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[2]


class AlreadyRunning(RuntimeError):
    """Another demo uses the same directory."""


class State:
    """`state.json` as a dictionary that is on disk after each `save`. Holds passwords: readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.path = root / "state.json"
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        self._lock = (root / "lock").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.seek(0)
            raise AlreadyRunning(
                f"The demo in {root} runs already (pid {self._lock.read().strip()}): end it first, or set "
                "JUNTO_DEMO_DIR to another directory."
            ) from None
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        self.data: dict[str, Any] = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def save(self) -> None:
        """Replaces the file in one step, so that a kill leaves the old or the new one."""
        fresh = self.path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(self.data, file, indent=1, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

    def part(self, name: str) -> dict[str, Any]:
        """A dictionary inside the state, made when missing."""
        found: dict[str, Any] = self.data.setdefault(name, {})
        return found

    def folder(self, name: str) -> Path:
        """A directory beside the state, made when missing."""
        made = self.root / name
        made.mkdir(parents=True, exist_ok=True)
        return made

    def close(self) -> None:
        """Lets another demo in."""
        self._lock.close()


def directory() -> Path:
    """Where the demo's state is: $JUNTO_DEMO_DIR, else `var/demo` of the work tree."""
    return Path(os.environ.get("JUNTO_DEMO_DIR") or TREE / "var" / "demo").resolve()
