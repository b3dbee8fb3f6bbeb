"""The fixtures that tests ask for. A missing peer skips the test by name, or fails it where CI=true."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.peers import chromium as chromium_peer
from tests.peers import dovecot as dovecot_peer
from tests.peers import jsclient as js_peer
from tests.peers import names as names_peer
from tests.peers import postfix as postfix_peer
from tests.peers import postgres as postgres_peer
from tests.peers import rspamd as rspamd_peer
from tests.peers import run
from tests.peers import synapse as synapse_peer
from tests.peers.chromium import Chromium
from tests.peers.dovecot import Dovecot
from tests.peers.jsclient import JsClient
from tests.peers.names import Names
from tests.peers.postfix import Postfix
from tests.peers.postgres import Postgres
from tests.peers.rspamd import Rspamd
from tests.peers.synapse import Account, Synapse

_OWNS = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_OWNS] = run.open_run()


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash.get(_OWNS, False):
        run.close_run()


class _Scheduler(LoadScopeScheduling):  # type: ignore[misc]
    """Any test to any worker, but files that speak of Synapse to one: it has one route to one Junto at a time.

    xdist's own groups are not used: xdist 3.8 marks them in a place that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "synapse" if _speaks_of_synapse(self.config.rootpath / nodeid.partition("::")[0]) else nodeid


@functools.cache
def _speaks_of_synapse(path: Path) -> bool:
    return "synapse" in path.read_text(errors="replace")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Scheduler:
    return _Scheduler(config, log)


def require(peer: str, why_not: str | None) -> None:
    """Goes on when the peer is there (`why_not` is None); skips the test, or fails it under CI=true, when it is not."""
    if why_not is None:
        return
    message = f"{peer}: {why_not}"
    if os.environ.get("CI") == "true":
        pytest.fail(f"a peer is missing: {message}", pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session", autouse=True)
def _no_names_of_the_world() -> Iterator[None]:
    """Servers that tests start ask an empty DNS on loopback, so that no test depends on the world's."""
    with names_peer.serving() as nothing, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUNTO_EMAIL__RESOLVER", nothing.server)
        yield


@pytest.fixture
def names() -> Iterator[Names]:
    """A DNS server of this test's own, empty until the test fills its zone."""
    with names_peer.serving() as found:
        yield found


@pytest.fixture(scope="session")
def _postgres_server() -> Postgres:
    require("PostgreSQL", None if postgres_peer.bindir() else "not installed")
    return Postgres(**run.shared("postgres", postgres_peer.start))


@pytest.fixture
def postgres(_postgres_server: Postgres) -> Iterator[Postgres]:
    """The PostgreSQL of this run; the databases that a test makes are dropped after it."""
    server = Postgres(_postgres_server.port)
    yield server
    server.drop_all()


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of an empty PostgreSQL database of this test's own."""
    return postgres.fresh_database()


@pytest.fixture(scope="session")
def postfix() -> Postfix:
    """The Postfix of this run."""
    require("Postfix", postfix_peer.missing())
    found = run.shared("postfix", postfix_peer.start)
    return Postfix(Path(found["place"]), found["port"], found["far_port"])


@pytest.fixture(scope="session")
def dovecot() -> Dovecot:
    """The Dovecot of this run: hand a member domain over to it with `postfix.hand_over`."""
    require("Dovecot", dovecot_peer.missing())
    return Dovecot(**run.shared("dovecot", dovecot_peer.start))


@pytest.fixture(scope="session")
def rspamd() -> Rspamd:
    """The rspamd of this run."""
    require("rspamd", rspamd_peer.missing())
    return Rspamd(**run.shared("rspamd", rspamd_peer.start))


@pytest.fixture
def program() -> Callable[[str], str]:
    """Where a program lies that a test needs, by its name: mutt, swaks, tmux."""

    def find(name: str) -> str:
        path = shutil.which(name)
        require(name, None if path else "not installed")
        assert path is not None
        return path

    return find


@pytest.fixture(scope="session")
def _synapse_server() -> Iterator[Synapse]:
    require("Synapse", synapse_peer.missing())
    server = synapse_peer.shared(run.directory() / "synapse")
    yield server
    server.close()


@pytest.fixture
def synapse(_synapse_server: Synapse) -> Iterator[Synapse]:
    """The Synapse of this run, its application service routed nowhere until the test calls `route_to`."""
    yield _synapse_server
    _synapse_server.drain()


@pytest_asyncio.fixture
async def element() -> AsyncIterator[Callable[[Synapse, Account], Awaitable[JsClient]]]:
    """Signs a user in with the SDK of Element Web: `client = await element(synapse, account)`."""
    require("matrix-js-sdk", js_peer.missing())
    async with contextlib.AsyncExitStack() as open_clients:

        async def signed_in(synapse: Synapse, account: Account) -> JsClient:
            return await open_clients.enter_async_context(js_peer.signed_in(synapse.url, account))

        yield signed_in


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Chromium]:
    """A Chromium of this test's own: `await chromium.page()`, `.page(phone=True)`, `.page(dark=True)`."""
    require("Chromium", chromium_peer.missing())
    async with chromium_peer.launched() as browser:
        yield browser


@pytest_asyncio.fixture
async def page(chromium: Chromium) -> AsyncIterator[chromium_peer.Page]:
    """A wide, light page of `chromium`."""
    yield await chromium.page()
