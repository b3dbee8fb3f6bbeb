"""A post that a filter judges, as its sender's mail server sees it; a real rspamd."""

from __future__ import annotations

import pytest

from bridges.email.tests.dialogue import HELLO, LHELLO, MESSAGE, data, listening, posts, speak, to, two_forums
from server.bridge import Act, Spam
from tests.peers import rspamd as peer
from tests.peers.net import free_port
from tests.peers.rspamd import Rspamd

TOKEN = "abcdefghijklmnopqrstuvwx23"
WORDS = "How many did you count?"


@pytest.mark.parametrize(
    ("body", "verdict"), [(WORDS, Spam.NO), (peer.ADD_HEADER, Spam.SUSPECT), (peer.REJECT, Spam.CERTAIN)]
)
async def test_the_desk_is_told_what_rspamd_thinks(rspamd: Rspamd, body: str, verdict: Spam) -> None:
    house = two_forums()
    async with listening(house, rspamd=rspamd.url) as door:
        script = HELLO + to("tides@lists.test") + data("250", message=MESSAGE.replace(WORDS, body))
        await speak(door.ports["smtp"], script)
    assert [post.spam for post in posts(house)] == [verdict]
    assert house.health == (True, "")


async def test_its_word_stands_above_the_fields_of_others(rspamd: Rspamd) -> None:
    marked = MESSAGE.replace("C: Subject", "C: X-Spam-Flag: YES\n    C: Subject")
    for url, verdict in ((rspamd.url, Spam.NO), ("", Spam.SUSPECT), (f"http://127.0.0.1:{free_port()}", Spam.SUSPECT)):
        house = two_forums()
        async with listening(house, rspamd=url) as door:
            await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250", message=marked))
        assert [post.spam for post in posts(house)] == [verdict]


async def test_come_again_defers_the_post_and_nothing_else(rspamd: Rspamd) -> None:
    house = two_forums()
    later = MESSAGE.replace("Barnacles", peer.COME_AGAIN)
    async with listening(house, rspamd=rspamd.url) as door:
        both = to("tides@lists.test") + to(f"tides-mod+{TOKEN}@lists.test")
        await speak(door.ports["lmtp"], LHELLO + both + data("451 4.7.1", "250", message=later))
    assert posts(house) == []
    assert [type(each) for each in house.accepted] == [Act]


async def test_without_rspamd_mail_is_taken_and_health_says_so() -> None:
    house = two_forums()
    async with listening(house, rspamd=f"http://127.0.0.1:{free_port()}") as door:
        for _ in range(2):
            await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250"))
    assert [post.spam for post in posts(house)] == [Spam.NO, Spam.NO]
    assert house.health is not None
    assert house.health[0] is False
    assert "rspamd does not answer" in house.health[1]


async def test_a_moderators_words_go_to_the_desk_with_their_token() -> None:
    house = two_forums()
    answer = MESSAGE.replace(WORDS, "Reject 2 please ask elsewhere\n    C:\n    C: > approve")
    async with listening(house) as door:
        address = f"tides-mod+{TOKEN}@lists.test"
        await speak(door.ports["smtp"], HELLO + to(address) + data("250", message=answer))
        away = answer.replace("C: Subject", "C: Auto-Submitted: auto-replied\n    C: Subject")
        await speak(door.ports["smtp"], HELLO + to(address) + data("250", message=away))
        await speak(
            door.ports["smtp"], HELLO.replace("ana@members.test", "") + to(address) + data("250", message=answer)
        )
    (act,) = house.accepted
    assert isinstance(act, Act)
    assert (act.verb, act.token, act.words) == ("mod", TOKEN, ("Reject", "2", "please", "ask", "elsewhere"))
