"""Ports are chosen once; who holds one that should be ours is named."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo import ports


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_known_port_is_kept_and_a_new_name_gets_another_one() -> None:
    chosen = ports.choose(["web", "smtp"], {"web": 21234})
    assert chosen["web"] == 21234
    assert chosen["smtp"] != 21234
    assert chosen["smtp"] in ports.RANGE


def test_the_holder_of_a_taken_port_is_named(listener: int) -> None:
    with pytest.raises(ports.PortTaken) as problem:
        ports.check({"web": listener})
    said = str(problem.value)
    assert f"Port {listener} (web) is taken by pid {os.getpid()}" in said
    assert "JUNTO_DEMO_DIR" in said
    assert "\n" not in said


def test_free_ports_are_no_trouble() -> None:
    ports.check(ports.choose(["web", "smtp"], {}))


def test_a_holder_that_cannot_be_seen_is_another_users(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:5208 00000000:0000 0A 00000000:00000000 00:00000000 00000000  33        0 987654 1 0\n"
    )
    assert ports.holder(0x5208, tmp_path) == "a process of another user"
    assert ports.holder(0x5209, tmp_path) == "another program"
