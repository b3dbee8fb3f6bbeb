"""What is too long, too much, too odd, and where a message ends."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from bridges.email import connection
from bridges.email.connection import path
from bridges.email.gate import CONNECTIONS_A_HOST, Gate
from bridges.email.tests.dialogue import HELLO, LHELLO, client, data, listening, posts, speak, to, two_forums
from server import limits


# Sizes and lines -----------------------------------------------------------------------------------------------------------
async def test_a_long_line_is_no_refusal() -> None:
    house = two_forums()
    line = "a" * 300_000
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO
            + to("tides@lists.test")
            + data("250", message=f"\n    C: From: a@b.test\n    C:\n    C: {line}\n    C: ."),
        )
    assert posts(house)[0].text == line + "\n"


async def test_the_size_is_announced_and_kept() -> None:
    house = two_forums()
    async with listening(house, size=5_000) as door:
        big = "\n    C: From: a@b.test\n    C:\n" + "\n".join(f"    C: {'x' * 60}" for _ in range(100)) + "\n    C: ."
        one = await speak(
            door.ports["smtp"],
            HELLO
            + to("tides@lists.test")
            + data("552 5.3.4", message=big)
            + "\n    C: MAIL FROM:<ana@members.test> SIZE=5001\n    S: 552 5.3.4"
            + "\n    C: MAIL FROM:<ana@members.test> SIZE=4000\n    S: 250"
            + to("tides@lists.test")
            + data("250"),
        )
        assert "250-SIZE 5000" in one.replies[1]
    assert len(house.accepted) == 1


async def test_a_message_of_exactly_the_size_is_taken() -> None:
    house = two_forums()
    head = "From: a@b.test\r\n\r\n"
    async with listening(house, size=5_000) as door:
        for extra, reply in ((0, "250"), (1, "552 5.3.4")):
            text = "x" * (5_000 - len(head) - 2 + extra)
            message = f"\n    C: From: a@b.test\n    C:\n    C: {text}\n    C: ."
            await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data(reply, message=message))
    original = posts(house)[0].original
    assert original is not None
    assert len(original) == 5_000


async def test_too_much_at_once_comes_again() -> None:
    house = two_forums()
    async with listening(house, gate=Gate(in_flight=1_000)) as door:
        big = "\n    C: From: a@b.test\n    C:\n    C: " + "x" * 2_000 + "\n    C: ."
        await speak(
            door.ports["smtp"],
            HELLO
            + to("tides@lists.test")
            + data("452 4.3.1", message=big)
            + "\n    C: MAIL FROM:<a@b.test>\n    S: 250"
            + to("tides@lists.test")
            + data("250"),
        )
    assert len(house.accepted) == 1


async def test_connections_are_counted() -> None:
    async with listening(two_forums(), gate=Gate(connections=1)) as door:
        async with client(door.ports["smtp"]) as first:
            await first.speak(HELLO)
            await speak(door.ports["smtp"], "S: 421 4.3.2\nS: ")
            await first.speak("C: QUIT\nS: 221\nS: ")
        await speak(door.ports["smtp"], HELLO)


async def test_what_was_answered_holds_nothing_and_what_comes_is_added_up() -> None:
    house = two_forums()
    mail = "\n    C: From: a@b.test\n    C: Message-ID: <{n}@b.test>\n    C:\n    C: " + "x" * 100_000 + "\n    C: ."
    again = "\n    C: MAIL FROM:<ana@members.test>\n    S: 250" + to("tides@lists.test")
    async with listening(house, gate=Gate(in_flight=150_000)) as door, client(door.ports["smtp"]) as one:
        await one.speak(HELLO + to("tides@lists.test") + data("250", message=mail.format(n=0)))
        for n in range(1, 5):
            await one.speak(again + data("250", message=mail.format(n=n)))
        await one.speak(again + data("452 4.3.1", message=mail.format(n=9).replace("C: x", "C: " + "y" * 60_000)))
    assert len(house.accepted) == 5


async def test_content_that_hangs_is_ended_and_gives_its_room_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "SLOW_SECONDS", 0.05)
    gate = Gate(in_flight=150_000)
    held = r"    C| From: a@b.test\r\n\r\n" + "x" * 130_000
    async with listening(two_forums(), gate=gate) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("tides@lists.test") + "\n    C: DATA\n    S: 354\n" + held + "\n    S: 421 4.4.2\n    S: ",
        )
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250"))


class Somebody:
    """A connection as a gate sees it."""

    answering = False

    def __init__(self, gate: Gate, peer: str) -> None:
        self.host = gate.host(peer)

    def hang_up(self) -> None: ...

    async def answered(self) -> None: ...


def test_a_host_has_its_share_and_no_more() -> None:
    gate = Gate(in_flight=4_000)
    first, same, other = (Somebody(gate, peer) for peer in ("2a00:1:2:3::4", "2a00:1:2:3:5::6", "2a00:1:2:4::4"))
    assert gate.take(first, 600)
    assert not gate.take(same, 600), "the same network of 64 bits"
    assert gate.take(same, 400)
    assert not gate.take(first, 1)
    assert gate.take(other, 1_000)
    gate.give_back(first, 600)
    assert gate.take(same, 600)
    inside = Somebody(gate, "127.0.0.1")
    assert gate.take(inside, 2_000), "all that is left"
    assert not gate.take(Somebody(gate, "1.2.3.4"), 1), "and no more than there is"


def test_a_host_has_so_many_connections_and_our_own_network_all() -> None:
    gate = Gate(trusted=(ip_network("9.9.9.0/24"),), connections=100)
    guests = [Somebody(gate, "::ffff:1.2.3.4") for _ in range(CONNECTIONS_A_HOST + 1)]
    assert [gate.admit(guest) for guest in guests] == [True] * CONNECTIONS_A_HOST + [False]
    gate.leave(guests[-1])  # who was never in takes nobody's place
    assert not gate.admit(Somebody(gate, "1.2.3.4"))
    assert gate.admit(Somebody(gate, "1.2.3.5"))
    gate.leave(guests[0])
    assert gate.admit(Somebody(gate, "1.2.3.4"))
    own = [Somebody(gate, peer) for peer in ["9.9.9.9", "10.1.2.3", "::1", "127.0.0.1"] * 30]
    assert sum(gate.admit(guest) for guest in own) == 100 - CONNECTIONS_A_HOST - 1


async def test_a_full_door_shuts_no_other() -> None:
    house = two_forums()
    async with listening(house, gate=Gate(connections=1, in_flight=10)) as door, client(door.ports["smtp"]) as first:
        await first.speak(HELLO + to("tides@lists.test"))
        await speak(door.ports["smtp"], "S: 421 4.3.2\nS: ")
        await speak(door.ports["lmtp"], LHELLO + to("tides@lists.test") + data("250"))
    assert len(house.accepted) == 1


async def test_the_largest_message_fits_into_the_share_of_a_host() -> None:
    gate = Gate()
    assert gate.take(Somebody(gate, "1.2.3.4"), limits.MESSAGE_BYTES + 64)


@pytest.mark.parametrize(
    "ending", [r"\n.\n", r"\n.\r\n", r"\r\n.\n", r"\r.\r", r"\r\n.\r", r"\n\n.\r\n", r"\r\n\x00.\r\n"]
)
async def test_only_one_ending_ends_a_message(ending: str) -> None:
    house = two_forums()
    smuggled = r"MAIL FROM:<evil@members.test>\r\nRCPT TO:<birds@lists.test>\r\nDATA\r\nFrom: evil@x.test\r\n\r\nevil"
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("tides@lists.test") + "\n    C: DATA\n    S: 354\n"
            rf"    C| From: ana@members.test\r\n\r\nfirst{ending}{smuggled}\r\n.\r\n"
            + "\n    S: 250\n    C: QUIT\n    S: 221",
        )
    assert [post.forum for post in posts(house)] == ["tides"]


async def test_dots_are_taken_off_and_an_empty_message_is_answered() -> None:
    house = two_forums()
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("tides@lists.test") + "\n    C: DATA\n    S: 354\n"
            r"    C| ..From: ana@members.test\r\nFrom: ana@members.test\r\n\r\n..\r\n...x\r\n.y\r\n.\r\n"
            + "\n    S: 250\n"
            "    C: MAIL FROM:<ana@members.test>\n    S: 250"
            + to("tides@lists.test")
            + data("550 5.6.0", message="\n    C: ."),
        )
    (post,) = posts(house)
    assert post.text == ".\n..x\ny\n"
    assert post.original is not None
    assert post.original.startswith(b".From:")


# Dialogue ------------------------------------------------------------------------------------------------------------------
async def test_rubbish_is_answered_with_codes() -> None:
    async with listening(two_forums()) as door:
        one = await speak(
            door.ports["smtp"],
            """
            S: 220
            C: MAIL FROM:<a@b.test>
            S: 503 5.5.1
            C: HELO client.test
            S: 250 lists.test
            C: RCPT TO:<tides@lists.test>
            S: 503 5.5.1
            C: DATA
            S: 503 5.5.1
            C: MAIL FROM:<a b@c.test>
            S: 553 5.1.3
            C: MAIL FROM:((((((((((((((
            S: 25
            C: RSET
            S: 250 2.0.0
            C: VRFY tides
            S: 252 2.5.0
            C: EXPN tides
            S: 502 5.5.1
            C: STARTTLS
            S: 454 4.7.0
            C: BDAT 10
            S: 500 5.5.2
            C: QUIT
            S: 221 2.0.0
            """,
        )
    for reply in one.replies[4:]:
        assert reply[-1][4] in "245"


async def test_commands_that_are_too_long_are_refused() -> None:
    async with listening(two_forums()) as door:
        await speak(
            door.ports["smtp"],
            f"S: 220\nC: EHLO {'x' * 3000}\nS: 500\nC: EHLO {'x' * 200_000}\nS: 500\nC: QUIT\nS: 221",
        )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("<>", ("<>", "")),
        ("<> SIZE=5", ("<>", "SIZE=5")),
        ("<a@b>", ("a@b", "")),
        (" <a@b> BODY=8BITMIME SIZE=1", ("a@b", "BODY=8BITMIME SIZE=1")),
        ("<@x,@y:a@b>", ("a@b", "")),
        ('<"a>b"@c>', ('"a>b"@c', "")),
        ('<"a b"@c>', ('"a b"@c', "")),
        ("a@b", ("a@b", "")),
        ("<a@b", (None, None)),
        ("<a@b>x", (None, None)),
        ("<a\tb@c>", (None, None)),
        ("", (None, None)),
    ],
)
def test_paths(written: str, read: tuple[str | None, str | None]) -> None:
    assert path(written) == read
