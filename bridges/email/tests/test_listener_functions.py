"""What each address of a forum does, for people and for machines."""

from __future__ import annotations

import pytest

from bridges.email.tests.dialogue import HELLO, MESSAGE, data, listening, posts, speak, to, two_forums
from server.bridge import Act, Bounce, Inbound, Join, Leave, Letter, NewPost, Proof, Request

TOKEN = "abcdefghijklmnopqrstuvwx23"


# What the addresses do -----------------------------------------------------------------------------------------------------
async def said(
    address: str, sender: str = "ana@members.test", extra: str = "", trusted: tuple[str, ...] = ()
) -> Inbound | None:
    """What the server is told when one mail goes to the address."""
    house = two_forums()
    message = MESSAGE.replace("\n    C: Subject", f"\n    C: {extra}\n    C: Subject" if extra else "\n    C: Subject")
    async with listening(house, trusted=trusted) as door:
        await speak(
            door.ports["smtp"], HELLO.replace("ana@members.test", sender) + to(address) + data("250", message=message)
        )
    assert len(house.accepted) <= 1
    return house.accepted[0] if house.accepted else None


async def test_each_function_says_its_word() -> None:
    join = await said("tides-join@lists.test")
    assert isinstance(join, Join)
    assert (join.forum, join.author.address) == ("tides", "ana@members.test")
    leave = await said("tides-leave@lists.test")
    assert isinstance(leave, Leave)
    assert leave.author is not None
    assert leave.token is None
    assert await said(f"tides-leave+{TOKEN}@lists.test") == Leave("tides", token=TOKEN)
    confirm = await said(f"tides-confirm+{TOKEN}@lists.test")
    assert isinstance(confirm, Act)
    assert (confirm.verb, confirm.token) == ("confirm", TOKEN)
    ask = await said("tides-request@lists.test")
    assert isinstance(ask, Request)
    assert ask.commands == ()
    ask = await said("tides-request@lists.test", extra="In-Reply-To: <limpets@members.test>")
    assert isinstance(ask, Request)
    assert [ref.name for ref in ask.about] == ["<limpets@members.test>"]
    item = await said(f"tides-item+{TOKEN}@lists.test")
    assert isinstance(item, NewPost)
    assert (item.forum, item.item, item.author.address) == ("tides", TOKEN, "ana@members.test")
    via = await said(f"tides-via+{TOKEN}@lists.test")
    assert isinstance(via, Letter)
    assert (via.to, via.token, via.subject, via.text) == ("author", TOKEN, "Barnacles", "How many did you count?\n")
    owners = await said("tides-owner@lists.test")
    assert isinstance(owners, Letter)
    assert (owners.to, owners.forum) == ("owners", "tides")
    for address in ("postmaster@lists.test", "postmaster", "abuse@lists.test"):
        operator = await said(address)
        assert isinstance(operator, Letter)
        assert (operator.to, operator.forum) == ("operator", None)
    failed = "X-Failed-Recipients: ana@members.test"
    bounce = await said(f"tides-bounces+{TOKEN}@lists.test", sender="", extra=failed)
    assert isinstance(bounce, Bounce)
    assert bounce.token == TOKEN


@pytest.mark.parametrize("function", ["join", "leave", "request", f"confirm+{TOKEN}", f"via+{TOKEN}"])
@pytest.mark.parametrize(
    ("sender", "extra"),
    [
        ("", ""),
        ("ana@members.test", "Auto-Submitted: auto-replied"),
        ("ana@members.test", "Precedence: bulk"),
        ("ana@members.test", "List-Id: Others <others.elsewhere.test>"),
        ("ana@members.test", "X-Auto-Response-Suppress: All"),
    ],
)
async def test_machines_neither_act_nor_are_answered(function: str, sender: str, extra: str) -> None:
    assert await said(f"tides-{function}@lists.test", sender, extra) is None


async def test_a_machine_that_presses_unsubscribe_for_somebody_is_heard() -> None:
    address = f"tides-leave+{TOKEN}@lists.test"
    assert await said(address, extra="Auto-Submitted: auto-generated") == Leave("tides", token=TOKEN)
    assert await said(address, extra="Auto-Submitted: auto-replied") is None


async def test_a_letter_from_nobody_leaves_for_nobody() -> None:
    """A bounce that comes back to the address of a List-Unsubscribe is no wish of its member."""
    assert await said(f"tides-leave+{TOKEN}@lists.test", sender="") is None


async def test_a_machines_post_says_that_it_is_one() -> None:
    for sender, extra in (("", ""), ("ana@members.test", "Auto-Submitted: auto-generated (cron)")):
        post = await said("tides@lists.test", sender, extra)
        assert isinstance(post, NewPost)
        assert post.automatic
    post = await said("tides@lists.test", extra="Auto-Submitted: no")
    assert isinstance(post, NewPost)
    assert not post.automatic


async def test_loops_are_refused() -> None:
    house = two_forums()
    async with listening(house) as door:
        ours = MESSAGE.replace("C: Subject", "C: List-Id: Tide pools <Tides.lists.test>\n    C: Subject")
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("554 5.4.6", message=ours))
        await speak(door.ports["smtp"], HELLO + to("birds@lists.test") + data("250", message=ours))
        hops = "C: Received: from x\n    " * 26
        many = MESSAGE.replace("C: Subject", hops + "C: Subject")
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("554 5.4.6", message=many))
    assert [post.forum for post in posts(house)] == ["birds"]


async def test_only_a_trusted_network_vouches_for_the_author() -> None:
    for networks, proof in (((), Proof.NONE), (("192.0.2.0/24",), Proof.NONE), (("127.0.0.0/8",), Proof.AUTHENTICATED)):
        post = await said("tides@lists.test", trusted=networks)
        assert isinstance(post, NewPost)
        assert post.author.proof is proof


async def test_everybody_whom_to_and_cc_name_is_known() -> None:
    post = await said(
        "tides@lists.test", extra="To: Tides <tides@lists.test>, Bo <Bo@X.test>\n    C: Cc: bo@x.test, cy@x.test"
    )
    assert isinstance(post, NewPost)
    assert post.addressed == ("tides@lists.test", "bo@x.test", "cy@x.test")


async def test_an_answer_that_says_no_confirms_nothing_and_its_writer_is_told() -> None:
    house = two_forums()
    no = MESSAGE.replace("How many did you count?", "No, I never asked for that.")
    async with listening(house) as door:
        script = (
            HELLO + to(f"tides-confirm+{TOKEN}@lists.test") + data("550 5.7.0 your answer seems to say no", message=no)
        )
        await speak(door.ports["smtp"], script)
    assert house.accepted == []
