"""A server in a process of its own, so that it can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Serving:
    """`junto serve` on a configuration; `kill` is a power cut as far as the process can tell."""

    def __init__(self, config: Path, port: int) -> None:
        self._config, self._port = config, port
        self._log = config.with_suffix(".log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout: float = 30) -> None:
        """Return once the port answers."""
        program = "import sys, pathlib; from server.app import serve; serve(pathlib.Path(sys.argv[1]))"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, str(self._config)], env=environment, stdout=self._log, stderr=self._log
        )
        end = time.monotonic() + timeout
        while True:
            assert self._process.poll() is None, f"it ended: see {self._log.name}"
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, f"it does not answer: see {self._log.name}"
                time.sleep(0.05)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and wait until it did."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)
        self._log.close()
