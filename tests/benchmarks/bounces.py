"""How well notices on undelivered mail are read, on a collection of real ones with known answers.

    python -m tests.benchmarks.bounces DIRECTORY

DIRECTORY holds `expected.json` somewhere, and beside or below it the messages, named as its keys. Two kinds of answers are known:
lists of {reason, hardbounce, …}, one for each recipient (no addresses), and lists of {addresses, …}. Prints the counts and every miss.

Where no addresses are given, a recipient counts as right if there are as many as expected and each is vouched for: by a field of the
report, by the returned message's own To or Cc, or by being
named in the notice; the last are listed, to be looked at.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridges.email import bounces, dsn, notices
from bridges.email.parse import Mail, parse
from server.bridge import Bounce, Refusal
from server.errors import Rejected

NOW = 1_790_000_000_000
NO_BOUNCE = ("feedback", "vacation", "delivered")


@dataclass
class Tally:
    counts: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)
    by_words: list[str] = field(default_factory=list)

    def add(self, what: str, right: bool, miss: str) -> None:
        self.counts[f"{what}: of"] += 1
        self.counts[f"{what}: right"] += right
        if not right:
            self.misses.append(f"{what}: {miss}")


def main(directory: Path) -> None:
    """Measure and print."""
    tally, begun, slowest = Tally(), time.perf_counter(), (0.0, "")
    for expected in sorted(directory.rglob("expected.json")):
        for name, answers in json.loads(expected.read_text()).items():
            raw = _find(expected.parent, name).read_bytes()
            start = time.perf_counter()
            mail = parse(raw, "", "lists.test", NOW)
            _measure(tally, name, mail, answers)
            slowest = max(slowest, (time.perf_counter() - start, name))
        for path in sorted(one for one in expected.parent.rglob("not/*") if one.is_file()):
            mail = parse(path.read_bytes(), "", "lists.test", NOW)
            tally.add("no bounce, not counted", not _counts(mail), str(path.name))
    for miss in tally.misses:
        print("  miss ", miss)
    for one in tally.by_words:
        print("  vouched for by the notice's words alone", one)
    whats = dict.fromkeys(key.partition(":")[0] for key in tally.counts)
    for what in whats:
        of, right = tally.counts[f"{what}: of"], tally.counts[f"{what}: right"]
        print(f"{what}: {right} of {of} ({100 * right / of:.1f} %)")
    print(f"{time.perf_counter() - begun:.1f} s, slowest {slowest[1]} {slowest[0] * 1000:.0f} ms")


def _find(directory: Path, name: str) -> Path:
    found = sorted(path for path in directory.rglob(name) if path.is_file())
    by_line_ends = [path for path in found if path.parent.name not in ("mac", "dos")]
    return (by_line_ends or found)[0]


def _measure(tally: Tally, name: str, mail: Mail, answers: list[dict[str, Any]]) -> None:
    if answers and "addresses" in answers[0]:
        _addresses(tally, name, mail, answers)
        return
    if all(answer["reason"] in NO_BOUNCE for answer in answers):
        tally.add("no bounce, not counted", not _counts(mail), name)
        return
    found = bounces.failures(mail)
    recipients = [one.recipient for one in found]
    named = len(found) == len(answers) and all(one and one in _vouched(mail) for one in recipients)
    hard = sorted(one.refusal is Refusal.GONE and not one.delayed for one in found)
    lasting = hard == sorted(answer["hardbounce"] for answer in answers)
    if set(recipients) - _vouched(mail, in_notice=False):
        tally.by_words.append(f"{name} {recipients}")
    words = f"{name} {recipients} {[one.refusal.value for one in found]} {[answer['reason'] for answer in answers]}"
    tally.add("recipients", named, words)
    tally.add("permanence", lasting, words)
    tally.add("both", named and lasting, words)
    if found and all(one.delayed for one in found):
        tally.add("of these, delays not counted", not _counts(mail), words)


def _addresses(tally: Tally, name: str, mail: Mail, answers: list[dict[str, Any]]) -> None:
    wanted = {address.lower() for answer in answers for address in answer["addresses"]}
    found = {one.recipient for one in bounces.failures(mail) if one.recipient}
    tally.add("recipients by address", found == wanted, f"{name} found {sorted(found)}, wanted {sorted(wanted)}")


def _vouched(mail: Mail, in_notice: bool = True) -> set[str]:
    notice = notices.read(mail)
    report = {one.address for one in dsn.said(mail) or dsn.said_in(notice.whole)}
    sent_to = set(notices.in_fields(notice.returned, "to", "cc")) | set(
        notices.in_fields(mail.header, "x-failed-recipients")
    )
    if not in_notice:
        return report | sent_to
    return report | sent_to | set(notices.addresses(notice.words))


def _counts(mail: Mail) -> bool:
    try:
        return isinstance(bounces.read(mail, "forum", "token"), Bounce)
    except Rejected:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]))
