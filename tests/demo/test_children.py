"""No child outlives the demo, and none meets a left-over of itself."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.demo.children import Child, end_leftover
from deploy.demo.patience import until

TREE = Path(__file__).resolve().parents[2]
PARENT = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from deploy.demo.children import Child
async def main():
    child = Child("sleeper", ["sleep", "300"], Path(sys.argv[2]))
    await child.start()
    print(child.process.pid, flush=True)
    await asyncio.sleep(300)
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_killed_demo_takes_its_children_along(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(TREE), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert await until(lambda: not alive(pid) or None, 10.0)


async def test_a_left_over_is_ended_before_a_new_one_starts(tmp_path: Path) -> None:
    old = await asyncio.create_subprocess_exec("sleep", "301", start_new_session=True)
    (tmp_path / "sleeper.pid").write_text(str(old.pid))
    child = Child("sleeper", ["sleep", "301"], tmp_path)
    await child.start()
    assert await old.wait() == -signal.SIGTERM
    assert child.running
    await child.stop()
    assert not child.running
    assert not (tmp_path / "sleeper.pid").exists()


async def test_another_program_with_the_number_of_a_left_over_is_spared(tmp_path: Path) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "302", start_new_session=True)
    (tmp_path / "sleeper.pid").write_text(str(other.pid))
    started = time.monotonic()
    end_leftover(tmp_path / "sleeper.pid", ["sleep", "301"])
    end_leftover(tmp_path / "none.pid", ["sleep", "301"])
    assert time.monotonic() - started < 5
    assert alive(other.pid)
    os.kill(other.pid, signal.SIGTERM)
    await other.wait()
