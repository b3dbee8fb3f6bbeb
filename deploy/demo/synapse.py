"""The Matrix homeserver of the sample members: Synapse from PyPI, on SQLite, on loopback, without federation."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp

from deploy.demo.children import Child, tied_to
from deploy.demo.patience import insist
from deploy.demo.state import TREE

ENVIRONMENT = TREE / ".venv-synapse"
SETUP = TREE / "deploy" / "setup" / "setup.sh"
SETUP_LOG = TREE / ".setup" / ".venv-synapse.log"
READY_WITHIN = 60.0
"""Seconds for the first answer; it takes two to five."""

Tell = Callable[[str], None]


class NoSynapse(RuntimeError):
    """It could not be installed or started; the text says why and what to do."""


async def install(tell: Tell) -> None:
    """Sets the environment up unless that was done (once; about a minute and 250 MB). Raises NoSynapse."""
    process = await asyncio.create_subprocess_exec(
        "bash",
        str(SETUP),
        "synapse",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        preexec_fn=tied_to(os.getpid()),
    )
    progress = asyncio.create_task(_progress(tell))
    try:
        _, said = await process.communicate()
        if process.returncode:
            words = said.decode("utf-8", "replace").strip().splitlines() or ["no reason given"]
            raise NoSynapse(f"There is no room this time; web and mail work. {words[-1]}")
    finally:
        progress.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)  # pip too
            await process.wait()


async def _progress(tell: Tell) -> None:
    """Says how far pip is, from its log."""
    start = time.time()
    while True:
        await asyncio.sleep(1)
        begun = SETUP_LOG.exists() and SETUP_LOG.stat().st_mtime >= start
        lines = SETUP_LOG.read_text("utf-8", "replace").splitlines() if begun else []
        packages = sum(line.startswith("Collecting ") for line in lines)
        step = "unpacking" if lines and lines[-1].startswith("Installing") else "fetching"
        tell(f"Setting up the Matrix homeserver, once: {step} {packages} packages, {time.time() - start:.0f} s")


class Synapse:
    """One homeserver in a folder of its own."""

    def __init__(self, folder: Path, port: int, server_name: str, keys: dict[str, str], pids: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.public_url = f"http://localhost:{port}"
        self.server_name = server_name
        self.port = port
        self.keys = keys
        for name in ("registration_shared_secret", "macaroon_secret_key", "form_secret"):
            keys.setdefault(name, secrets.token_urlsafe(32))
        self.child = Child(
            "synapse",
            [
                str(ENVIRONMENT / "bin" / "python"),
                "-m",
                "synapse.app.homeserver",
                "-c",
                str(folder / "homeserver.yaml"),
            ],
            pids,
        )

    def configure(self, registration: Path) -> None:
        """Writes homeserver.yaml. JSON is YAML, so that nothing has to be escaped by hand."""
        logs = self.folder / "log.yaml"
        logs.write_text(
            json.dumps(
                {
                    "version": 1,
                    "formatters": {"short": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
                    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "short"}},
                    "root": {"level": "WARNING", "handlers": ["console"]},
                    "disable_existing_loggers": False,
                }
            )
        )
        plenty = {"per_second": 1000, "burst_count": 10000}
        settings = {
            "server_name": self.server_name,
            "public_baseurl": self.public_url + "/",
            "listeners": [
                {
                    "port": self.port,
                    "type": "http",
                    "tls": False,
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client", "media"], "compress": False}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.folder / "homeserver.db")}},
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "log_config": str(logs),
            "pid_file": str(self.folder / "homeserver.pid"),
            "app_service_config_files": [str(registration)],
            "federation_domain_whitelist": [],
            "trusted_key_servers": [],
            "suppress_key_server_warning": True,
            "report_stats": False,
            "enable_registration": False,
            "presence": {"enabled": False},
            "url_preview_enabled": False,
            "max_upload_size": "20M",
            **{f"rc_{name}": plenty for name in ("message", "registration", "admin_redaction", "room_creation")},
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), plenty),
            "rc_joins": {"local": plenty, "remote": plenty},
            "rc_invites": {"per_room": plenty, "per_user": plenty, "per_issuer": plenty},
            **self.keys,
        }
        target = self.folder / "homeserver.yaml"
        target.touch(0o600)
        target.write_text(json.dumps(settings, indent=1))

    async def start(self) -> None:
        """Starts it and waits for its first answer. Raises NoSynapse."""
        await self.child.start()
        ended = asyncio.create_task(self.child.ended())
        ready = asyncio.create_task(insist(self._answers, READY_WITHIN, (aiohttp.ClientError, TimeoutError)))
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done() or ready.exception():
                raise NoSynapse(f"Synapse did not start; its log is {self.child.log}:\n{self.child.tail()}")
        finally:
            ended.cancel()
            ready.cancel()

    async def _answers(self) -> None:
        quick = aiohttp.ClientTimeout(total=3)
        versions = f"{self.url}/_matrix/client/versions"
        async with aiohttp.ClientSession(timeout=quick) as http, http.get(versions) as answer:
            answer.raise_for_status()

    async def register(self, user: str, password: str, name: str) -> None:
        """An ordinary user by Synapse's shared-secret registration; one that exists already is left as it is."""
        url = f"{self.url}/_synapse/admin/v1/register"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
            async with http.get(url) as answer:
                nonce = (await answer.json())["nonce"]
            words = "\0".join((nonce, user, password, "notadmin")).encode()
            mac = hmac.new(self.keys["registration_shared_secret"].encode(), words, hashlib.sha1).hexdigest()
            body = {
                "nonce": nonce,
                "username": user,
                "displayname": name,
                "password": password,
                "admin": False,
                "mac": mac,
            }
            async with http.post(url, json=body) as answer:
                said = await answer.json()
                if answer.status != 200 and said.get("errcode") != "M_USER_IN_USE":
                    raise NoSynapse(f"Synapse would not register {user}: {said}")
