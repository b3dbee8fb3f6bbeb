"""`junto export`: what leaves is whole, holds no token of ours, and makes the same threads with the same numbers elsewhere."""

from __future__ import annotations

import json
import mailbox
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from server import bridge
from server.bridge import MESSAGE_ID, WEB, Attachment, Author, Inbound, NewPost, Proof, Ref, Retract
from server.cli.context import opened
from server.people import handles
from server.store.schema import originals as originals_table
from server.store.schema import people
from tests.cli.conftest import Operator
from tests.moving.conftest import box, mail, rows

LEAVE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """Another server, with an empty forum of another name."""
    made = Operator(tmp_path / "elsewhere", capsys, monkeypatch)
    with monkeypatch.context() as here:
        here.setenv("JUNTO_DATABASE__URL", f"sqlite:///{tmp_path}/elsewhere.db")
        here.setenv("JUNTO_EMAIL__DOMAIN", "other.example")
        made.do("init", str(made.root), "--config", str(made.config))
        made.do("community", "create", "c", "--name", "C")
        made.do("forum", "create", "pools", "--community", "c")
        yield made


def moved(
    operator: Operator, elsewhere: Operator, monkeypatch: pytest.MonkeyPatch, database: str, path: Path
) -> tuple[Any, Any]:
    """Export, import; what stands at both ends."""
    monkeypatch.setenv("JUNTO_DATABASE__URL", database)
    operator.do("export", "--forum", "tides", "--format", "mbox", "--output", str(path))
    here = standing(operator)
    monkeypatch.setenv("JUNTO_DATABASE__URL", f"sqlite:///{path.parent}/elsewhere.db")
    told = elsewhere.do("import", str(path), "--forum", "pools", "--json").json
    assert (told["duplicate"], told["rejected"]) == (0, 0)
    return here, standing(elsewhere)


def standing(operator: Operator) -> Any:
    """Of each published post its number, its name and the nearest post above it that is not taken back; which stand together."""
    every = {row.id: row for row in rows(operator)}

    def above(row: Any) -> int | None:
        while row.parent_id is not None:
            row = every[row.parent_id]
            if row.state == "published":
                return int(row.seq)
        return None

    shown = [row for row in every.values() if row.state == "published"]
    family: dict[int, list[int]] = {}
    for row in shown:
        family.setdefault(row.thread_id, []).append(row.seq)
    return {row.seq: (row.message_id, above(row)) for row in shown}, sorted(sorted(one) for one in family.values())


def accept(operator: Operator, *inbound: Inbound) -> None:
    operator.accept(*inbound)


def by_mail(operator: Operator, raw: bytes) -> NewPost:
    """A message as the bridge hands it over when it comes."""
    with opened(str(operator.config)) as home:
        reader = next(made for made in home.bridges.values() if isinstance(made, bridge.Reader))
        from server.desk import forums

        forum = forums.view(home.store.read_now(forums.get, "tides"), "https://x.test")
        new = reader.read(raw.replace(b"\n", b"\r\n"), forum)
    return replace(new, author=replace(new.author, proof=Proof.AUTHENTICATED))


