"""The measuring tools run, and tell what they find, on a few messages of our own. What they measure is no test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import folding, reading

MESSAGES = Path(__file__).parents[2] / "bridges" / "email" / "tests" / "messages"


@pytest.mark.parametrize("store", [[], ["--store"]])
def test_reading_counts_what_became_of_each_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, store: list[str]
) -> None:
    (tmp_path / "nobody.eml").write_bytes(b"Subject: whose?\n\nhm\n")
    (tmp_path / "box").write_bytes(b"From x\nFrom: a@b.test\n\none\n\nFrom y\nFrom: a@b.test\n\n>From two\n")
    monkeypatch.setattr("sys.argv", ["reading", *store, str(MESSAGES), str(tmp_path)])
    assert reading.main() == 0
    told = capsys.readouterr().out
    assert f"{tmp_path.name}: 3 messages" in told
    assert "1 refused" in told.split(f"{tmp_path.name}: ")[1].splitlines()[0]
    assert "5.6.0 the message has no usable From address" in told
    assert "BROKEN" not in told


def test_folding_counts_exact_answers_and_hidden_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, text, expected in (("a.txt", "Yes.\n\n> Is it?\n", "Yes."), ("b.txt", "No.\n-- \nBen\n", "No.\nBen")):
        for folder, content in (("emails", text), ("trimmed", expected)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / name).write_text(content)
    monkeypatch.setattr("sys.argv", ["folding", str(tmp_path)])
    assert folding.main() == 1
    told = capsys.readouterr().out
    assert "HIDDEN b.txt: Ben" in told
    assert told.endswith("1 of 2 exact, 1 lines hidden\n")
