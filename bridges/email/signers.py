"""RSA signatures from a few processes, asked by threads. Knows no mail; the program that they run is `signer`.

A thread that signs by itself must win the interpreter's lock back after each signature, from a loop that is busy sending. A process
takes digests by the batch and asks nobody. None outlives us: each ends with its input. Where one is lost, the thread that asked signs.
"""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives import serialization

from bridges.email import signer
from bridges.email.dkim_key import Key
from server import log

WORTH = 8  # digests at once; for fewer no process is asked, and a small server never starts one

_log = log.get("email.signers")


class Signers:
    """So many processes that sign with the key, each started when it is first needed; any thread may ask. `threads` are as many."""

    def __init__(self, key: Callable[[], Key], count: int) -> None:
        self._key, self._count = key, count
        self.threads = ThreadPoolExecutor(count, "dkim")
        self._free: queue.SimpleQueue[subprocess.Popen[bytes] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def close(self) -> None:
        """End all; blocks until what they were asked is answered."""
        for _ in range(self._count):
            process = self._free.get()
            if process is not None:
                _end(process)
            self._free.put(None)

    def sign(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        """The signature of each; blocks."""
        if len(digests) < WORTH:
            return self._here(digests)
        process = self._free.get()
        try:
            if process is None:
                process = self._begin()
                return self._here(digests)  # it will be ready for the next ones
            return _ask(process, digests, self._key().private.key_size // 8)
        except OSError as problem:
            _log.warning("signing without a process", problem=str(problem))
            if process is not None:
                _end(process)
                process = None
            return self._here(digests)
        finally:
            self._free.put(process)

    def _here(self, digests: Sequence[bytes]) -> Sequence[bytes]:
        private = self._key().private
        return [signer.sign(private, digest) for digest in digests]

    def _begin(self) -> subprocess.Popen[bytes]:
        key = self._key().private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        process = subprocess.Popen(
            [sys.executable, "-I", signer.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for us alone
        )
        assert process.stdin is not None
        process.stdin.write(len(key).to_bytes(signer.NUMBER) + key)
        return process


def _ask(process: subprocess.Popen[bytes], digests: Sequence[bytes], size: int) -> Sequence[bytes]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(len(digests).to_bytes(signer.NUMBER) + b"".join(digests))
    process.stdin.flush()
    made = process.stdout.read(size * len(digests))
    if len(made) < size * len(digests):
        raise OSError("it ended")
    return [made[at : at + size] for at in range(0, len(made), size)]


def _end(process: subprocess.Popen[bytes]) -> None:
    """By the end of its input, whatever state it is in."""
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):  # what it never read
            if pipe is not None:
                pipe.close()
    process.wait()
