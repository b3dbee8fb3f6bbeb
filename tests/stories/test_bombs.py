"""Bombs, loops and vacation responders, in small: what `tests.benchmarks.bombs` measures has an end, and few mails leave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server import limits
from tests.benchmarks import bombs


@pytest.fixture
def counts(tmp_path: Path, database: str) -> Callable[..., Any]:
    async def run(attack: Any, *facts: Any) -> dict[str, dict[str, Any]]:
        rows = await bombs.play(tmp_path, database, lambda shore, world: attack(shore, world, *facts))
        return {row["what"].rpartition(": ")[2]: row for row in rows}

    return run


async def test_a_bomb_is_one_question_for_each_address_and_forum(counts: Callable[..., Any]) -> None:
    came = await counts(bombs.bomb, 60, 5)
    assert came["requests in"]["answers"] == {"2xx": 60}
    assert came["mails out"]["value"] == 10
    assert came["mails out"]["most_to_one_address"] == 2


@pytest.mark.parametrize("hostile", [False, True], ids=["as it is", "headers hidden"])
async def test_two_forums_that_are_members_of_each_other_do_not_loop(counts: Callable[..., Any], hostile: bool) -> None:
    came = await counts(bombs.loop, hostile)
    assert came["posts published"]["value"] <= (limits.RECEIVED_HOPS + 2 if hostile else 1)
    assert came["mails out"]["value"] <= (limits.RECEIVED_HOPS + 2 if hostile else 1)


@pytest.mark.parametrize("manners", ["marked", "marked by its subject"])
async def test_a_responder_that_says_what_it_is_posts_nothing(counts: Callable[..., Any], manners: str) -> None:
    came = await counts(bombs.vacation, 3, manners, 2)
    assert came["posts published"]["value"] == 2
    assert came["mails out"]["value"] == 6
    assert came["mails back"]["value"] == 6


async def test_one_that_looks_like_a_person_answers_once_for_each_mail(counts: Callable[..., Any]) -> None:
    came = await counts(bombs.vacation, 1, "like a person", 3)
    assert came["posts published"]["value"] == 6
