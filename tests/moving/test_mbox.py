"""Mbox files are read in all the ways in which they are written; nothing in a message can split it or swallow the next one."""

from __future__ import annotations

import gzip
import io
import lzma
import mailbox
import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import limits
from server.errors import CommandError
from server.moving import mbox, sources
from server.moving.sources import UnreadableError

ANA = b"From ana@shore.example Sat Jan  6 10:11:12 2024\n"
BEN = b"From ben@shore.example  Sun Jan  7 10:11:12 2024\n"


def data(raw: bytes, start: int = 0) -> list[bytes]:
    return [found.data for found in mbox.messages(io.BytesIO(raw[start:]), start)]


def head(name: str, *more: bytes) -> bytes:
    return b"".join((b"Message-ID: <", name.encode(), b"@shore.example>\n", *more, b"\n"))


def test_messages_stand_between_separators_and_tell_when_they_came() -> None:
    raw = ANA + head("a") + b"one\n\n" + BEN + head("b") + b"two\n"
    found = list(mbox.messages(io.BytesIO(raw)))
    assert [each.data for each in found] == [head("a") + b"one\n", head("b") + b"two\n"]
    assert [each.at for each in found] == [1704535872000, 1704622272000]
    assert found[-1].position == len(raw)


def test_one_quoting_is_taken_off(tmp_path: Path) -> None:
    written = ANA + head("a") + b">From here\n>>From there\n> From elsewhere\nNo >From\n\n"
    assert data(written) == [head("a") + b"From here\n>From there\n> From elsewhere\nNo >From\n"]


def test_what_the_standard_library_writes_is_read_as_it_was(tmp_path: Path) -> None:
    box, letter = mailbox.mbox(tmp_path / "box"), EmailMessage()
    letter["Subject"] = "Anemones"
    letter.set_content("From the shore:\n\nFrom: nobody\n\nFrom afar\n")
    for _ in range(3):
        box.add(letter)
    box.close()
    assert data((tmp_path / "box").read_bytes()) == [letter.as_bytes()] * 3


@pytest.mark.parametrize(
    "body",
    [
        b"see:\n\nFrom here to there\nit is far\n",  # prose after an empty line
        b"From ana@shore.example Sat Jan  6 10:11:12 2024\nwas written here\n",  # a date, but no header after it
        b"words\nFrom: ana\n",
    ],
)
def test_a_line_that_only_begins_like_a_separator_is_text(body: bytes) -> None:
    assert data(ANA + head("a") + b"x\n" + body + b"\n" + BEN + head("b")) == [head("a") + b"x\n" + body, head("b")]


def test_a_separator_needs_no_empty_line_before_it_if_it_has_a_date_and_a_header_after_it() -> None:
    assert data(ANA + head("a") + b"one\n" + BEN + head("b") + b"two\n") == [head("a") + b"one\n", head("b") + b"two\n"]


def test_a_separator_without_date_counts_after_an_empty_line() -> None:
    assert data(b"From ana\n" + head("a") + b"one\n\nFrom ben\n" + head("b")) == [head("a") + b"one\n", head("b")]


def test_a_counted_body_may_hold_anything() -> None:
    body = b"one\n\nFrom: x\n\nFrom: y: z\nFrom afar Sat Jan  6 10:11:12 2024\n>From\n"
    counted = head("a", b"Content-Length: %d\n" % len(body))
    raw = ANA + counted + body + b"\n" + BEN + head("b") + b"two\n"
    assert data(raw) == [counted + body, head("b") + b"two\n"]
    assert [each.data for each in mbox.messages(io.BytesIO(ANA + counted + body))] == [counted + body]


def test_a_counted_body_that_quotes_is_unquoted() -> None:
    body = b">From here\n"
    counted = head("a", b"Content-Length: %d\n" % len(body))
    assert data(ANA + counted + body + b"\n" + BEN + head("b")) == [counted + b"From here\n", head("b")]


@pytest.mark.parametrize("length", [0, 1, 3, 5, 1_000, 999_999_999])
def test_a_wrong_count_is_not_believed(length: int) -> None:
    lying = head("a", b"Content-Length: %d\n" % length)
    assert data(ANA + lying + b"one\n\n" + BEN + head("b") + b"two\n") == [lying + b"one\n", head("b") + b"two\n"]


def test_no_message_swallows_the_next_by_its_count() -> None:
    victim = BEN + head("victim") + b"important\n\n"
    lying = head("evil", b"Content-Length: %d\n" % (len(b"one\n\n") + len(victim)))
    found = data(ANA + lying + b"one\n\n" + victim + ANA + head("last"))
    assert found == [lying + b"one\n", head("victim") + b"important\n", head("last")]


def test_mmdf_has_lines_of_control_characters_around_messages() -> None:
    mark = b"\x01\x01\x01\x01\n"
    raw = mark + head("a") + b"one\nFrom here\n>From\n" + mark + mark + head("b") + b"two\n" + mark
    assert data(raw) == [head("a") + b"one\nFrom here\n>From\n", head("b") + b"two\n"]


def test_crlf_files_are_read_too() -> None:
    raw = (ANA + head("a") + b">From x\n\n" + BEN + head("b") + b"two\n\n").replace(b"\n", b"\r\n")
    assert data(raw) == [one.replace(b"\n", b"\r\n") for one in (head("a") + b"From x\n", head("b") + b"two\n")]


