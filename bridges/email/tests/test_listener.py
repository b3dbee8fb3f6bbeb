"""Dialogues with the listener over real sockets: what a client says and what it is answered."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bridges.email.tests.dialogue import HELLO, LHELLO, client, data, listening, posts, speak, to, two_forums
from server.bridge import Accepted, Duplicate, Held, Inbound, Letter, NewPost, Result
from server.errors import Rejected, StoreUnavailable
from tests.fakes import RecordingHouse, forum

TOKEN = "abcdefghijklmnopqrstuvwx23"


# The way in --------------------------------------------------------------------------------------------------------------
async def test_a_post_is_accepted_and_then_acknowledged() -> None:
    house = two_forums()
    house.answer = lambda _: Accepted("tides/7")
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("Tides@Lists.TEST") + data("250 2.0.0 accepted as tides/7") + "\n    C: QUIT\n    S: 221",
        )
    (post,) = posts(house)
    assert (post.forum, post.author.address, post.author.name) == ("tides", "ana@members.test", "Ana")
    assert (post.subject, post.text) == ("Barnacles", "How many did you count?\n")
    assert post.refs[0].name == "<1@members.test>"
    assert post.original is not None
    assert post.original.endswith(b"\r\n\r\nHow many did you count?\r\n")


async def test_what_is_offered() -> None:
    async with listening(two_forums()) as door:
        smtp = await speak(door.ports["smtp"], HELLO)
        lmtp = await speak(door.ports["lmtp"], LHELLO)
    for one in (smtp, lmtp):
        offered = {line[4:] for line in one.replies[1][1:]}
        assert {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"} <= offered
        assert any(line.startswith("SIZE ") for line in offered)
        assert not any(
            "aiosmtpd" in line.lower() or "python" in line.lower() for reply in one.replies for line in reply
        )


async def test_commands_may_come_in_groups() -> None:
    house = two_forums()
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            r"""
            S: 220
            C| EHLO c.test\r\n
            S: 250
            C| MAIL FROM:<ana@members.test>\r\nRCPT TO:<tides@lists.test>\r\nRCPT TO:<nothing@lists.test>\r\nDATA\r\n
            S: 250
            S: 250
            S: 550 5.1.1
            S: 354
            C| From: ana@members.test\r\n\r\nfirst\r\n.\r\nMAIL FROM:<ana@members.test>\r\nRCPT TO:<birds@lists.test>\r\nDATA\r\n
            S: 250 2.0.0
            S: 250
            S: 250
            S: 354
            C| From: ana@members.test\r\n\r\nsecond\r\n.\r\nQUIT\r\n
            S: 250 2.0.0
            S: 221 2.0.0
            """,
        )
    assert [(post.forum, post.text) for post in posts(house)] == [("tides", "first\n"), ("birds", "second\n")]


async def test_content_before_it_is_asked_for_ends_the_connection() -> None:
    house = two_forums()
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("tides@lists.test") + "\n"
            r"    C| DATA\r\nFrom: ana@members.test\r\n\r\nx\r\n.\r\n" + "\n    S: 503 5.5.0\n    S: ",
        )
    assert house.accepted == []


# Recipients --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("address", "reply"),
    [
        ("tides@lists.test", "250 2.1.5"),
        ("TIDES-join@lists.test", "250 2.1.5"),
        (f"tides-leave+{TOKEN}@lists.test", "250 2.1.5"),
        (f"tides-bounces+{TOKEN}@lists.test", "250 2.1.5"),
        ("tides-owner@lists.test", "250 2.1.5"),
        ("postmaster@lists.test", "250 2.1.5"),
        ("Postmaster", "250 2.1.5"),
        ("abuse@lists.test", "250 2.1.5"),
        ("nobody@lists.test", "550 5.1.1"),
        ("tides-confirm@lists.test", "550 5.1.1"),
        ("tides", "550 5.1.1"),
        ("nobody-join@lists.test", "550 5.1.1"),
        (f"tides-item+{TOKEN}@lists.test", "250 2.1.5"),
        ("tides-item@lists.test", "550 5.1.1"),
        (f"tides-mod+{TOKEN}@lists.test", "250 2.1.5"),
        ("tides@elsewhere.test", "550 5.7.1"),
        ("ana@elsewhere.test", "550 5.7.1"),
        ("postmaster@elsewhere.test", "550 5.7.1"),
        ("tides@@lists.test", "550 5.1.1"),
        ("@relay.test:tides@lists.test", "250 2.1.5"),
    ],
)
async def test_a_recipient_is_answered_for_its_address_alone(address: str, reply: str) -> None:
    async with listening(two_forums()) as door:
        await speak(door.ports["smtp"], HELLO.replace("ana@members.test", "anybody@nowhere.test") + to(address, reply))


async def test_a_forum_may_have_a_domain_of_its_own() -> None:
    house = RecordingHouse(forum("tides", mail_domain="shore.test"))
    async with listening(house) as door:
        await speak(door.ports["smtp"], HELLO + to("tides@shore.test"))
        await speak(door.ports["smtp"], HELLO + to("birds@shore.test", "550 5.7.1"))


async def test_smtp_takes_one_forum_at_a_time() -> None:
    house = two_forums()
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO
            + to("tides@lists.test")
            + to("TIDES@lists.test")
            + to("birds@lists.test", "452 4.5.3")
            + to("tides-owner@lists.test", "452 4.5.3")
            + data("250 2.0.0"),
        )
    assert [post.forum for post in posts(house)] == ["tides"]


async def test_lmtp_answers_for_each_recipient() -> None:
    house = two_forums()

    def answer(inbound: Inbound) -> Result:
        if isinstance(inbound, NewPost) and inbound.forum == "birds":
            raise Rejected("5.7.1", "only members of birds may post")
        return Accepted("tides/1") if isinstance(inbound, NewPost) else Accepted()

    house.answer = answer
    async with listening(house) as door:
        await speak(
            door.ports["lmtp"],
            LHELLO
            + to("tides@lists.test")
            + to("nobody@lists.test", "550 5.1.1")
            + to("birds@lists.test")
            + to("tides-owner@lists.test")
            + data("250 2.0.0 accepted as tides/1", "550 5.7.1 only members of birds may post", "250 2.0.0 accepted")
            + "\n    C: NOOP\n    S: 250",
        )
    assert [type(one) for one in house.accepted] == [NewPost, Letter]


async def test_lmtp_is_not_greeted_like_smtp() -> None:
    async with listening(two_forums()) as door:
        await speak(door.ports["lmtp"], "S: 220\nC: EHLO x\nS: 500 5.5.2\nC: HELO x\nS: 500 5.5.2\nC: LHLO x\nS: 250")


async def test_an_international_envelope_is_taken() -> None:
    house = two_forums()
    async with listening(house) as door:
        await speak(
            door.ports["lmtp"],
            """
            S: 220
            C: LHLO c.test
            S: 250
            C: MAIL FROM:<jörg@bücher.test> SMTPUTF8
            S: 250
            C: RCPT TO:<tides@lists.test>
            S: 250
            C: DATA
            S: 354
            C: From: Jörg <jörg@bücher.test>
            C: Subject: Gezeitentümpel
            C:
            C: Grüße
            C: .
            S: 250
            """,
        )
    (post,) = posts(house)
    assert (post.author.address, post.author.name) == ("jörg@xn--bcher-kva.test", "Jörg")
    assert (post.subject, post.text) == ("Gezeitentümpel", "Grüße\n")


# Policy comes after DATA ---------------------------------------------------------------------------------------------------
async def test_a_refusal_tells_the_sender_why_in_one_line_of_ascii() -> None:
    house = two_forums()

    def refuse(_: Inbound) -> Result:
        raise Rejected("5.7.1", "only members may post;\r\n250 write to tides-join@lists.test – please")

    house.answer = refuse
    async with listening(house) as door:
        one = await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("550 5.7.1 only members may post;"))
    assert one.replies[-1] == ["550 5.7.1 only members may post; 250 write to tides-join@lists.test ? please"]


async def test_what_is_known_or_held_is_taken() -> None:
    house = two_forums()
    async with listening(house) as door:
        house.answer = lambda _: Duplicate("tides/3")
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("250 2.0.0 we have it already"))
        house.answer = lambda _: Held("H-4711", "Answer the mail that we sent you.")
        await speak(
            door.ports["smtp"], HELLO + to("tides@lists.test") + data("250 2.0.0 held as H-4711. Answer the mail")
        )


async def test_a_database_that_is_away_is_temporary() -> None:
    house = two_forums()

    def away(_: Inbound) -> Result:
        raise StoreUnavailable

    house.answer = away
    async with listening(house) as door:
        await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("451 4.3.0"))
        await speak(door.ports["lmtp"], LHELLO + to("tides@lists.test") + to("birds@lists.test") + data("451", "451"))


async def test_a_recipient_is_temporary_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    house = two_forums()

    async def away(slug: str) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(house, "knows", away)
    async with listening(house) as door:
        await speak(
            door.ports["smtp"],
            HELLO + to("tides@lists.test", "451 4.3.0") + to("postmaster@lists.test") + "\n    C: QUIT\n    S: 221",
        )


async def test_what_we_did_not_think_of_is_temporary_and_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = two_forums()

    def broken(_: Inbound) -> Result:
        raise RuntimeError("the inside of the server")

    house.answer = broken
    async with listening(house) as door:
        one = await speak(door.ports["smtp"], HELLO + to("tides@lists.test") + data("451 4.3.0"))
        assert "inside" not in one.replies[-1][0]

        async def also_broken(slug: str) -> None:
            raise RuntimeError("the inside of the server")

        monkeypatch.setattr(house, "knows", also_broken)
        one = await speak(door.ports["smtp"], HELLO + to("tides@lists.test", "451 4.3.0"))
        assert "inside" not in one.replies[-1][0]


async def test_a_client_that_hangs_up_does_not_undo_what_is_being_accepted() -> None:
    house = two_forums()
    reached, go_on, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slowly(inbound: Inbound) -> Result:
        reached.set()
        await go_on.wait()
        finished.set()
        return Accepted()

    house.accept = slowly  # type: ignore[method-assign]
    async with listening(house) as door:
        async with client(door.ports["smtp"]) as one:
            await one.speak(HELLO + to("tides@lists.test") + data())
            await reached.wait()
        go_on.set()
        await asyncio.wait_for(finished.wait(), 10)


async def test_a_client_that_resets_its_connection_leaves_no_complaint(caplog: pytest.LogCaptureFixture) -> None:
    house = two_forums()
    async with listening(house) as door:
        for script in (HELLO, HELLO + to("tides@lists.test") + "\n    C: DATA\n    S: 354\n    C: half"):
            async with client(door.ports["smtp"]) as one:
                await one.speak(script)
                one.writer.transport.abort()
        await speak(door.ports["smtp"], HELLO)
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
    assert house.accepted == []


async def test_stopping_answers_what_is_being_accepted_and_hangs_up_on_the_others() -> None:
    house = two_forums()
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(inbound: Inbound) -> Result:
        reached.set()
        await go_on.wait()
        return Accepted("tides/1")

    house.accept = slowly  # type: ignore[method-assign]
    async with listening(house) as door, client(door.ports["smtp"]) as idle, client(door.ports["smtp"]) as one:
        await idle.speak(HELLO)
        await one.speak(HELLO + to("tides@lists.test") + data())
        await reached.wait()
        stopping = asyncio.ensure_future(door.stop())
        await idle.speak("S: 421 4.3.2\nS: ")
        go_on.set()
        await one.speak("S: 250 2.0.0 accepted as tides/1\nS: 421 4.3.2\nS: ")
        await asyncio.wait_for(stopping, 10)
