"""`make bench`: a table for people and, with --json FILE, the same for machines."""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benchmarks import fanout, posting, to_room

PARTS = {"posting": posting.run, "fanout": fanout.run, "room": to_room.run}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="which; all by default")
    options = parser.parse_args()
    rows = [row for name in options.parts or PARTS for row in PARTS[name]()]
    table = Table("what", "figure", "unit", "more")
    for row in rows:
        more = ", ".join(f"{key} {value}" for key, value in row.items() if key not in ("what", "value", "unit"))
        table.add_row(str(row["what"]), f"{row['value']:,}", str(row["unit"]), more)
    Console().print(table)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": platform.machine(), "python": platform.python_version(), "rows": rows}, indent=2)
        )


if __name__ == "__main__":
    main()
