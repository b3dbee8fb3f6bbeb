"""The built wheel where there was nothing: `junto init`, `junto serve`, a page, a mail out."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.faults.crashing import send_until_taken
from tests.peers.net import free_port
from tests.stories.town import letter

ROOT = Path(__file__).parents[2]


class Catcher:
    """A relay that remembers."""

    def __init__(self) -> None:
        self.caught: list[tuple[list[str], bytes]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.caught.append((envelope.rcpt_tos, bytes(envelope.content or b"")))
        return "250 OK"


def installed(place: Path) -> tuple[Path, dict[str, str]]:
    """The program from the wheel in an environment of its own, and the variables that let it find what it depends on."""
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = place.glob("junto-*.whl")
    venv.create(place / "env", with_pip=True)
    pip = [place / "env/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    # The dependencies are those of this environment; its .pth files, and with them this work tree, are not read there.
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("JUNTO_", "PYTHON"))}
    return place / "env/bin/junto", variables | {"PYTHONPATH": sysconfig.get_paths()["purelib"]}


async def test_init_serve_page_and_mail(tmp_path: Path) -> None:
    junto, variables = await asyncio.to_thread(installed, tmp_path)
    web, smtp, relay = free_port(), free_port(), free_port()
    variables |= {
        "JUNTO_SERVER__BASE_URL": f"http://localhost:{web}",
        "JUNTO_WEB__LISTEN": f"127.0.0.1:{web}",
        "JUNTO_EMAIL__LISTEN": f"127.0.0.1:{smtp}",
        "JUNTO_EMAIL__RELAY": f"smtp://127.0.0.1:{relay}",
    }

    def command(*words: str) -> str:
        run = subprocess.run([junto, *words], cwd=tmp_path / "x", env=variables, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    (tmp_path / "x").mkdir()
    command("init", ".")
    command("community", "create", "shore", "--name", "Shore watchers")
    command("forum", "create", "pools", "--community", "shore", "--title", "Tide pools")
    for name in ("ana", "bo"):
        command("member", "add", f"{name}@example.org", "--forum", "pools", "--name", name.title())
    catcher = Catcher()
    door = await asyncio.get_running_loop().create_server(lambda: SMTP(catcher), "127.0.0.1", relay)
    server = subprocess.Popen([junto, "serve"], cwd=tmp_path / "x", env=variables, stderr=subprocess.DEVNULL)
    try:
        raw = letter("Ana <ana@example.org>", "pools@localhost", "Hello", "First words.\n", "<a@x.test>")
        deadline = time.monotonic() + 60
        await asyncio.to_thread(send_until_taken, smtp, raw, "ana@example.org", "pools@localhost", deadline)
        healthy = await asyncio.to_thread(fetch, f"http://localhost:{web}/healthz")
        assert json.loads(healthy)["status"] in ("ok", "degraded")
        assert "First words." in await asyncio.to_thread(fetch, f"http://localhost:{web}/f/pools/1")
        async with asyncio.timeout(30):
            while not catcher.caught:
                await asyncio.sleep(0.05)
        to, mail = catcher.caught[0]
        assert to == ["bo@example.org"]
        assert b"First words." in mail
        trace = json.loads(command("trace", "pools/1", "--json"))
        assert [each["state"] for each in trace["deliveries"]] == ["sent"]
        assert len(trace["deliveries"][0]["attempts"]) == 1
    finally:
        server.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        door.close()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as page:
        assert page.status == 200
        return str(page.read().decode())
