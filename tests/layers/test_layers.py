"""The house as it stands keeps its rules."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.layers import rules, writers
from tests.layers.tree import Project

RULES: list[Callable[[Project], Iterator[str]]] = [
    rules.server_knows_no_bridge,
    rules.bridges_know_the_port_and_the_ground,
    rules.the_ground_carries_itself,
    rules.lower_rooms_know_no_higher_ones,
    rules.the_demo_stands_alone,
    rules.engines_are_made_by_the_store,
    rules.transactions_begin_in_one_file,
    rules.failures_are_not_swallowed,
    rules.nothing_global_changes,
    rules.files_are_short,
    writers.one_module_writes_each_table,
]


@pytest.fixture(scope="module")
def house() -> Project:
    return Project.of(Path(__file__).parents[2])


def test_the_house_was_found(house: Project) -> None:
    assert any(house.under("server"))
    assert house.bridges


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_the_rule(house: Project, rule: Callable[[Project], Iterator[str]]) -> None:
    broken = list(rule(house))
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)
