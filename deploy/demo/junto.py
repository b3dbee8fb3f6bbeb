"""The server under demonstration, as an operator runs it: by its command line and its configuration file, nothing else."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from deploy.demo.children import Child, tied_to
from deploy.demo.community import DOMAIN, FORUMS, MAIL, MEMBERS, NAME, OWNER, ROOM, SLUG, TOPICS
from deploy.demo.patience import insist
from deploy.demo.state import TREE

COMMAND = TREE / ".venv" / "bin" / "junto"
READY_WITHIN = 60.0


class JuntoFailed(RuntimeError):
    """A command or the server ended badly; the text is what it said."""


class Junto:
    """One configuration, its commands and its server."""

    def __init__(self, folder: Path, ports: Mapping[str, int], pids: Path) -> None:
        self.folder = folder
        self.config = folder / "junto.toml"
        self.ports = ports
        self.base_url = f"http://localhost:{ports['web']}"
        self.registration = folder / "var" / "matrix-registration.yaml"
        self.child = Child("junto", [str(COMMAND), "serve", "--config", str(self.config)], pids)

    async def run(self, *words: str) -> str:
        """One command to its end; what it printed. Raises JuntoFailed."""
        process = await asyncio.create_subprocess_exec(
            str(COMMAND),
            *words,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=tied_to(os.getpid()),
        )
        out, err = await process.communicate()
        if process.returncode:
            said = err.decode("utf-8", "replace").strip() or out.decode("utf-8", "replace").strip()
            raise JuntoFailed(f"`junto {' '.join(words)}` failed: {said}")
        return out.decode("utf-8", "replace")

    async def mailboxes(self, forum: str) -> set[str]:
        """The mail addresses that get every post of the forum now: a visitor may have made one of the sample members leave."""
        members = json.loads(await self.run("member", "list", "--forum", forum, "--json"))
        active = (member for member in members if member["state"] == "active")
        return {each["address"] for member in active for each in member["addresses"] if each.get("delivery") == "each"}

    async def set_up(self, done: dict[str, Any], save: Any) -> None:
        """Configuration, community, forums and members; each step once, a broken run goes on where it stopped."""

        async def step(name: str, *words: str) -> None:
            if not done.get(name):
                await self.run(*words)
                done[name] = True
                save()

        if not self.config.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            await self.run("init", str(self.folder))
        self._configure()
        await step("registration", "matrix", "registration")
        await step("community", "community", "create", SLUG, "--name", NAME)
        for slug, title in FORUMS.items():
            await step(f"forum {slug}", "forum", "create", slug, "--community", SLUG, "--title", title)
            await step(f"settle {slug}", "forum", "set", slug, "settle=0")
            if slug in TOPICS:
                await step(f"topics {slug}", "forum", "set", slug, "room_messages=topics")
            members = self.folder / "members.csv"
            with members.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows(_rows())
            await step(f"members {slug}", "member", "import", str(members), "--forum", slug, "--confirmed")

    def _configure(self) -> None:
        loopback = ["127.0.0.0/8", "::1/128"]
        local = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        values: dict[str, dict[str, Any]] = {
            "server": {"base_url": self.base_url, "operator": OWNER.address},
            "web": {"listen": local["web"]},
            "email": {
                "domain": DOMAIN,
                "listen": local["smtp"],
                "relay": f"smtp://{local['catcher']}",
                "trusted_networks": loopback,
            },
            "matrix": {
                "homeserver": f"http://{local['synapse']}",
                "server_name": DOMAIN,
                "listen": local["appservice"],
                "registration": "var/matrix-registration.yaml",
            },
        }
        text = self.config.read_text("utf-8")
        self.config.write_text(set_values(text, values), "utf-8")

    async def start(self) -> None:
        """Starts the server and waits for its first answer. Raises JuntoFailed."""
        await self.child.start()
        ended = asyncio.create_task(self.child.ended())
        ready = asyncio.create_task(insist(self._healthy, READY_WITHIN, (OSError, aiohttp.ClientError, TimeoutError)))
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if not ready.done() or ready.exception():
                raise JuntoFailed(f"`junto serve` did not start; its log is {self.child.log}:\n{self.child.tail()}")
        finally:
            ended.cancel()
            ready.cancel()

    async def _healthy(self) -> None:
        quick = aiohttp.ClientTimeout(total=3)
        async with aiohttp.ClientSession(timeout=quick) as http, http.get(f"{self.base_url}/healthz") as answer:
            answer.raise_for_status()

    def trace_line(self, page: tuple[str, int]) -> str:
        """A command that works as it is printed, from the work tree."""
        command, config = (_short(path) for path in (COMMAND, self.config))
        return f"{command} trace {page[0]}/{page[1]} --config {config}"


def _rows() -> list[Sequence[str]]:
    """Mail members get every post; those on the web read there; those in the room join it themselves."""
    rows: list[Sequence[str]] = [("address", "name", "delivery", "role")]
    for member in MEMBERS.values():
        if member.channel != ROOM:
            rows.append(
                (
                    member.address,
                    member.name,
                    "each" if member.channel == MAIL else "none",
                    "owner" if member is OWNER else "member",
                )
            )
    return rows


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def set_values(text: str, values: Mapping[str, Mapping[str, Any]]) -> str:
    """A TOML text with these values instead of its own; its comments stay. A key that is missing is added to its section."""
    lines: list[str] = []
    section, left = "", {name: dict(keys) for name, keys in values.items()}

    def rest() -> None:
        while lines and not lines[-1].strip():
            lines.pop()
        lines.extend(f"{key} = {json.dumps(value)}" for key, value in left.pop(section, {}).items())
        lines.append("")

    for line in text.splitlines():
        if header := re.match(r"^\[([a-z_]+)\]", line):
            rest()
            section = header[1]
        elif (setting := re.match(r"^([a-z_]+) = ", line)) and setting[1] in left.get(section, {}):
            _, mark, comment = line.partition("  # ")
            line = f"{setting[1]} = {json.dumps(left[section].pop(setting[1]))}{mark}{comment}"
        lines.append(line)
    rest()
    for section in list(left):
        lines.append(f"[{section}]")
        rest()
    return "\n".join(lines).strip() + "\n"
