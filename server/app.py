"""The composition root: knows every room, and nothing else does. Finds the bridges, builds the server, runs it, stops it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import pkgutil
import resource
import signal
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import uvloop
from aiohttp import web as aiohttp_web
from pydantic import BaseModel

import bridges
from server import clock, config, jobs, log, tokens
from server.bridge import Claims, Source
from server.content.attachments import Blobs
from server.delivery import upkeep
from server.delivery.courier import Courier
from server.desk import Desk, book, letters
from server.errors import CommandError, Deferred, JuntoError
from server.house import Household
from server.store.db import Store
from server.web.app import make_app

STOP_SECONDS = 10
BEGUN_SECONDS = 0.3  # a part that cannot begin, for its port is taken, ends within this
_log = log.get("app")


def discover() -> dict[str, ModuleType]:
    """Every folder of `bridges` that offers a bridge, by its name."""
    names = sorted(info.name for info in pkgutil.iter_modules(bridges.__path__) if info.ispkg)
    return {name: importlib.import_module(f"{bridges.__name__}.{name}") for name in names}


def sections(modules: Mapping[str, ModuleType]) -> dict[str, type[BaseModel]]:
    return {name: module.Settings for name, module in modules.items()}


def household(conf: config.Config, modules: Mapping[str, ModuleType]) -> Household:
    """Everything but the open database: also what a command works with."""
    data_dir = conf.data_dir
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    secret = tokens.load_secret(data_dir / "keys" / "secret")
    desk = Desk(secret=secret, base_url=conf.server.base_url)
    home = Household(conf, Store(conf.database_url), desk, Blobs(data_dir / "blobs"))
    for name, module in modules.items():
        made = module.create(home.for_bridge(name), conf.bridges[name])
        if made is not None:
            home.bridges[name] = made
    traits = {made.traits.channel: made.traits for made in home.bridges.values()}
    claims = {made.traits.channel: made.claims for made in home.bridges.values() if isinstance(made, Claims)}
    sources = {made.traits.channel: made.source for made in home.bridges.values() if isinstance(made, Source)}
    operator = _operator(home, conf.server.operator)
    home.desk = Desk(secret, conf.server.base_url, traits, operator, claims, clock.now_ms, sources)
    return home


def _operator(home: Household, address: str) -> tuple[str, str] | None:
    for made in home.bridges.values():
        normal = made.claims(address) if address and isinstance(made, Claims) else None
        if normal is not None:
            return made.traits.channel, normal
    return None


def roles(home: Household, only: Sequence[str] | None) -> set[str]:
    """Which parts this process runs. Raises CommandError for a role that there is not."""
    known = {"web", "worker", *home.bridges}
    if not only:
        return known
    unknown = [role for role in only if role not in known]
    if unknown:
        raise CommandError(f"There is no role {', '.join(unknown)} here; there are: {', '.join(sorted(known))}.")
    return set(only)


def serve(config_path: Path, only: Sequence[str] | None = None) -> None:
    """Run until a signal ends it. Raises JuntoError when it cannot start."""
    modules = discover()
    home = household(config.load(config_path, sections(modules)), modules)
    log.setup()
    _open_files()
    uvloop.run(_run(home, roles(home, only)))


def _open_files() -> None:
    """As many open files as the system lets us have: each connection is one, and the usual soft limit is a thousand."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(home: Household, parts: set[str]) -> None:
    await asyncio.to_thread(home.store.open)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    try:
        async with running(home, parts) as tasks:
            ended, _running = await asyncio.wait(tasks, timeout=BEGUN_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                raise CommandError(_failure(task))
            _log.info("ready", base_url=home.desk.base_url, parts=sorted(parts))
            print(f"Junto is at {home.desk.base_url} ({', '.join(sorted(parts))}). Ctrl-C ends it.", flush=True)
            signalled = asyncio.create_task(stopped.wait())
            waiting: list[asyncio.Task[Any]] = [signalled, *tasks]
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            signalled.cancel()
            for task in done - {signalled}:
                raise CommandError(_failure(task))
    finally:
        home.store.close()


@contextlib.asynccontextmanager
async def running(home: Household, parts: set[str]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """The server with its store open, for as long as the block lasts."""
    host = jobs.host()
    holder = f"{host}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    await home.store.write(jobs.register, holder, host, os.getpid(), home.now())
    await home.store.write(letters.bring_kept, home.desk)
    await home.store.write(book.tend_new, home.desk)
    for made in home.bridges.values():
        await made.prepare()
    tasks: list[asyncio.Task[None]] = []
    if "worker" in parts:
        tasks += _workers(home, holder, host)
    tasks += [asyncio.create_task(home.bridges[name].run(), name=name) for name in sorted(parts & set(home.bridges))]
    pages = await _pages(home) if "web" in parts else None
    try:
        yield tasks
    finally:
        if pages is not None:
            await pages.cleanup()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        with contextlib.suppress(Deferred):
            await home.store.write(upkeep.leave, holder, home.now())


def _workers(home: Household, holder: str, host: str) -> list[asyncio.Task[None]]:
    tasks = [asyncio.create_task(upkeep.run(home.store, home.desk, holder, host), name="upkeep")]
    for name, made in home.bridges.items():
        courier = Courier(home.store, home.desk, made, holder)
        home.on_nudge[name] = courier.nudge
        tasks.append(asyncio.create_task(courier.run(), name=f"courier {name}"))
    return tasks


async def _pages(home: Household) -> aiohttp_web.AppRunner:
    runner = aiohttp_web.AppRunner(make_app(home), access_log=None)
    await runner.setup()
    host, port = config.host_port(home.config.web.listen)
    try:
        await aiohttp_web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise CommandError(
            f"[web] listen = {home.config.web.listen}: {error.strerror or error}. End what uses that port, or choose another one."
        ) from error
    return runner


def _failure(task: asyncio.Task[Any]) -> str:
    error = task.exception()
    if isinstance(error, JuntoError):
        return str(error)
    return f"{task.get_name()} ended: {type(error).__name__}: {error}"