def on_the_web(operator: Operator, number: int, answers: int | None, **more: Any) -> NewPost:
    person = rows(operator, people)[0]
    above = next((row for row in rows(operator) if row.seq == answers), None)
    parents = (Ref("post", str(above.id)),) if above is not None else ()
    subject = None if parents else f"Web {number}"
    return NewPost(
        "tides",
        Author(WEB, str(person.id), "Ana", Proof.SESSION),
        (Ref("form", f"f{number}"),),
        parents,
        subject,
        f"words {number}",
        **more,
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_same_threads_and_numbers_elsewhere(
    operator: Operator, elsewhere: Operator, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    monkeypatch.setenv("JUNTO_DATABASE__URL", database)
    monkeypatch.setenv("JUNTO_EMAIL__DOMAIN", "talk.example")
    operator.do("forum", "set", "tides", "post=anyone")
    accept(operator, by_mail(operator, mail(0)))
    for n in range(1, 45):
        answers = chance.choice([None, *range(max(0, n - 9), n), 900 + n % 3])
        if chance.random() < 0.3:
            some = [row.seq for row in rows(operator) if row.state == "published"]
            accept(operator, on_the_web(operator, n, chance.choice([None, *some])))
        elif chance.random() < 0.15:
            accept(
                operator, by_mail(operator, mail(chance.randrange(n), answers, by="ben", Subject=f"Mine {n}"))
            )  # perhaps another's id
        elif chance.random() < 0.1:
            accept(operator, by_mail(operator, mail(n, answers, **{"Message-ID": ""})))
        else:
            accept(operator, by_mail(operator, mail(n, answers, by=chance.choice(["ana", "ben"]))))
        if chance.random() < 0.1:
            gone = chance.choice(
                [row for row in rows(operator) if row.state == "published" and row.parent_id is not None] or [None]
            )
            if gone is not None:
                who = next(row for row in rows(operator, people) if row.id == gone.person_id)
                accept(
                    operator,
                    Retract("tides", Author(WEB, str(who.id), "", Proof.SESSION), Ref(MESSAGE_ID, gone.message_id)),
                )
    here, there = moved(operator, elsewhere, monkeypatch, database, tmp_path / "out.mbox")
    assert there[0] == here[0]
    assert there[1] == here[1]
    assert any(row.channel == WEB for row in rows(elsewhere)) is False


def of_item(operator: Operator, raw: bytes, number: int) -> NewPost:
    """An answer to that post in a digest: its address alone says what it answers."""
    answered = next(row.id for row in rows(operator) if row.seq == number)
    with operator.home() as home:
        token = home.store.read_now(handles.printed, home.secret, "item", answered)
    return replace(by_mail(operator, raw), item=token)


def test_an_answer_to_a_post_of_a_digest_stays_its_answer(
    operator: Operator, elsewhere: Operator, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUNTO_DATABASE__URL", database)
    monkeypatch.setenv("JUNTO_EMAIL__DOMAIN", "talk.example")
    operator.do("forum", "set", "tides", "post=anyone")
    accept(operator, by_mail(operator, mail(1)), by_mail(operator, mail(2)))
    accept(operator, of_item(operator, mail(3, 77, by="ben", Subject="Re: Tide pools digest"), 1))
    accept(operator, by_mail(operator, mail(4, 3)))
    here, there = moved(operator, elsewhere, monkeypatch, database, tmp_path / "out.mbox")
    assert here[1] == [[1, 3, 4], [2]]
    assert there == here
    text = (tmp_path / "out.mbox").read_bytes()
    assert text.count(b"X-Junto-Parent: <1@shore.example>\nFrom: Ben") == 1
    assert text.count(b"X-Junto-Parent") == 1
    received = [zstandard.decompress(row.bytes, max_output_size=10_000) for row in rows(elsewhere, originals_table)]
    assert not any(b"X-Junto-Parent" in raw for raw in received)  # what was received is there as it came


def test_a_field_of_ours_in_somebody_elses_mbox_says_nothing(operator: Operator, tmp_path: Path) -> None:
    forged = b"X-Junto-Parent: <1@shore.example>\n" + mail(2)
    operator.do("import", str(box(tmp_path / "old.mbox", mail(1), forged)), "--forum", "tides")
    assert [row.parent_id for row in rows(operator)] == [None, None]


def test_what_came_as_a_message_is_there_byte_for_byte(operator: Operator, tmp_path: Path) -> None:
    raw = mail(1) + b"From here\n>From there\n\n\n"
    accept(operator, by_mail(operator, raw)) if operator.do("forum", "set", "tides", "post=anyone") else None
    path = tmp_path / "out.mbox"
    operator.do("export", "--forum", "tides", "--output", str(path))
    assert path.read_bytes().startswith(b"From junto-1@tides.invalid ")
    assert (
        path.read_bytes().partition(b"\n")[2]
        == raw.replace(b"\n>From", b"\n>>From").replace(b"\nFrom here", b"\n>From here") + b"\n"
    )
    assert path.stat().st_mode & 0o077 == 0
    assert len(mailbox.mbox(path)) == 1


def test_our_tokens_do_not_leave(operator: Operator, tmp_path: Path) -> None:
    import base64
    import quopri

    operator.do("forum", "set", "tides", "post=anyone")
    words = f"see tides-leave+{LEAVE}@talk.example and http://localhost:8080/leave/{LEAVE} by ana@shore.example\n"
    plain = mail(1, **{"List-Unsubscribe": f"<http://localhost:8080/leave/{LEAVE}>"}) + words.encode()
    coded = (
        mail(2, **{"Content-Transfer-Encoding": "base64"}).partition(b"\n\n")[0]
        + b"\n\n"
        + base64.encodebytes(words.encode())
    )
    quoted = (
        mail(3, **{"Content-Transfer-Encoding": "quoted-printable"}).partition(b"\n\n")[0]
        + b"\n\n"
        + quopri.encodestring(words.encode())
    )
    accept(operator, *(by_mail(operator, raw) for raw in (plain, coded, quoted)))
    operator.do("export", "--forum", "tides", "--output", str(tmp_path / "out.mbox"))
    for message in mailbox.mbox(tmp_path / "out.mbox"):
        shown = message.as_string() + (message.get_payload(decode=True) or b"").decode()  # type: ignore[union-attr]
        assert LEAVE not in shown.replace("=\n", "")
        assert "by ana@shore.example" in (message.get_payload(decode=True) or b"").decode()  # type: ignore[union-attr]
    operator.do("export", "--forum", "tides", "--format", "jsonl", "--output", str(tmp_path / "out.jsonl"))
    assert LEAVE not in (tmp_path / "out.jsonl").read_text()


def test_json_lines_have_a_post_each(operator: Operator, tmp_path: Path) -> None:
    operator.do("forum", "set", "tides", "post=anyone")
    accept(operator, by_mail(operator, mail(1)), by_mail(operator, mail(2, 1, "ben")))
    accept(operator, on_the_web(operator, 3, 2, attachments=(Attachment("a.txt", "text/plain", b"abc"),)))
    path = tmp_path / "out.jsonl"
    assert operator.do("export", "--forum", "tides", "--format", "jsonl", "--output", str(path)).out == (
        f"Wrote 3 posts of tides to {path}.\n"
    )
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [list(line) for line in lines] == [
        ["n", "message_id", "thread", "parent", "date", "author", "channel", "subject", "text", "attachments"]
    ] * 3
    assert [(line["n"], line["thread"], line["parent"], line["channel"]) for line in lines] == [
        (1, 1, None, "email"),
        (2, 1, 1, "email"),
        (3, 1, 2, "web"),
    ]
    assert lines[0] | {"attachments": 0} == {
        "n": 1,
        "message_id": "<1@shore.example>",
        "thread": 1,
        "parent": None,
        "date": "2020-09-13T12:26:40Z",
        "author": "Ana",
        "channel": "email",
        "subject": "Anemones 1",
        "text": "Seen.\n",
        "attachments": 0,
    }
    assert lines[2]["subject"] == "Re: Anemones 1"
    assert [file["filename"] for file in lines[2]["attachments"]] == ["a.txt"]
    assert "@shore.example" not in json.dumps([line["author"] for line in lines])


def test_files_of_what_was_born_elsewhere_travel_in_it(operator: Operator, tmp_path: Path) -> None:
    operator.do("forum", "set", "tides", "post=anyone")
    accept(operator, by_mail(operator, mail(1)))
    accept(operator, on_the_web(operator, 2, 1, attachments=(Attachment("a.bin", "application/x-a", b"\0abc"),)))
    operator.do("export", "--forum", "tides", "--output", str(tmp_path / "out.mbox"))
    last = list(mailbox.mbox(tmp_path / "out.mbox"))[-1]
    assert [part.get_payload(decode=True) for part in last.walk() if part.get_filename() == "a.bin"] == [b"\0abc"]


def test_nothing_is_overwritten_and_formats_are_named(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    assert "already" in operator.fails("export", "--forum", "tides", "--output", str(tmp_path / "there"))
    assert "mbox or jsonl" in operator.fails(
        "export", "--forum", "tides", "--format", "x", "--output", str(tmp_path / "y")
    )
    assert (tmp_path / "there").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) in (["there"], ["junto.db", "there"])
