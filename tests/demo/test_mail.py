"""The mail pane reads, threads and answers as a stock mail program."""

from __future__ import annotations

from email import message_from_bytes, policy

from deploy.demo.mailread import Mail, fold, fresh, parse, threads
from deploy.demo.mailwrite import Correspondent, compose, receiver_of, reply

ANA = Correspondent("Ana Ribeiro", "ana@maresia.example")


def mail(name: str, *references: str, arrived: float = 0.0, text: str = "words") -> Mail:
    known = [f"<{one}@x>" for one in references]
    data = compose(ANA, "pools@shore.localhost", "Shrimp", text, message_id=f"<{name}@x>", references=known)
    return parse(data, name, arrived)


def shape(*mails: Mail) -> list[list[tuple[int, str]]]:
    return [[(depth, one.key) for depth, one in tree] for tree in threads(mails)]


def test_answers_hang_below_what_they_answer() -> None:
    mails = [mail("a", arrived=1), mail("b", "a", arrived=2), mail("c", "a", "b", arrived=3), mail("d", "a", arrived=4)]
    assert shape(*reversed(mails)) == [[(0, "a"), (1, "b"), (2, "c"), (1, "d")]]


def test_an_answer_to_a_mail_that_never_came_hangs_below_the_nearest_ancestor() -> None:
    assert shape(mail("a", arrived=1), mail("d", "a", "lost", arrived=2)) == [[(0, "a"), (1, "d")]]


def test_a_mail_that_came_twice_stands_twice() -> None:
    assert sum(len(tree) for tree in shape(mail("a"), mail("b", "a"), mail("b", "a"))) == 3


def test_mails_that_answer_each_other_do_not_hang_the_reader() -> None:
    assert sum(len(tree) for tree in shape(mail("a", "b"), mail("b", "a"))) == 2


def test_the_reply_button_answers_to_reply_to_and_names_the_whole_thread() -> None:
    received = (
        b"From: Bruno via Pools <pools-via+abc@shore.localhost>\r\nReply-To: Pools <pools@shore.localhost>\r\n"
        b"Subject: Shrimp\r\nMessage-ID: <2@shore.localhost>\r\nIn-Reply-To: <1@x>\r\nReferences: <1@x>\r\n\r\nOne shrimp.\r\n"
    )
    data = reply(ANA, parse(received), "Two!", message_id="<3@x>")
    answer = message_from_bytes(data, policy=policy.default)
    assert receiver_of(data) == "pools@shore.localhost"
    assert answer["Subject"] == "Re: Shrimp"
    assert answer["In-Reply-To"] == "<2@shore.localhost>"
    assert answer["References"].split() == ["<1@x>", "<2@shore.localhost>"]
    assert fresh(parse(data).text) == "Two!"
    assert "> One shrimp." in parse(data).text


def test_an_answer_to_ones_own_mail_goes_where_that_went() -> None:
    own = parse(compose(ANA, "pools@shore.localhost", "Re: Shrimp", "x", message_id="<1@x>"), sent=True)
    answer = reply(ANA, own, "and another thing", message_id="<2@x>")
    assert receiver_of(answer) == "pools@shore.localhost"
    assert message_from_bytes(answer, policy=policy.default)["Subject"] == "Re: Shrimp"


def test_quotes_are_folded_and_own_words_are_not() -> None:
    text = "On Mon, 1 Jun, Ana wrote:\n> one\n> two\n\nthree\n\n-- \nBruno\n"
    assert fold(text)[0] == (True, "On Mon, 1 Jun, Ana wrote:\n> one\n> two")
    assert fresh(text) == "three"


def test_what_junto_says_in_headers_is_found() -> None:
    data = (
        b"List-Id: Tide pools <tidepools.shore.localhost>\r\nArchived-At: <http://localhost:8080/f/tidepools/12>\r\n"
        b"X-Junto-Channel: matrix\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"
    )
    found = parse(data)
    assert (found.list_slug, found.page, found.channel, found.subject) == (
        "tidepools",
        ("tidepools", 12),
        "matrix",
        "Grüße",
    )


def test_rubbish_is_shown_empty_instead_of_raising() -> None:
    for data in (
        b"",
        b"\xff\xfe\x00",
        b"From: <<>>,;\r\nDate: yesterday\r\nContent-Type: text/plain; charset=nope\r\n\r\n\xff",
    ):
        assert parse(data, arrived=1.0).date.year == 1970
