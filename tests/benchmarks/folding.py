"""How quotes and signatures are folded, against answers that people wrote down.

`python -m tests.benchmarks.folding DIRECTORY` wants `emails/`, and `trimmed/` with what is new in each under the same name. Ends with 1
if a line of an author was hidden.
"""

from __future__ import annotations

import argparse
import sys
from difflib import unified_diff
from pathlib import Path

from server.content.derive import derive


def _words(text: str) -> str:
    return " ".join(text.split())


def _hidden(expected: str, fresh: str) -> list[str]:
    """The expected lines that are not shown, however they are wrapped and marked."""
    shown = {_words(line.lstrip("> ")) for line in fresh.split("\n")}
    return [line for line in expected.split("\n") if _words(line.lstrip("> ")) not in {*shown, ""}]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    where: Path = parser.parse_args().directory
    exact = cases = 0
    hidden: list[str] = []
    for path in sorted((where / "emails").iterdir()):
        text = path.read_text("utf-8").replace("\r\n", "\n")
        fresh = derive(text, None, "plain", (), ()).fresh_text
        expected = (where / "trimmed" / path.name).read_text("utf-8")
        hidden.extend(f"{path.name}: {line}" for line in _hidden(expected, fresh))
        cases += 1
        if _words(fresh) == _words(expected):
            exact += 1
            continue
        print(
            *unified_diff(expected.split("\n"), fresh.split("\n"), f"{path.name} expected", "fresh", "", "", 1, ""),
            sep="\n",
        )
    print(*(f"HIDDEN {line}" for line in hidden), f"{exact} of {cases} exact, {len(hidden)} lines hidden", sep="\n")
    return 1 if hidden else 0


if __name__ == "__main__":
    sys.exit(main())
