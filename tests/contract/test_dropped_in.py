"""A bridge that nobody ever heard of takes part in the whole walk."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridges
from bridges.email.tests.scripted_relay import ScriptedRelay
from server.bridge import Accepted, Author, Correct, Decide, Edit, Flag, NewPost, Proof, Reaction, Ref, Request, Retract
from server.desk import decide
from server.errors import Rejected
from tests.stories.town import town

ANA, BO = (Author("memory", f"mem:{name}", name.title(), Proof.HOMESERVER) for name in ("ana", "bo"))


@pytest.fixture
def dropped_in(tmp_path: Path) -> Iterator[None]:
    shutil.copytree(Path(__file__).parent / "memory", tmp_path / "more" / "memory")
    bridges.__path__.append(str(tmp_path / "more"))
    yield
    bridges.__path__.remove(str(tmp_path / "more"))


@pytest.mark.usefixtures("dropped_in")
async def test_posts_edits_and_retractions_walk(tmp_path: Path, database: str) -> None:
    sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, sections) as shore:
        memory: Any = shore.home.bridges["memory"]
        await shore.forum("pools")
        await shore.settled()

        first = NewPost("pools", ANA, (Ref("memory", "e1"),), text="Who knows this weed?")
        assert (await memory.say(first)).post == "pools/1"
        assert type(await memory.say(first)).__name__ == "Duplicate"
        answer = NewPost("pools", BO, (Ref("memory", "e2"),), parents=(Ref("memory", "e1"),), text="Bladder wrack.")
        await memory.say(answer)
        page = await shore.page("/f/pools/2")
        assert "Who knows this weed?" in page
        assert "Bladder wrack." in page
        assert "mem:" not in page

        await shore.settled()
        assert memory.said == []  # never back to the room it came from

        web = NewPost(
            "pools",
            Author("web", "1", "Ana", Proof.SESSION),
            (Ref("form", "f1"),),
            parents=(Ref("post", "2"),),
            text="Thanks!",
        )
        await shore.home.accept(web)
        await shore.settled()
        assert memory.said == [("post", "Thanks!", 3)]

        await shore.home.accept(Edit("pools", web.author, Ref("post", "3"), Ref("form", "f2"), text="Thank you!"))
        await shore.home.accept(Reaction("pools", BO, Ref("memory", "e1"), key="🌊"))
        await shore.settled()  # an edit that is not said yet when its post is taken back is never said
        await shore.home.accept(Retract("pools", web.author, Ref("post", "3")))
        await shore.settled()
        assert [kind for kind, *_ in memory.said] == ["post", "edit", "retraction"]
        assert "Thank you!" not in await shore.page("/f/pools/1")


@pytest.mark.usefixtures("dropped_in")
async def test_an_outage_is_waited_out_in_order(tmp_path: Path, database: str) -> None:
    sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, sections) as shore:
        memory: Any = shore.home.bridges["memory"]
        await shore.forum("pools")
        await memory.say(NewPost("pools", ANA, (Ref("memory", "e1"),), text="Start"))
        await shore.settled()
        memory.away = True
        for n in range(5):
            by = Author("web", "1", "Ana", Proof.SESSION)
            await shore.home.accept(
                NewPost("pools", by, (Ref("form", f"w{n}"),), parents=(Ref("memory", "e1"),), text=f"Number {n}")
            )
        assert memory.said == []
        memory.away = False
        await shore.settled()
        assert [text for _, text, _ in memory.said] == [f"Number {n}" for n in range(5)]


@pytest.mark.usefixtures("dropped_in")
async def test_words_are_understood_on_any_channel(tmp_path: Path, database: str) -> None:
    sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, sections) as shore:
        memory: Any = shore.home.bridges["memory"]
        await shore.forum("pools")
        for number, by in enumerate((ANA, BO)):
            await memory.say(NewPost("pools", by, (Ref("memory", f"e{number}"),), text=f"Words {number}"))
        asked = Request(
            "pools", BO, (("mute",), ("delete", "2"), ("whoami",), ("dance",)), about=(Ref("memory", "e0"),)
        )
        await memory.say(asked)
        await shore.settled()
        ((kind, text, _number),) = [each for each in memory.said if each[0].startswith("notice")]
        assert kind == "notice to mem:bo"
        for words in ("“Words 0” is muted", "Post 2 is gone", "addresses: mem:bo", "not understood"):
            assert words in text
        assert "This post was taken back" in await shore.page("/f/pools/2")


@pytest.mark.usefixtures("dropped_in")
async def test_a_correction_is_asked_for(tmp_path: Path, database: str) -> None:
    async with ScriptedRelay() as relay:
        sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": relay.url}}
        async with town(tmp_path, database, sections) as shore:
            memory: Any = shore.home.bridges["memory"]
            await shore.forum("pools")
            await shore.member("pools", "dora@far.test", "Dora")
            post, by_ana = Ref("memory", "e1"), Correct("pools", ANA, Ref("memory", "e1"))
            await memory.say(NewPost("pools", ANA, (post,), text="Forty limpets."))
            await shore.settled()
            with pytest.raises(Rejected):  # nothing has changed yet
                await memory.say(by_ana)
            await memory.say(Edit("pools", ANA, post, Ref("memory", "e2"), text="Fourteen limpets."))
            with pytest.raises(Rejected):  # it is not his
                await memory.say(Correct("pools", BO, post))
            assert await memory.say(by_ana) == Accepted("pools/1", "1 mailbox is told what changed.")
            assert type(await memory.say(by_ana)).__name__ == "Duplicate"
            await shore.settled()
            assert relay.recipients == ["dora@far.test"] * 2
            assert b"[Fourteen]" in relay.taken[1].content
            assert memory.said == []  # its own room shows an edit by itself


@pytest.mark.usefixtures("dropped_in")
async def test_what_waits_in_a_room_is_decided_there(tmp_path: Path, database: str) -> None:
    sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, sections) as shore:
        memory: Any = shore.home.bridges["memory"]
        await shore.forum("pools")
        await shore.option("pools", first_post="hold")
        await shore.settled()
        names = []
        for ref in ("e1", "e2"):
            held = await memory.say(NewPost("pools", ANA, (Ref("memory", ref),), text=f"Words of {ref}"))
            names.append(held.name)
        await shore.settled()
        told = [(kind, text) for kind, text, _number in memory.said if not kind.startswith("notice")]
        assert sorted(told) == sorted((f"queue {name}", f"Words of e{n}") for n, name in enumerate(names, 1))
        memory.said.clear()
        await shore.home.store.write(decide.approve, shore.home.desk, names[0], "command", shore.home.now())
        await shore.home.store.write(decide.reject, shore.home.desk, names[1], "command", "", shore.home.now())
        await shore.settled()
        queued = {kind: text for kind, text, _number in memory.said if kind.startswith("queue")}
        assert queued == {
            f"queue {names[0]}": "Published by the operator as pools/1.",
            f"queue {names[1]}": "Rejected by the operator.",
        }
        shown = [each for each in memory.said if not each[0].startswith("queue")]
        assert shown == [("approved", "e1", 0), ("refused", "e2", 0)]
        assert "Words of e1" in await shore.page("/f/pools/1")


@pytest.mark.usefixtures("dropped_in")
async def test_who_looks_after_a_forum_decides_where_they_meet(tmp_path: Path, database: str) -> None:
    sections: dict[str, dict[str, Any]] = {"memory": {"room": "hall"}, "email": {"relay": "smtp://127.0.0.1:9"}}
    async with town(tmp_path, database, sections) as shore:
        memory: Any = shore.home.bridges["memory"]
        await shore.forum("pools")
        await shore.member("pools", BO.address, "Bo", "memory", role="moderator")
        await shore.option("pools", first_post="hold")
        await shore.settled()
        held = await memory.say(NewPost("pools", ANA, (Ref("memory", "e1"),), text="Words"))
        with pytest.raises(Rejected):
            await memory.say(Decide("pools", ANA, held.name, "approve"))
        await memory.say(Decide("pools", BO, held.name, "approve"))
        assert "Words" in await shore.page("/f/pools/1")
        await memory.say(Flag("pools", ANA, Ref("memory", "e1"), "Not mine after all"))
        await shore.settled()
        (name,) = [kind.removeprefix("queue ") for kind, *_ in memory.said if kind.startswith("queue F-")]
        await memory.say(Decide("pools", BO, name, "reject"))
        await shore.settled()
        assert "This post was taken back" in await shore.page("/f/pools/1")
        assert (f"queue {name}", "The post is taken back: Bo.", 0) in memory.said
        assert "retraction" in [kind for kind, *_ in memory.said]
