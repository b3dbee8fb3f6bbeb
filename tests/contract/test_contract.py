"""What every bridge promises, asked of each folder in `bridges/` and of one that is dropped in by this test.

A bridge's own folder says how to set it up: `bridges/NAME/tests/contract.py` (SETTINGS, ADDRESS, UNREACHABLE). One that runs in more
than one mode has `contract_MODE.py` beside it, which may `set_up` what an operator would have done in its directory.
"""

from __future__ import annotations

import asyncio
import importlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridges
from server import app, bridge
from server.bridge import Lot, NoticeItem, Outcome, Post, PostItem, Sent, Target, Writer
from tests.fakes import RecordingHouse, forum
from tests.peers.net import free_port

NAMES = sorted({path.parent.name for path in Path(bridges.__path__[0]).glob("*/__init__.py")})


@pytest.fixture(scope="module", autouse=True)
def dropped_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The in-memory bridge as one more folder of the package."""
    place = tmp_path_factory.mktemp("bridges")
    shutil.copytree(Path(__file__).parent / "memory", place / "memory")
    bridges.__path__.append(str(place))
    yield
    bridges.__path__.remove(str(place))


@dataclass(frozen=True)
class Case:
    """A bridge in one of its modes: its folder, and the module that says how to set it up."""

    module: ModuleType
    contract: ModuleType


def cases(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The modules of each: the folder's, and its contract's."""
    for name in names:
        inside = sorted(Path(bridges.__path__[0], name, "tests").glob("contract*.py"))
        yield from ((f"bridges.{name}", f"bridges.{name}.tests.{found.stem}") for found in inside)


CASES = [*cases(NAMES), ("bridges.memory", "bridges.memory.contract")]


@pytest.fixture(params=CASES, ids=[contract for _module, contract in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    return opened(request.param)


def opened(names: tuple[str, str]) -> Case:
    return Case(*(importlib.import_module(name) for name in names))


def make(case: Case, tmp_path: Path, **more: object) -> tuple[bridge.Bridge, RecordingHouse]:
    house = RecordingHouse(data_dir=str(tmp_path))
    if hasattr(case.contract, "set_up"):
        case.contract.set_up(tmp_path)
    return created(case, house, **more), house


def created(case: Case, house: RecordingHouse, **more: object) -> bridge.Bridge:
    values = case.contract.SETTINGS | more
    ready = {
        key: value.replace(":0", f":{free_port()}") if isinstance(value, str) else value
        for key, value in values.items()
    }
    made: bridge.Bridge | None = case.module.create(house, case.module.Settings(**ready))
    assert made is not None
    return made


def post(number: int = 1) -> Post:
    return Post(
        id=number,
        forum=forum(),
        number=number,
        url=f"https://talk.test/f/tides/{number}",
        message_id=f"<{number}@talk.test>",
        channel="web",
        writer=Writer("abcdefgh", "Ana", "a" * 26),
        subject="Tides",
        text="High at noon.\n",
        html="<p>High at noon.</p>",
        fresh_text="High at noon.\n",
        fresh_html="<p>High at noon.</p>",
        files=(),
        written_at=1_795_000_000_000,
        opens_thread=True,
    )


async def say(made: bridge.Bridge, item: bridge.Outbound, addresses: list[str]) -> dict[str, Outcome]:
    targets = [Target(i, 1, address, {"leave": "b" * 26, "bounces": "c" * 26}) for i, address in enumerate(addresses)]
    heard: dict[str, Outcome] = {}
    await asyncio.wait_for(made.deliver(Lot(item, targets, "item:1"), lambda t, o: heard.setdefault(t.address, o)), 60)
    return heard


def test_it_is_found_without_being_named() -> None:
    assert set(app.discover()) == {*NAMES, "memory"}


def test_each_setting_has_a_default_and_a_description(case: Case) -> None:
    case.module.Settings()
    assert all(field.description for field in case.module.Settings.model_fields.values())


def test_its_traits_are_usable(case: Case, tmp_path: Path) -> None:
    traits = make(case, tmp_path)[0].traits
    assert traits.channel == case.module.__name__.rpartition(".")[2]
    assert traits.backoff_ms
    assert list(traits.backoff_ms) == sorted(traits.backoff_ms)
    assert min(traits.backoff_ms) > 0
    assert traits.batch > 0
    assert traits.lease_ms >= 60_000


async def test_it_prepares_offline_and_again(case: Case, tmp_path: Path) -> None:
    made, _house = make(case, tmp_path)
    await made.prepare()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    await made.prepare()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


async def test_it_hears_until_it_is_cancelled(case: Case, tmp_path: Path) -> None:
    made, _house = make(case, tmp_path)
    await made.prepare()
    hearing = asyncio.create_task(made.run())
    await asyncio.sleep(0.2)
    assert not hearing.done()
    hearing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(hearing, 15)


async def test_a_far_side_that_is_away_loses_nothing(case: Case, tmp_path: Path) -> None:
    away = case.contract.UNREACHABLE
    if away is None:
        return
    made, _house = make(case, tmp_path, **away)
    await made.prepare()
    addresses = [case.contract.TARGET, case.contract.TARGET + "x"]
    heard = await say(made, PostItem(post()), addresses)
    assert set(heard) == set(addresses)
    assert all(isinstance(outcome, bridge.Later) for outcome in heard.values())


async def test_what_it_cannot_say_is_settled_all_the_same(case: Case, tmp_path: Path) -> None:
    made, _house = make(case, tmp_path, **(case.contract.UNREACHABLE or {}))
    await made.prepare()
    notice = NoticeItem(1, forum(), "Hello", "Hello\n", "<n@talk.test>")
    heard = await say(made, notice, ["nobody"])
    assert not isinstance(heard.get("nobody"), Sent)


@given(junk=st.text(max_size=300))
def test_it_claims_only_what_it_can_normalise(junk: str) -> None:
    for names in CASES:
        case = opened(names)
        made = created(case, RecordingHouse())
        assert isinstance(made, bridge.Claims)
        normal = made.claims(junk)
        assert normal is None or made.claims(normal) == normal
        ours = case.contract.ADDRESS
        assert made.claims(ours) == ours
