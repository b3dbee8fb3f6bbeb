"""`junto import`: everything is taken once and in order, whatever happens meanwhile, and nobody hears of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from server import limits
from server.moving import intake
from server.store.schema import audit, deliveries, imports, letters, memberships, posts
from tests.cli.conftest import Operator
from tests.moving.conftest import AT, MINUTE, box, mail, rows

COUNTS = ("imported", "duplicate", "rejected")


def counts(operator: Operator, *words: str) -> tuple[int, ...]:
    told = operator.do("import", *words, "--forum", "tides", "--json").json
    return tuple(told[name] for name in COUNTS)


def test_a_list_moves_in_with_its_threads_and_nobody_is_told(operator: Operator, tmp_path: Path) -> None:
    operator.do("member", "add", "reader@shore.example", "--forum", "tides")
    path = box(tmp_path / "old.mbox", mail(1), mail(3, 2, "ben"), mail(2, 1), mail(4, Date=""))
    told = operator.do("import", str(path), "--forum", "tides").out
    assert told == "imported 4, duplicate 0, rejected 0\n"
    taken = rows(operator)
    ids = {row.id: row.message_id.partition("@")[0] for row in taken}
    assert [(row.seq, row.message_id, ids.get(row.parent_id)) for row in taken] == [
        (1, "<1@shore.example>", None),
        (2, "<3@shore.example>", "<2"),
        (3, "<2@shore.example>", "<1"),
        (4, "<4@shore.example>", None),
    ]
    assert len({row.thread_id for row in taken}) == 2
    assert [row.published_at for row in taken] == [AT, AT, AT, AT + 3 * MINUTE]
    assert rows(operator, deliveries) == rows(operator, letters) == []
    assert len(rows(operator, memberships)) == 1
    assert rows(operator, audit)[-1].verb == "import"


def test_twice_adds_nothing_and_more_of_it_is_added(operator: Operator, tmp_path: Path) -> None:
    path = box(tmp_path / "old.mbox", *(mail(n) for n in range(5)))
    assert counts(operator, str(path)) == (5, 0, 0)
    assert counts(operator, str(path)) == (0, 5, 0)
    box(tmp_path / "old.mbox", *(mail(n) for n in range(7)))
    assert counts(operator, str(path)) == (2, 5, 0)
    assert [row.seq for row in rows(operator)] == [1, 2, 3, 4, 5, 6, 7]
    assert rows(operator, imports) == []


def test_what_came_by_mail_before_is_here_already(operator: Operator, tmp_path: Path) -> None:
    from server.bridge import Author, NewPost, Proof, Ref

    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    author = Author("email", "ana@shore.example", "Ana", Proof.AUTHENTICATED)
    operator.accept(NewPost("tides", author, (Ref("message-id", "<1@shore.example>"),), subject="x", text="y"))
    assert counts(operator, str(box(tmp_path / "old.mbox", mail(1), mail(2, 1)))) == (1, 1, 0)
    first, second = rows(operator)
    assert second.parent_id == first.id


def test_messages_without_id_or_date_or_text_are_taken_once(operator: Operator, tmp_path: Path) -> None:
    bare = b"From: ana@shore.example\n\n"
    path = box(tmp_path / "old.mbox", mail(1, **{"Message-ID": ""}), mail(1, **{"Message-ID": "", "Date": "x"}), bare)
    assert counts(operator, str(path)) == (3, 0, 0)
    assert counts(operator, str(path)) == (0, 3, 0)


def test_who_cannot_be_taken_is_in_a_file_with_the_reason_and_can_be_mended(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(limits, "MESSAGE_BYTES", 100_000)
    huge = mail(3) + b"x" * 200_000 + b"\n"
    path = box(tmp_path / "old.mbox", mail(1), mail(2, From=""), huge, mail(4))
    ran = operator.do("import", str(path), "--forum", "tides")
    assert ran.out.splitlines()[0] == "imported 2, duplicate 0, rejected 2"
    refused = tmp_path / "tides-rejected.mbox"
    assert refused.name in ran.out
    text = refused.read_text()
    reasons = [line for line in text.splitlines() if line.startswith("X-Junto-Rejected: ")]
    assert "old.mbox, message 2: the message has no usable From address" in reasons[0]
    assert "old.mbox, message 3: it is larger than a message may be" in reasons[1]
    assert len(text) < 100_000
    refused.write_text(text.replace("Subject: Anemones 2", "From: ben@shore.example\nSubject: Anemones 2"))
    assert counts(operator, str(refused), "--rejected", "still.mbox") == (2, 0, 0)


def test_what_is_read_is_never_written_to(operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = box(tmp_path / "tides-rejected.mbox", *(mail(n, From="" if n == 1 else "ana@x.example") for n in range(300)))
    was = path.read_bytes()
    told = operator.do("import", path.name, "--forum", "tides").out
    assert "imported 299, duplicate 0, rejected 1" in told
    assert "tides-rejected-2.mbox" in told
    assert path.read_bytes() == was
    assert (tmp_path / "tides-rejected-2.mbox").read_text().count("X-Junto-Rejected: ") == 1
    other = tmp_path / "link.mbox"
    other.symlink_to(path)
    for named in (path, other):
        refusal = operator.fails("import", str(path), "--forum", "tides", "--rejected", str(named))
        assert "is what is read here: name another file" in refusal
    (tmp_path / "letter.mbox").write_text("Dear Ana,\n")
    refusal = operator.fails("import", str(path), "--forum", "tides", "--rejected", "letter.mbox")
    assert "already: name another file" in refusal


def test_what_was_rejected_before_stays_and_stands_once(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first = box(tmp_path / "a.mbox", *(mail(n, From="") for n in range(3)))
    second = box(tmp_path / "b.mbox", mail(9, From=""))
    refused = tmp_path / "tides-rejected.mbox"
    assert "was added to" not in operator.do("import", str(first), "--forum", "tides").out
    once = refused.read_bytes()
    told = operator.do("import", str(second), "--forum", "tides").out
    assert "It was there before, and was added to." in told
    assert refused.read_bytes().startswith(once)
    assert refused.read_text().count("X-Junto-Rejected: ") == 4
    both = refused.read_bytes()
    assert counts(operator, str(first)) == (0, 0, 3)
    assert refused.read_bytes() == both


@pytest.mark.parametrize("cut", [1, 40, 100, -1])
def test_a_message_half_written_when_a_run_was_killed_is_made_whole(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.chdir(tmp_path)
    path = box(tmp_path / "a.mbox", *(mail(n, From="") for n in range(3)))
    refused = tmp_path / "tides-rejected.mbox"
    counts(operator, str(path))
    whole = refused.read_bytes()
    last = whole.rindex(b"\nFrom rejected ") + 1
    refused.write_bytes(whole[:cut] if cut < 0 else whole[: last + cut])
    counts(operator, str(path))
    if cut in (1, 40):  # cut in the line between messages: that line is no message
        assert refused.read_bytes().count(whole[whole.index(b"\n", last) :]) == 1
    else:
        assert refused.read_bytes() == whole


def test_what_the_desk_refuses_is_on_the_disk_before_it_is_counted(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from server.desk import bring
    from server.errors import Rejected

    def nobody(*_args: object) -> None:
        raise Rejected("5.1.1", "there is no such person")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bring, "_author", nobody)
    path = box(tmp_path / "a.mbox", mail(1), mail(2))
    noted = intake.journal.note

    def note(*args: object) -> None:
        assert (tmp_path / "tides-rejected.mbox").read_text().count("no such person") == 2
        noted(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(intake.journal, "note", note)
    assert counts(operator, str(path)) == (0, 0, 2)


def test_a_broken_file_gives_what_it_has_and_the_next_one_is_read(operator: Operator, tmp_path: Path) -> None:
    import gzip

    whole = box(tmp_path / "b.mbox", mail(9))
    broken = tmp_path / "a.mbox.gz"
    noise = "\n".join(os.urandom(40).hex() for _ in range(3_000))
    packed = gzip.compress(box(tmp_path / "x", mail(1), mail(2) + noise.encode()).read_bytes())
    broken.write_bytes(packed[: len(packed) // 2])
    (tmp_path / "x").unlink()
    ran = operator.run("import", str(broken), str(whole), "--forum", "tides")
    assert ran.code == 1
    assert "a.mbox.gz" in ran.err
    assert {row.message_id for row in rows(operator)} == {"<1@shore.example>", "<9@shore.example>"}


@pytest.mark.parametrize("packer", ["gzip", "lzma", "bz2"])
def test_a_small_file_that_was_cut_gives_what_it_has_and_says_so(
    operator: Operator, tmp_path: Path, packer: str
) -> None:
    import importlib

    folder = tmp_path / "list"
    folder.mkdir()
    box(folder / "whole.mbox", mail(1))
    packed: bytes = importlib.import_module(packer).compress(box(tmp_path / "x", mail(2)).read_bytes())
    (folder / "cut.mbox.z").write_bytes(packed[:-12])
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    os.mkfifo(folder / "pipe")
    ran = operator.run("import", str(folder), "--forum", "tides")
    assert ran.code == 1
    assert "Not read to the end" in ran.err
    assert "cut.mbox.z" in ran.err
    assert "Passed over" in ran.out
    assert "cut.mbox.z" not in ran.out
    assert "<1@shore.example>" in {row.message_id for row in rows(operator)}


def test_old_posts_have_their_source_on_the_web(operator: Operator, tmp_path: Path) -> None:
    from server.archive import portable

    operator.do("import", str(box(tmp_path / "old.mbox", mail(1))), "--forum", "tides")
    with operator.home() as home:
        post = home.store.read_now(lambda tx: portable.port_post(tx, rows(operator)[0].id, "email", "https://x.test"))
    assert post.original == mail(1).replace(b"\n", b"\r\n")


def test_several_processes_read_and_the_order_stays(operator: Operator, tmp_path: Path) -> None:
    path = box(tmp_path / "old.mbox", *(mail(n, n - 1 if n % 7 else None) for n in range(400)))
    assert counts(operator, str(path), "--jobs", "2") == (400, 0, 0)
    assert [row.message_id for row in rows(operator)] == [f"<{n}@shore.example>" for n in range(400)]


def test_a_run_that_stopped_goes_on_and_counts_everything_once(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = box(tmp_path / "old.mbox", *(mail(n, From="" if n in (3, 500) else "ana@x.example") for n in range(600)))
    taken = intake.Intake._batch
    done = []

    def dies(self: intake.Intake, *args: object) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return taken(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(intake.Intake, "_batch", dies)
    assert "run the same command again" in operator.fails("import", str(path), "--forum", "tides")
    monkeypatch.setattr(intake.Intake, "_batch", taken)
    (path.rename(tmp_path / "other-name.mbox"))
    assert counts(operator, str(tmp_path / "other-name.mbox")) == (598, 0, 2)
    assert [row.seq for row in rows(operator)] == list(range(1, 599))
    assert (tmp_path / "tides-rejected.mbox").read_text().count("X-Junto-Rejected: ") == 2


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_in_the_middle_it_goes_on_and_takes_everything_once(
    operator: Operator, tmp_path: Path, jobs: str
) -> None:
    count = 1_500
    path = box(tmp_path / "old.mbox", *(mail(n, n - 1 if n % 5 else None) for n in range(count)))
    words = ["import", str(path), "--forum", "tides", "--config", str(operator.config), "--jobs", jobs]
    child = subprocess.Popen(
        [sys.executable, "-c", "from server.cli import main; main()", *words], stderr=subprocess.DEVNULL
    )
    with operator.home() as home:
        while not home.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.count()).select_from(posts))):
            assert child.poll() is None
            time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    before = len(rows(operator))
    assert 0 < before < count
    assert counts(operator, str(path)) == (count, 0, 0)
    taken = rows(operator)
    assert [row.message_id for row in taken] == [f"<{n}@shore.example>" for n in range(count)]
    assert [row.seq for row in taken] == list(range(1, count + 1))
    assert sum(row.parent_id is None for row in taken) == count // 5


def test_it_works_beside_a_server_that_takes_posts(operator: Operator, tmp_path: Path) -> None:
    from server.bridge import Author, NewPost, Proof, Ref

    operator.do("member", "add", "ana@shore.example", "--forum", "tides")
    path = box(tmp_path / "old.mbox", *(mail(n) for n in range(500)))
    words = ["import", str(path), "--forum", "tides", "--config", str(operator.config)]
    child = subprocess.Popen(
        [sys.executable, "-c", "from server.cli import main; main()", *words], stderr=subprocess.DEVNULL
    )
    author = Author("email", "ana@shore.example", "Ana", Proof.AUTHENTICATED)

    async def meanwhile() -> None:
        with operator.home() as home:
            made = 0
            while child.poll() is None:
                made += 1
                await home.accept(
                    NewPost("tides", author, (Ref("message-id", f"<new{made}@x>"),), subject="x", text="y")
                )

    asyncio.run(meanwhile())
    taken = rows(operator)
    assert child.wait() == 0
    assert sorted(row.seq for row in taken) == list(range(1, len(taken) + 1))
    assert sum(row.imported for row in taken) == 500
    assert sum(not row.imported for row in taken) > 0
