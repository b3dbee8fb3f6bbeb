"""How an archive's threads stand after `junto import`, beside those that another server made of it.

`python -m tests.benchmarks.threads DIRECTORY…`: each holds mbox files, one a year, and `thread-oracle-dovecot.json.xz`: the Message-IDs
in order and the trees of THREAD=REFS (draft-ietf-morg-inthread), in which null is a parent that is missing. Imports all into a database,
tells how fast that went, and lists what stands otherwise, by cause. Ends with 1 if a difference has none.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bridges.email import fields, identification
from server.desk.place import NEW_SUBJECT
from server.moving import sources
from server.store.db import Store
from server.store.schema import posts, refs

PROGRAM = [sys.executable, "-c", "from server.cli import main; main()"]
SHOWN = 6


@dataclass(slots=True)
class Said:
    """What a message says of its place."""

    subject: str
    answers: list[str]
    references: list[str]

    @property
    def parents(self) -> list[str]:
        """As RFC 5256 reads it: References, or else the first of In-Reply-To."""
        return self.references or self.answers[:1]


@dataclass(slots=True)
class Forest:
    """Each message's parent (the nearest that is there) and the first message of the tree it stands in."""

    parent: dict[str, str | None] = field(default_factory=dict)
    family: dict[str, int] = field(default_factory=dict)

    def together(self) -> dict[str, frozenset[str]]:
        """With whom each stands."""
        members: dict[int, set[str]] = defaultdict(set)
        for name, number in self.family.items():
            members[number].add(name)
        frozen = {number: frozenset(names) for number, names in members.items()}
        return {name: frozen[number] for name, number in self.family.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument("--all", action="store_true", help="list every difference, not some of each cause")
    options = parser.parse_args()
    unknown = 0
    for directory in options.directories:
        print(f"\n{directory.name}")
        with tempfile.TemporaryDirectory() as scratch:
            ours = imported(directory, Path(scratch))
        oracle, twice = told(directory)
        unknown += compare(ours, oracle, twice, said(directory), sys.maxsize if options.all else SHOWN)
    raise SystemExit(1 if unknown else 0)


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if ".mbox" in path.name)


