"""Processes, and the rows of bridges."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server import jobs
from server.store.db import Store
from server.store.rows import BridgeRows
from tests.people.conftest import NOW


def _ended_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_who_does_not_run_any_more_is_dead(store: Store) -> None:
    store.write_now(jobs.register, "gone", "here", _ended_pid(), NOW)
    store.write_now(jobs.register, "alive", "here", os.getpid(), NOW)
    store.write_now(jobs.register, "far", "there", 1, NOW)
    assert store.read_now(jobs.dead_holders, "here", NOW) == ["gone"]


def test_who_fell_silent_is_dead_wherever_it_was(store: Store) -> None:
    late = NOW + jobs.BEAT_LIMIT_MS + 1
    store.write_now(jobs.register, "alive", "here", os.getpid(), NOW)
    store.write_now(jobs.register, "far", "there", 1, NOW)
    assert store.write_now(jobs.beat, "alive", late)
    assert store.read_now(jobs.dead_holders, "here", late) == ["far"]


def test_elsewhere_a_process_number_says_nothing_and_only_silence_is_death(store: Store) -> None:
    store.write_now(jobs.register, "other", "box/4026531999", _ended_pid(), NOW)
    store.write_now(jobs.register, "same number", "box/4026531999", os.getpid(), NOW)
    store.write_now(jobs.register, "me", "box/4026531836", os.getpid(), NOW + 5)
    limit = NOW + jobs.BEAT_LIMIT_MS
    assert store.read_now(jobs.dead_holders, "box/4026531836", limit) == []
    store.write_now(jobs.beat, "me", limit + 1)
    assert sorted(store.read_now(jobs.dead_holders, "box/4026531836", limit + 1)) == ["other", "same number"]


def test_a_host_is_a_machine_s_name_and_a_pid_namespace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = []
    for namespace in ("one", "two"):
        (tmp_path / namespace).touch()
        monkeypatch.setattr(jobs, "PID_NAMESPACE", tmp_path / namespace)
        names += [jobs.host(), jobs.host()]
    assert names[0] == names[1] != names[2] == names[3]
    monkeypatch.setattr(jobs, "PID_NAMESPACE", tmp_path / "none")  # no Linux
    assert jobs.host() == socket.gethostname()


@pytest.mark.skipif(not jobs.PID_NAMESPACE.exists(), reason="no PID namespaces here")
def test_processes_that_see_each_other_have_one_host() -> None:
    child = [sys.executable, "-c", "from server import jobs; print(jobs.host())"]
    assert subprocess.run(child, capture_output=True, text=True, check=True).stdout.strip() == jobs.host()
    assert jobs.host().endswith(f"/{os.stat('/proc/self/ns/pid').st_ino}")


def test_of_two_with_one_process_number_the_younger_lives(store: Store) -> None:
    store.write_now(jobs.register, "before", "box", os.getpid(), NOW)
    store.write_now(jobs.register, "now", "box", os.getpid(), NOW + 5)
    assert store.read_now(jobs.dead_holders, "box", NOW + 5) == ["before"]
    store.write_now(jobs.unregister, "before")
    assert store.read_now(jobs.dead_holders, "box", NOW + 5) == []
    assert not store.write_now(jobs.beat, "before", NOW + 5)


def test_the_inbox_keeps_once_and_gives_in_order(store: Store) -> None:
    def fill(tx: object) -> list[bool]:
        rows = BridgeRows(tx, "chat", NOW)  # type: ignore[arg-type]
        return [rows.keep("t1", b"one"), rows.keep("t2", b"two"), rows.keep("t1", b"other")]

    assert store.write_now(fill) == [True, True, False]
    first, second = store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(10))
    assert (first.name, first.data, second.name, second.data) == ("t1", b"one", "t2", b"two")
    assert store.read_now(lambda tx: BridgeRows(tx, "other", NOW).take(10)) == []


def test_what_is_done_is_never_taken_again_and_its_name_stays_known(store: Store) -> None:
    store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).keep("t1", b"one"))
    (row,) = store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(1))
    store.write_now(lambda tx: BridgeRows(tx, "other", NOW).done(row.id))
    assert len(store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(1))) == 1
    store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).done(row.id))
    assert store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(1)) == []
    assert not store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).keep("t1", b"one"))


@pytest.mark.parametrize(("aside", "left"), [(False, 1), (True, 0)])
def test_a_failure_is_counted_or_set_aside(store: Store, aside: bool, left: int) -> None:
    store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).keep("t1", b"one"))
    (row,) = store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(1))
    if aside:
        store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).quarantine(row.id, "cannot be read"))
    else:
        store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).again(row.id, "not now"))
    rows = store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).take(1))
    assert [kept.attempts for kept in rows] == [1] * left


def test_small_facts_belong_to_their_bridge(store: Store) -> None:
    def write(tx: object) -> None:
        rows = BridgeRows(tx, "chat", NOW)  # type: ignore[arg-type]
        rows.put("room", "b", "1")
        rows.put("room", "a", "2")
        rows.put("room", "b", "3")
        rows.put("other", "c", "4")
        BridgeRows(tx, "mail", NOW).put("room", "a", "5")  # type: ignore[arg-type]

    store.write_now(write)
    assert store.read_now(lambda tx: [BridgeRows(tx, "chat", NOW).get("room", key) for key in "ab"]) == ["2", "3"]
    assert store.read_now(lambda tx: BridgeRows(tx, "chat", NOW).get("room", "x")) is None
    store.write_now(lambda tx: BridgeRows(tx, "chat", NOW).drop("room", "a"))
    assert store.read_now(lambda tx: BridgeRows(tx, "mail", NOW).get("room", "a")) == "5"
    assert store.read_now(lambda tx: [BridgeRows(tx, "chat", NOW).get("room", key) for key in "ab"]) == [None, "3"]


def test_many_are_kept_in_order_and_each_name_once(store: Store) -> None:
    def work(tx: object) -> list[tuple[str, bytes]]:
        rows = BridgeRows(tx, "chat", NOW)  # type: ignore[arg-type]
        rows.keep("t2", b"two")
        rows.keep_all([("t3", b"three"), ("t2", b"other"), ("t1", b"one"), ("t3", b"again")])
        rows.keep_all([])
        first = rows.take(1)
        return [(kept.name, kept.data) for kept in [*first, *rows.take(9, first[0].id)]]

    assert store.write_now(work) == [("t2", b"two"), ("t3", b"three"), ("t1", b"one")]