def test_reading_goes_on_at_any_position_that_was_told() -> None:
    raw = b"".join(ANA + head(str(n)) + b"text\n" * n + b"\n" for n in range(9))
    every = list(mbox.messages(io.BytesIO(raw)))
    for count, found in enumerate(every, 1):
        assert data(raw, found.position) == [each.data for each in every[count:]]


def test_of_a_message_that_is_too_large_only_the_beginning_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES", 200_000)
    raw = ANA + head("a") + b"x" * 150_000 + b"\n" + b"y" * 150_000 + b"\n\n" + BEN + head("b") + b"two\n"
    large, small = mbox.messages(io.BytesIO(raw))
    assert (large.whole, len(large.data)) == (False, mbox.BEGINNING)
    assert (small.whole, small.data) == (True, head("b") + b"two\n")


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.sampled_from([b"", b"From x", b">From y", b">>From ", b"word", b"From: z", ANA.strip()]), max_size=6
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_we_write_is_read_as_it_was(made: list[tuple[list[bytes], bool]]) -> None:
    messages = [head(str(n)) + b"".join(line + b"\n" for line in lines) for n, (lines, _crlf) in enumerate(made)]
    sent = [one.replace(b"\n", b"\r\n") if crlf else one for one, (_lines, crlf) in zip(messages, made, strict=True)]
    raw = b"".join(mbox.entry(one, 1704535872000, f"junto-{n}@shore.invalid") for n, one in enumerate(sent, 1))
    found = list(mbox.messages(io.BytesIO(raw)))
    assert [each.data for each in found] == messages
    assert [(each.at, each.number) for each in found] == [(1704535872000, n) for n in range(1, len(made) + 1)]


@pytest.mark.parametrize("pack", [lambda raw: raw, gzip.compress, lzma.compress])
def test_packed_files_are_unpacked_and_read_from_any_position(tmp_path: Path, pack: object) -> None:
    raw = b"".join(ANA + head(str(n)) + b"text\n\n" for n in range(5))
    assert callable(pack)
    (tmp_path / "box").write_bytes(pack(raw))
    found, passed = sources.find([tmp_path / "box"])
    every = [one for one, _disk in found[0].messages(0)]
    assert len(every) == 5
    assert passed == []
    assert [one.data for one, _disk in found[0].messages(every[2].position)] == [one.data for one in every[3:]]


def test_a_packed_file_that_breaks_off_gives_what_it_has_and_says_so(tmp_path: Path) -> None:
    raw = b"".join(ANA + head(str(n)) + bytes(range(48, 122)) * 900 + b"\n\n" for n in range(50))
    (tmp_path / "box.gz").write_bytes(gzip.compress(raw, 0)[:-200_000])
    found, _passed = sources.find([tmp_path / "box.gz"])
    taken = []
    with pytest.raises(UnreadableError, match=r"box\.gz"):
        taken.extend(one for one, _disk in found[0].messages(0))
    for one, _disk in zip(range(40), found[0].messages(0), strict=False):
        assert one < 40


def test_folders_are_searched_in_order_and_what_is_no_mail_is_named(tmp_path: Path) -> None:
    (tmp_path / "2.mbox").write_bytes(ANA + head("2"))
    (tmp_path / "1.mbox").write_bytes(ANA + head("1"))
    (tmp_path / "notes.bin").write_bytes(b"\x00\x01")
    for name in ("cur", "new", "tmp"):
        (tmp_path / "box" / name).mkdir(parents=True)
        (tmp_path / "box" / ".Old" / name).mkdir(parents=True)
    (tmp_path / "box" / "cur" / "2.x:2,S").write_bytes(head("m2"))
    (tmp_path / "box" / "new" / "1.x").write_bytes(head("m1"))
    (tmp_path / "box" / "tmp" / "3.x").write_bytes(head("half"))
    (tmp_path / "box" / ".Old" / "cur" / "9.x:2,").write_bytes(head("m9"))
    for number in (10, 9):
        (tmp_path / "mh").mkdir(exist_ok=True)
        (tmp_path / "mh" / str(number)).write_bytes(head(f"mh{number}"))
    found, passed = sources.find([tmp_path])
    read = [one.data for source in found for one, _disk in source.messages(0)]
    assert read == [head(name) for name in ("1", "2", "m1", "m2", "m9", "mh9", "mh10")]
    assert passed == [tmp_path / "notes.bin"]


def test_what_is_not_there_or_is_no_mail_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"<html>")
    for path in (tmp_path / "x", tmp_path / "y"):
        with pytest.raises(CommandError, match=path.name):
            sources.find([path])


def test_lengths_that_fit_nothing_are_not_tried_for_ever() -> None:
    one = b"From a@x.test Thu Jan  1 00:00:01 2026\nFrom: a@x.test\nContent-Length: 20000000\n\nwords\n\n"
    assert len(list(mbox.messages(io.BytesIO(one * 20_000)))) == 20_000


def test_a_message_of_empty_lines_costs_no_more_than_its_bytes() -> None:
    head = b"From x Mon Jan  1 10:00:00 2001\nFrom: a@b.test\n\n"
    tracemalloc.start()
    try:
        (found,) = mbox.messages(io.BytesIO(head + b"\n" * 2_000_000))
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert len(found.data) > 1_900_000