def imported(directory: Path, scratch: Path) -> Forest:
    """Take everything in and say how long that took; the threads that it makes."""
    config = scratch / "junto.toml"
    environment = os.environ | {"JUNTO_CONFIG": str(config)}

    def run(*words: str) -> str:
        return subprocess.run([*PROGRAM, *words], env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    run("init", str(scratch))
    run("community", "create", "c", "--name", "C")
    run("forum", "create", "archive", "--community", "c")
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    counts = json.loads(
        run(
            "import",
            *map(str, files(directory)),
            "--forum",
            "archive",
            "--json",
            "--rejected",
            str(scratch / "rejected"),
        )
    )
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    done = counts["imported"] + counts["duplicate"] + counts["rejected"]
    print(", ".join(f"{name} {counts[name]}" for name in ("imported", "duplicate", "rejected")))
    print(
        f"{done} messages in {seconds:.1f} s: {done / seconds:.0f}/s; {cpu:.1f} s of processor: {1000 * cpu / done:.2f} ms each,"
        f" so {done / cpu * (os.cpu_count() or 1):.0f}/s on {os.cpu_count()} idle processors; load {os.getloadavg()[0]:.1f};"
        f" most memory of a process {after.ru_maxrss // 1024} MB"
    )
    store = Store(f"sqlite:///{scratch}/var/junto.db")
    try:
        return store.read_now(_forest)
    finally:
        store.close()


def _forest(tx: sa.Connection) -> Forest:
    made = Forest()
    every = {
        row.id: row
        for row in tx.execute(sa.select(posts.c.id, posts.c.message_id, posts.c.parent_id, posts.c.thread_id))
    }
    for row in every.values():
        name = row.message_id[1:-1]
        made.family[name] = row.thread_id
        made.parent[name] = every[row.parent_id].message_id[1:-1] if row.parent_id is not None else None
    ghosts = tx.scalar(sa.select(sa.func.count()).select_from(refs).where(refs.c.post_id.is_(None)))
    print(f"{len(every)} posts in {len(set(made.family.values()))} threads, {ghosts} names of posts that are not there")
    return made


def told(directory: Path) -> tuple[Forest, set[str]]:
    """What the other server says; and the Message-IDs that it has more than once."""
    with lzma.open(directory / "thread-oracle-dovecot.json.xz") as file:
        oracle = json.load(file)
    names: list[str] = oracle["message_ids"]
    made = Forest()
    trees = [list(_walk(tree, names)) for tree in oracle["threads"]["REFS"]]
    for family, tree in sorted(
        enumerate(trees), key=lambda one: -len(one[1])
    ):  # of a repeated one, the copy that was answered
        for name, parent in tree:
            made.parent.setdefault(name, parent)
            made.family.setdefault(name, family)
    return made, {name for name, count in Counter(names).items() if count > 1}


def _walk(tree: Any, names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    todo: list[tuple[Any, str | None]] = [(tree, None)]
    while todo:
        (number, children), above = todo.pop()
        here = above
        if number is not None:
            here = names[number - 1]
            yield here, above
        todo.extend((child, here) for child in children)


def said(directory: Path) -> dict[str, Said]:
    """What each message says, by the same reading of its header fields; of a repeated one the first."""
    found: dict[str, Said] = {}
    every, _passed = sources.find(files(directory))
    for source in every:
        for one, _disk in source.messages(0):
            header = fields.read(one.data[: fields.cut(one.data)[0]])
            own = next((ids[0] for value in header.values("message-id") if (ids := identification.ids(value))), "")
            answers, references = (
                [name[1:-1] for value in header.values(field) for name in identification.ids(value)]
                for field in ("in-reply-to", "references")
            )
            found.setdefault(own[1:-1], Said(fields.words(header.first("subject")), answers, references))
    return found


def compare(ours: Forest, oracle: Forest, twice: set[str], messages: Mapping[str, Said], shown: int) -> int:
    """Print what differs, by cause; how many differences have none."""
    both = ours.parent.keys() & oracle.parent.keys()
    print(
        f"compared {len(both)}; {len(oracle.parent.keys() - both)} only there, {len(ours.parent.keys() - both)} only here"
    )
    mine, theirs = ours.together(), oracle.together()
    causes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(both):
        if ours.parent[name] != oracle.parent[name]:
            cause = _of_parent(name, ours, oracle, twice, messages)
            causes[f"parent: {cause}"].append(f"{name}: {ours.parent[name]} here, {oracle.parent[name]} there")
    families = {(mine[name] & both, theirs[name] & both) for name in both if mine[name] & both != theirs[name] & both}
    for here, there in families:
        cause = _of_family(here ^ there, here, there, messages, twice)
        causes[f"thread: {cause}"].append(f"{len(here)} here, {len(there)} there: {min(here ^ there)}")
    same = sum(1 for name in both if ours.parent[name] == oracle.parent[name])
    whole = sum(
        1 for one in set(theirs.values()) if one & both and all(mine[name] & both == one & both for name in one & both)
    )
    print(f"same parent {same} of {len(both)}; threads with the same posts {whole} of {len(set(theirs.values()))}")
    for cause, cases in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"  {len(cases):5} {cause}")
        for case in cases[:shown]:
            print(f"          {case}")
    return sum(len(cases) for cause, cases in causes.items() if cause.endswith("?"))


def _of_parent(name: str, ours: Forest, oracle: Forest, twice: set[str], messages: Mapping[str, Said]) -> str:
    message, here, there = messages.get(name), ours.parent[name], oracle.parent[name]
    if message is None:
        return "no such message?"
    if name in twice:
        return "its Message-ID is there twice; the first one counts"
    if NEW_SUBJECT.search(message.subject) and here is not None:
        return "a new topic"
    if len(message.answers) > 1 and not message.references and here in message.answers:
        return "several ids in In-Reply-To and no References: we take them all, there the first alone"
    if here in message.answers and message.references[-1:] != [here]:
        return "In-Reply-To names another post than the end of References; we take In-Reply-To"
    if here is not None and here in message.references[-1:]:
        return "we have the parent that its own fields name; there the References of another message say otherwise"
    if there is not None and there not in message.references and there not in message.answers:
        return "its own fields do not name that parent; there the References of another message do"
    return "?"


def _of_family(
    apart: frozenset[str], here: frozenset[str], there: frozenset[str], messages: Mapping[str, Said], twice: set[str]
) -> str:
    if apart & twice:
        return "a Message-ID that is there twice"
    if any(NEW_SUBJECT.search(messages[name].subject) for name in here | there):
        return "a new topic begins a thread of its own"
    if here < there and len([name for name in there if not messages[name].parents]) > 1:
        return "somebody's References name two threads that began on their own"
    if there < here and any(one not in messages[name].parents for name in here for one in messages[name].answers):
        return "In-Reply-To names a post of the other beside References, or several posts; we take all"
    return "?"


if __name__ == "__main__":
    main()
