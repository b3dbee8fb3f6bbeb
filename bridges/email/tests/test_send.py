"""Copies on their way to a relay: every target settled exactly once, nothing sent twice that was answered, no faults hidden."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from bridges.email import send, wire
from bridges.email.copies import Quota
from bridges.email.send import Sender
from bridges.email.settings import Settings
from bridges.email.tests.dialogue import NobodyKnown
from bridges.email.tests.posts import MAIL, mailed, post, target
from bridges.email.tests.scripted_relay import relay
from server.bridge import EditItem, Failed, File, Later, Lot, NoticeItem, Outcome, PostItem, Refusal, Sent, Target
from server.errors import Deferred
from tests.fakes import RecordingHouse

STEP_BY_STEP = ("8BITMIME", "SIZE 10000000", "SMTPUTF8")


class Sending:
    """A sender, its house, and what it settled."""

    def __init__(self, url: str, **settings: object) -> None:
        self.house = RecordingHouse()
        self.sender = Sender(Settings(relay=url, **settings), self.house, resolver=NobodyKnown())  # type: ignore[arg-type]
        self.outcomes: dict[int, Outcome] = {}
        self.times: Counter[int] = Counter()

    def settle(self, to: Target, outcome: Outcome) -> None:
        self.outcomes[to.delivery] = outcome
        self.times[to.delivery] += 1

    async def lot(self, count: int, item: object = None, **special: str) -> list[Outcome]:
        """Sends one item to m1 … mN@far.test and answers the outcomes in that order; `special` addresses by "mN"."""
        targets = [
            target(n, special.get(f"m{n}", ""), leave=f"{n:026d}", bounces=f"{n:026d}") for n in range(1, count + 1)
        ]
        self.outcomes.clear()
        self.times.clear()
        await self.sender.deliver(Lot(item or PostItem(mailed()), targets, "key"), self.settle)  # type: ignore[arg-type]
        assert self.times == dict.fromkeys(range(1, count + 1), 1)
        return [self.outcomes[n] for n in range(1, count + 1)]


@pytest.fixture
async def sending() -> AsyncIterator[type[Sending]]:
    """Makes senders, and closes them after the test."""
    made: list[Sending] = []

    class Closed(Sending):
        def __init__(self, url: str, **settings: object) -> None:
            super().__init__(url, **settings)
            made.append(self)

    yield Closed
    for one in made:
        await one.sender.close()


@pytest.fixture
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "CONNECTIONS", 1)


both = pytest.mark.parametrize("extensions", [("PIPELINING", *STEP_BY_STEP), STEP_BY_STEP], ids=["pipelined", "plain"])


@both
async def test_every_receiver_gets_the_authors_bytes(sending: type[Sending], extensions: tuple[str, ...]) -> None:
    async with relay(extensions=extensions) as far:
        outcomes = await sending(far.url).lot(150)
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert sorted(far.recipients) == sorted(f"m{n}@far.test" for n in range(1, 151))
        assert all(taken.content.endswith(MAIL) for taken in far.taken)
        for taken in far.taken:
            token = f"{int(taken.recipient[1:-9]):026d}"
            assert taken.sender == f"tides-bounces+{token}@lists.test"
            assert taken.content.count(token.encode()) == 2
        assert not far.nonsense


@both
async def test_one_refused_receiver_harms_no_other(sending: type[Sending], extensions: tuple[str, ...]) -> None:
    for data_without_receiver in ("503 5.5.1 no receiver", "554 5.5.1 no receiver", "354"):
        async with relay(
            extensions=extensions,
            refuse={"m2@far.test": "550 5.1.1 unknown", "m3@far.test": "451 4.7.1 greylisted", "m9@far.test": "550 no"},
            refuse_body={"m5@far.test": "554 5.7.1 spam", "m6@far.test": "452 4.3.1 full"},
            data_without_receiver=data_without_receiver,
        ) as far:
            found = await sending(far.url).lot(9)
            assert [type(outcome) for outcome in found] == [
                Sent,
                Failed,
                Later,
                Sent,
                Failed,
                Later,
                Sent,
                Sent,
                Failed,
            ]
            codes = [outcome.code for outcome in found if isinstance(outcome, Failed | Later)]
            assert codes == ["5.1.1", "4.7.1", "5.7.1", "4.3.1", "550"]
            said = [outcome.refusal for outcome in found if isinstance(outcome, Failed)]
            assert said == [Refusal.GONE, Refusal.OURS, Refusal.MISSED]
            assert far.recipients == [f"m{n}@far.test" for n in (1, 4, 7, 8)]
            assert all(taken.content.endswith(MAIL) for taken in far.taken)
            assert not far.nonsense


@pytest.mark.usefixtures("one_connection")
async def test_the_next_envelope_travels_behind_the_last_dot(sending: type[Sending]) -> None:
    async with relay(needs_next=True) as far:
        post_to_three = asyncio.create_task(sending(far.url).lot(3))
        while len(far.taken) < 2 or far.commands[-1] != "DATA":
            await asyncio.sleep(0.01)
        # the last message has no follower: its answer waits for a command that never comes
        assert [command for command in far.commands if command.startswith("RCPT")] == [
            f"RCPT TO:<m{n}@far.test>" for n in (1, 2, 3)
        ]
        post_to_three.cancel()
        with pytest.raises(asyncio.CancelledError):
            await post_to_three


@both
@pytest.mark.usefixtures("one_connection")
async def test_a_message_without_an_answer_is_tried_again_later(
    sending: type[Sending], extensions: tuple[str, ...]
) -> None:
    async with relay(extensions=extensions, hang_up_at=("body", 3)) as far:
        found = await sending(far.url).lot(6)
        assert isinstance(found[2], Later)
        assert not found[2].down
        assert [type(outcome) for at, outcome in enumerate(found) if at != 2] == [Sent] * 5
        assert far.recipients == [f"m{n}@far.test" for n in (1, 2, 4, 5, 6)]


@both
@pytest.mark.usefixtures("one_connection")
async def test_what_was_not_sent_goes_over_another_connection(
    sending: type[Sending], extensions: tuple[str, ...]
) -> None:
    async with relay(extensions=extensions, hang_up_at=("rcpt", 3)) as far:
        found = await sending(far.url).lot(6)
        assert all(isinstance(outcome, Sent) for outcome in found)
        assert sorted(far.recipients) == [f"m{n}@far.test" for n in range(1, 7)]


@pytest.mark.usefixtures("one_connection")
async def test_a_relay_that_takes_few_messages_a_connection_gets_many_connections(sending: type[Sending]) -> None:
    async with relay(messages_a_connection=4) as far:
        assert all(isinstance(outcome, Sent) for outcome in await sending(far.url).lot(30))
        assert len(far.taken) == 30
        assert far.connections == 8


async def test_a_relay_that_is_away_leaves_everything_for_later(sending: type[Sending]) -> None:
    async with relay() as far:
        url = far.url
    away = sending(url)
    found = await away.lot(50)
    assert all(isinstance(outcome, Later) and outcome.down for outcome in found)
    assert away.house.health is not None
    assert away.house.health[0] is False


@pytest.mark.parametrize("greeting", ["421 4.3.2 busy", "554 5.7.1 go away", "hello"])
async def test_a_relay_that_will_not_talk_is_away(sending: type[Sending], greeting: str) -> None:
    async with relay(greeting=greeting) as far:
        found = await sending(far.url).lot(3)
        assert all(isinstance(outcome, Later) and outcome.down for outcome in found)


async def test_a_relay_that_says_421_to_every_message_is_away(sending: type[Sending]) -> None:
    async with relay(messages_a_connection=0) as far:
        found = await sending(far.url).lot(3)
        assert [outcome.detail for outcome in found if isinstance(outcome, Later) and outcome.down] == [
            "4.7.0 enough for one connection"
        ] * 3


async def test_health_says_when_the_relay_is_back(sending: type[Sending]) -> None:
    async with relay(messages_a_connection=0) as far:
        one = sending(far.url)
        await one.lot(1)
        assert one.house.health == (False, "4.7.0 enough for one connection")
        far.messages_a_connection = 10
        await one.lot(1)
        assert one.house.health == (True, "")


async def test_our_own_wrong_password_fails_no_mail(sending: type[Sending]) -> None:
    right = b64encode(b"\0ana\0limpet").decode()
    async with relay(extensions=("PIPELINING", "AUTH PLAIN LOGIN"), password=right) as far:
        wrong = await sending(far.url.replace("//", "//ana:whelk@")).lot(1)
        assert isinstance(wrong[0], Later)
        assert wrong[0].down
        assert isinstance((await sending(far.url.replace("//", "//ana:limpet@")).lot(1))[0], Sent)
    async with relay(refuse_mail="530 5.7.0 authentication required") as far:
        assert isinstance((await sending(far.url).lot(1))[0], Later)


async def test_starttls_that_is_asked_for_and_not_offered_sends_nothing(sending: type[Sending]) -> None:
    async with relay() as far:
        found = await sending(far.url + "?starttls=1").lot(1)
        assert isinstance(found[0], Later)
        assert found[0].down
        assert not far.taken


async def test_connections_are_kept_between_lots(sending: type[Sending]) -> None:
    async with relay() as far:
        one = sending(far.url)
        for _ in range(5):
            await one.lot(3)
        assert far.connections == 1
        assert len(far.taken) == 15
        await one.sender.close()
        while far.open:
            await asyncio.sleep(0.01)
        assert far.commands[-1] == "QUIT"


async def test_a_kept_connection_that_the_relay_closed_costs_nothing(sending: type[Sending]) -> None:
    async with relay(hang_up_at=("rcpt", 4)) as far:
        one = sending(far.url)
        await one.lot(3)
        assert isinstance((await one.lot(1))[0], Sent)
        assert far.connections == 2


async def test_a_large_lot_walks_over_several_connections_and_no_more(sending: type[Sending]) -> None:
    async with relay() as far:
        await sending(far.url).lot(400)
        assert far.connections == send.CONNECTIONS


async def test_a_large_message_arrives_whole(sending: type[Sending]) -> None:
    line = b"." + b"x" * 70 + b"\r\n"
    large = b"From: ana@members.test\r\nReply-To: ana@members.test\r\n\r\n" + line * 40_000
    async with relay() as far:
        found = await sending(far.url).lot(3, PostItem(mailed(large)))
        assert all(isinstance(outcome, Sent) for outcome in found)
        assert all(taken.content.endswith(line * 40_000) for taken in far.taken)


async def test_an_address_that_could_inject_a_command_fails_alone(sending: type[Sending]) -> None:
    async with relay() as far:
        found = await sending(far.url).lot(2, m1="a@far.test>\r\nRCPT TO:<evil@far.test")
        assert isinstance(found[0], Failed)
        assert found[0].code == "5.1.3"
        assert far.recipients == ["m2@far.test"]
        assert not any("evil" in command for command in far.commands)


@both
async def test_an_address_beyond_ascii_needs_a_relay_that_knows_it(
    sending: type[Sending], extensions: tuple[str, ...]
) -> None:
    async with relay(extensions=extensions) as far:
        assert isinstance((await sending(far.url).lot(2, m1="阿@far.test"))[0], Sent)
        assert far.recipients == ["阿@far.test", "m2@far.test"]
        with_parameter = [command for command in far.commands if "SMTPUTF8" in command]
        assert len(with_parameter) == 1
    without = tuple(name for name in extensions if name != "SMTPUTF8")
    async with relay(extensions=without) as far:
        found = await sending(far.url).lot(2, m1="阿@far.test")
        assert isinstance(found[0], Failed)
        assert found[0].code == "5.6.7"
        assert isinstance(found[1], Sent)


async def test_parameters_are_used_only_where_offered(sending: type[Sending]) -> None:
    async with relay(extensions=("PIPELINING",)) as far:
        await sending(far.url).lot(1)
        assert f"MAIL FROM:<tides-bounces+{1:026d}@lists.test>" in far.commands
    async with relay() as far:
        await sending(far.url).lot(1)
        size = len(far.taken[0].content)
        assert f"MAIL FROM:<tides-bounces+{1:026d}@lists.test> SIZE={size} BODY=8BITMIME" in far.commands


async def test_a_quota_leaves_the_rest_for_the_next_hour(sending: type[Sending]) -> None:
    async with relay() as far:
        one = sending(far.url, relay_per_hour=5)
        found = await one.lot(8)
        assert [type(outcome) for outcome in found] == [Sent] * 5 + [Later] * 3
        later = found[-1]
        assert isinstance(later, Later)
        assert not later.down
        assert later.after_ms is not None
        assert 3_500_000 < later.after_ms <= 3_600_000
        assert len(far.taken) == 5


def test_a_quota_slides() -> None:
    now = 0.0
    quota = Quota(2, lambda: now)
    assert [quota.take() for _ in range(3)] == [True, True, False]
    now = 3_599.0
    assert not quota.take()
    assert quota.wait_ms() == 1_000
    now = 3_600.0
    assert quota.take()


async def test_a_notice_travels_with_the_null_sender(sending: type[Sending]) -> None:
    async with relay() as far:
        one = sending(far.url)
        notice = NoticeItem(1, None, "Sign in", "https://talk.test/sign-in/x", "<n@lists.test>")
        await one.sender.deliver(Lot(notice, [Target(1, 1, "ana@members.test")], "n"), one.settle)
        assert isinstance(one.outcomes[1], Sent)
        assert far.taken[0].sender == ""
        assert b"To: <ana@members.test>\r\n" in far.taken[0].content


@pytest.mark.usefixtures("one_connection")
async def test_a_sign_in_link_does_not_wait_behind_a_fan_out(sending: type[Sending]) -> None:
    async with relay(needs_next=True) as far:
        one = sending(far.url)
        fan_out = asyncio.create_task(one.lot(1))
        while not far.bodies:
            await asyncio.sleep(0.01)
        far.needs_next = False
        notice = NoticeItem(1, None, "Sign in", "https://talk.test/sign-in/x", "<n@lists.test>")
        await one.sender.deliver(Lot(notice, [Target(99, 1, "ana@members.test")], "n"), one.settle)
        assert isinstance(one.outcomes[99], Sent)
        assert not fan_out.done()
        fan_out.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fan_out


async def test_a_post_is_made_once_for_all_its_lots(sending: type[Sending]) -> None:
    picture = File("f" * 64, "limpet.png", "image/png", 4, "https://talk.test/blob/f")
    async with relay() as far:
        one = sending(far.url)
        one.house.blobs["f" * 64] = b"\x89PNG"
        words = f'<img src="blob:{picture.hash}">'
        await one.lot(2, PostItem(post(html=words, files=(picture,))))
        one.house.blobs.clear()
        await one.lot(1, PostItem(post(html=words, files=(picture,))))
        assert [b"Content-ID:" in taken.content for taken in far.taken] == [True] * 3
        found = await one.lot(1, PostItem(post(html=words + "!", files=(picture,))))
        assert isinstance(found[0], Sent)
        assert b"https://talk.test/blob/f" in far.taken[-1].content


async def test_a_database_that_is_away_defers_the_lot(sending: type[Sending], monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(hash: str) -> bytes:
        raise Deferred("the disk is away")

    picture = File("f" * 64, "limpet.png", "image/png", 4, "https://talk.test/blob/f")
    async with relay() as far:
        one = sending(far.url)
        monkeypatch.setattr(one.house, "blob", away)
        found = await one.lot(2, PostItem(post(files=(picture,))))
        assert [outcome.detail for outcome in found if isinstance(outcome, Later)] == ["the disk is away"] * 2


async def test_mail_cannot_be_edited(sending: type[Sending]) -> None:
    async with relay() as far:
        assert isinstance((await sending(far.url).lot(1, EditItem(mailed())))[0], Failed)


async def test_a_relay_that_never_answers_is_given_up(sending: type[Sending], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(wire, "DOT_SECONDS", 0.05)
    async with relay(needs_next=True) as far:
        found = await sending(far.url).lot(1)
        assert isinstance(found[0], Later)
        assert "in time" in found[0].detail


async def test_a_cancelled_lot_leaves_no_connection_in_the_middle_of_a_message(sending: type[Sending]) -> None:
    async with relay(needs_next=True) as far:
        one = sending(far.url)
        under_way = asyncio.create_task(one.lot(1))
        while not far.bodies:
            await asyncio.sleep(0.01)
        under_way.cancel()
        with pytest.raises(asyncio.CancelledError):
            await under_way
        far.needs_next = False
        assert isinstance((await one.lot(2))[0], Sent)
        assert far.connections == 2
