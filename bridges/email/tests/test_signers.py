"""Processes sign what we would sign ourselves, and nothing is left unsigned or running when they or we end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridges.email import dkim_key, signer
from bridges.email.dkim_key import Key
from bridges.email.signers import Signers

COUNT = 2
DIGESTS = [bytes([number]) * signer.DIGEST for number in range(70)]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return dkim_key.ensure(tmp_path_factory.mktemp("keys") / "dkim-s1.pem", "s1")


@pytest.fixture
def signers(key: Key) -> Iterator[Signers]:
    made = Signers(lambda: key, COUNT)
    yield made
    made.close()


def running() -> set[int]:
    """Processes of ours that sign."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    every = {int(number) for each in children for number in each.read_text().split()}
    return {one for one in every if b"signer.py" in Path(f"/proc/{one}/cmdline").read_bytes()}


def expected(key: Key) -> list[bytes]:
    return [signer.sign(key.private, digest) for digest in DIGESTS]


def begin(signers: Signers) -> set[int]:
    before = running()
    for _ in range(COUNT):
        signers.sign(DIGESTS)
    return running() - before


def test_batches_of_any_size_are_signed_in_their_order(key: Key, signers: Signers) -> None:
    assert len(begin(signers)) == COUNT
    for count in (1, 70, 0, 8, 3):
        assert signers.sign(DIGESTS[:count]) == expected(key)[:count]
    together = signers.threads.map(signers.sign, [DIGESTS] * 8)
    assert list(together) == [expected(key)] * 8


def test_what_is_lost_with_a_process_is_signed_without_it_and_another_one_starts(key: Key, signers: Signers) -> None:
    begun = begin(signers)
    for process in begun:
        os.kill(process, signal.SIGKILL)
    for _ in range(2 * COUNT):
        assert signers.sign(DIGESTS) == expected(key)
    again = running()
    assert len(again - begun) == COUNT
    assert not again & begun


def test_they_end_when_they_are_closed(signers: Signers) -> None:
    begun = begin(signers)
    signers.close()
    assert not running() & begun


def test_one_letter_starts_none(key: Key, signers: Signers) -> None:
    before = running()
    assert signers.sign(DIGESTS[:1]) == expected(key)[:1]
    assert running() == before
