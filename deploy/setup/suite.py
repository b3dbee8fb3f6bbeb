"""Runs formatter, linter, type checker and tests side by side and sums them up:  suite.py test [pytest arguments] | check

The last line is `N passed, N failed, N skipped` over all parts; the exit code is 0 only when nothing failed, something
passed and, under CI=true, nothing was skipped. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
BIN = ROOT / ".venv" / "bin"
CI = os.environ.get("CI") == "true"
NEWEST = "3.13"
SOURCE_ONLY = (
    "atomicwrites",
    "dkimpy",
    "pyspf",
)  # published without wheels; pure Python, so that no compiler is needed all the same
WORKERS = str(max(4, os.cpu_count() or 1))  # tests wait for peers and disks more than they compute
OFFLINE = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeout",
    "Max retries exceeded",
    "Network is unreachable",
)


@dataclass(frozen=True)
class Count:
    """How many passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


class Check:
    """A command that passes when it exits 0; it runs in the background and speaks only when it fails."""

    def __init__(self, name: str, *argv: str) -> None:
        self.name = name
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (read after the command)
        self._process = subprocess.Popen(argv, cwd=ROOT, stdout=self._output, stderr=subprocess.STDOUT)

    def result(self) -> Count:
        """Waits for the command, prints one line (and its output when it failed), and returns the count."""
        passed = self._process.wait() == 0
        self._output.seek(0)
        text = self._output.read().decode(errors="replace").rstrip()
        if not passed and self.may_skip(text):
            print(f"{self.name}: skipped, the network cannot be reached")
            return Count(skipped=1)
        print(f"{self.name}: passed" if passed else f"\n{self.name}: FAILED\n{text}\n", flush=True)
        self.done(passed)
        return Count(passed=1) if passed else Count(failed=1)

    def may_skip(self, output: str) -> bool:
        """Whether a failure with this output says nothing about the code."""
        return False

    def done(self, passed: bool) -> None:
        """Called once with the outcome."""


class Wheels(Check):
    """Whether each pinned version has a wheel for the newest Python, so that nobody needs a compiler (a dry run of pip)."""

    def __init__(self, constraints: Path) -> None:
        self._stamp = ROOT / ".setup" / f"wheels-{constraints.stem}"
        self._hash = hashlib.sha256(constraints.read_bytes() + NEWEST.encode()).hexdigest()
        known = self._stamp.exists() and self._stamp.read_text() == self._hash
        options = ["--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--retries=2"]
        options += [f"--no-binary={name}" for name in SOURCE_ONLY]
        target = ["--python-version", NEWEST, "--target", str(ROOT / ".setup" / "wheels"), "-r", str(constraints)]
        pip = [str(BIN / "python"), "-m", "pip", "--disable-pip-version-check", "install", *options, *target]
        super().__init__(f"wheels for Python {NEWEST} ({constraints.name})", *(["true"] if known else pip))

    def may_skip(self, output: str) -> bool:
        return not CI and any(word in output for word in OFFLINE)

    def done(self, passed: bool) -> None:
        if passed:
            self._stamp.parent.mkdir(exist_ok=True)
            self._stamp.write_text(self._hash)


def checks() -> list[Check]:
    """Starts formatter, linter and type checker."""
    return [
        Check("format", str(BIN / "ruff"), "format", "--check", "."),
        Check("lint", str(BIN / "ruff"), "check", "."),
        Check("types", str(BIN / "mypy")),
    ]


def run_pytest(arguments: list[str]) -> Count:
    """Runs every test on several workers, its output passed through; a run that breaks down counts as a failure."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        options = ["-n", WORKERS, "--durations=15", f"--junitxml={report}", *arguments]
        code = subprocess.run([str(BIN / "python"), "-m", "pytest", *options], cwd=ROOT).returncode
        count = _read(report) if report.exists() else Count()
    if code != 0 and count.failed == 0:
        print(f"pytest ended with code {code}")
        return count + Count(failed=1)
    return count


def _read(report: Path) -> Count:
    passed = failed = skipped = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        marks = {child.tag for child in case}
        if marks & {"failure", "error"}:
            failed += 1
        elif "skipped" in marks:
            skipped += 1
        else:
            passed += 1
    return Count(passed, failed, skipped)


def main(arguments: list[str]) -> int:
    """Runs what was asked for; returns the exit code."""
    begun = time.monotonic()
    running = checks()
    tests = Count(passed=1)
    if arguments[0] == "test":
        running += [
            Wheels(ROOT / "deploy" / name)
            for name in ("constraints.txt", "constraints-synapse.txt", "constraints-node.txt")
        ]
        tests = run_pytest(arguments[1:])
    total = sum((check.result() for check in running), Count())
    if arguments[0] == "test":
        total += tests
    print(f"took {time.monotonic() - begun:.0f} s")
    print(total, flush=True)
    return 0 if tests.passed and not total.failed and not (CI and total.skipped) else 1


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("test", "check"):
        sys.exit("usage: suite.py test [pytest arguments] | check")
    sys.exit(main(sys.argv[1:]))
