"""How mail is read: each message of the directories goes the way that a received one goes, up to the transaction.

`python -m tests.benchmarks.reading DIRECTORY…` tells how many were taken and refused (and why), what raised anything else,
which took the most time and which the most memory. With `--store` each is also accepted into a forum that anybody may post to, in a
database in a temporary folder (machines count as people there, or lists' own messages would all be refused). Ends with 1 if anything broke
a promise.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from sqlalchemy import Connection

from bridges.email.addresses import Mailbox
from bridges.email.authentication import Verdict
from bridges.email.parse import parse
from bridges.email.receive import inbound
from server import app, config
from server.bridge import NewPost, Proof, Result
from server.content.attachments import Blobs
from server.content.derive import derive
from server.desk import accept, forums, tidy
from server.desk.prepare import Prepared, prepare
from server.errors import Rejected
from tests.benchmarks.mailfiles import messages
from tests.stories.town import write_config

SECONDS, MEMORY_MB = 1.0, 100.0
NOW = 1_800_000_000_000  # later than any of the messages
DOMAIN = "lists.example"
TO = (Mailbox("tides"), Mailbox("tides", "bounces", "a" * 26), Mailbox("tides", "owner"))
SHOWN = 5

Accept = Callable[[Prepared[NewPost]], Result]


class Nowhere(Blobs):
    """A directory that forgets: the disk is not what is measured."""

    def put(self, data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()


@dataclass(slots=True)
class Tally:
    """What became of the messages."""

    accept: Accept | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str]] = field(default_factory=list)
    seconds: list[tuple[float, str]] = field(default_factory=list)
    memory: list[tuple[float, str]] = field(default_factory=list)

    def add(self, name: str, raw: bytes, base: float) -> None:
        _forget_peak()
        begun = time.thread_time()
        try:
            outcome = _read(raw, self.accept)
        except Rejected as refusal:
            outcome = "refused"
            self.reasons[f"{refusal.code} {refusal.reason}"] += 1
        except Exception:  # what must never happen is what we count
            outcome = "BROKEN"
            self.broken.append((name, traceback.format_exc(limit=-3)))
        self.outcomes[outcome] += 1
        self.seconds = sorted([*self.seconds, (time.thread_time() - begun, name)], reverse=True)[:SHOWN]
        self.memory = sorted([*self.memory, (_peak() - base, name)], reverse=True)[:SHOWN]


def _read(raw: bytes, accept: Accept | None = None) -> str:
    """As bounce, as letter to the owners and as post; the outcome is the post's. What is no post is read like one all the same."""
    mail = parse(raw, "ana@members.example", DOMAIN, NOW)
    for to in TO[1:]:
        with suppress(Rejected):
            inbound(mail, to, Verdict(), DOMAIN)
    try:
        told = inbound(mail, TO[0], Verdict(Proof.AUTHENTICATED), DOMAIN)
        assert isinstance(told, NewPost)
    except Rejected:
        body = mail.body()
        derive(body.text, body.html, "plain", body.attachments, ["0" * 64] * len(body.attachments))
        raise
    prepared = prepare(tidy.inbound(told), Nowhere("."))
    if accept is not None:
        return type(accept(replace(prepared, inbound=replace(prepared.inbound, automatic=False)))).__name__.lower()
    return "taken, marked automatic" if mail.automatic else "taken"


@contextmanager
def _desk() -> Iterator[Accept]:
    """A desk with one forum that anybody may post to."""
    with tempfile.TemporaryDirectory(prefix="junto-reading-") as name:
        url = f"sqlite:///{name}/junto.db"
        path = write_config(
            Path(name), url, {"server": {"base_url": "http://localhost:1"}, "email": {"domain": DOMAIN}}
        )
        modules = app.discover()
        home = app.household(config.load(path, app.sections(modules)), modules)
        home.store.open()
        home.store.write_now(_furnish)
        try:
            yield lambda prepared: home.store.write_now(accept.new_post, home.desk, prepared)
        finally:
            home.store.close()


def _furnish(tx: Connection) -> None:
    forums.create_community(tx, "shore", "Shore", 1)
    forums.create_forum(tx, TO[0].slug, "shore", title="Tides", mail_domain=DOMAIN, settle_ms=0, now=1)
    forums.set_options(tx, TO[0].slug, {"post": "anyone", "strangers": "hold", "max_recipients": "0"})


def _peak() -> float:
    """The largest size of this process since `_forget_peak`, in MB; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except OSError:
        return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directories", nargs="+", type=Path)
    parser.add_argument("--each", type=int, default=1, metavar="N", help="only every Nth message")
    parser.add_argument("--store", action="store_true", help="accept them into a database, too")
    options = parser.parse_args()
    with _desk() if options.store else nullcontext() as desk:
        whole = _measured(options.directories, options.each, Tally(desk))
    return _report(whole)


def _measured(directories: list[Path], each: int, whole: Tally) -> Tally:
    _read(b"From: a@b.example\n\nwarm\n", whole.accept)
    gc.collect()
    base = _peak()
    for directory in directories:
        before = Counter(whole.outcomes)
        begun = time.thread_time()
        for number, (name, raw) in enumerate(messages(directory)):
            if number % each == 0:
                whole.add(name, raw, base)
        found = whole.outcomes - before
        told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
        print(
            f"{directory.name}: {sum(found.values())} messages in {time.thread_time() - begun:.1f} s: {told}",
            flush=True,
        )
    return whole


def _report(whole: Tally) -> int:
    print(
        f"\nall: {sum(whole.outcomes.values())}:", ", ".join(f"{n} {what}" for what, n in whole.outcomes.most_common())
    )
    for reason, count in whole.reasons.most_common():
        print(f"  refused {count}: {reason}")
    print("slowest, in seconds of CPU:", *(f"{seconds:.3f} {name}" for seconds, name in whole.seconds), sep="\n  ")
    print(
        "largest, in MB of the process over its start:",
        *(f"{size:.1f} {name}" for size, name in whole.memory),
        sep="\n  ",
    )
    for name, trace in whole.broken:
        print(f"BROKEN {name}\n{trace}")
    late = bool(whole.seconds) and whole.seconds[0][0] >= SECONDS
    large = bool(whole.memory) and whole.memory[0][0] >= MEMORY_MB
    return 1 if whole.broken or late or large else 0


if __name__ == "__main__":
    sys.exit(main())
