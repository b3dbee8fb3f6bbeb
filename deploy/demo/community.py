"""The sample community: who its members are, on which channel each of them is, and what they say to each other."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SLUG, NAME = "shorewatch", "Shorewatch: amateur naturalists of the tidal shore"
DOMAIN = "shore.localhost"
FORUMS = {
    "tidepools": "Tide pools: what did you find?",
    "instruments": "Instruments and methods",
}
TOPICS = frozenset({"instruments"})
"""The forums in whose room each message outside of a thread begins one; in the others it is talk."""

MAIL, ROOM, WEB = "mail", "room", "web"
CHANNELS = (MAIL, ROOM, WEB)


@dataclass(frozen=True, slots=True)
class Member:
    """One person. `address` is a mail address; for a member in the room it is the Matrix id."""

    key: str
    name: str
    channel: str
    address: str
    from_where: str


def _matrix(localpart: str) -> str:
    return f"@{localpart}:{DOMAIN}"


MEMBERS = {
    member.key: member
    for member in (
        Member("ana", "Ana Ribeiro", MAIL, "ana@maresia.example", "Setúbal"),
        Member("bruno", "Bruno Keller", ROOM, _matrix("bruno"), "Sylt"),
        Member("chidi", "Chidi Okafor", WEB, "chidi@lagoon.example", "Lagos"),
        Member("dagny", "Dagny Solheim", MAIL, "dagny@fjordpost.example", "Hardanger"),
        Member("hana", "Hana Mori", MAIL, "hana@isobe.example", "Manazuru"),
        Member("pilar", "Pilar Quintana", MAIL, "pilar@rias.example", "Vigo"),
        Member("tamsin", "Tamsin Penrose", ROOM, _matrix("tamsin"), "Perranporth"),
        Member("emile", "Émile Le Gall", ROOM, _matrix("emile"), "Douarnenez"),
        Member("noor", "Noor Haddad", WEB, "noor@lagoon.example", "Tyre"),
    )
}
OWNER = MEMBERS["dagny"]
ANA, BRUNO, CHIDI = MEMBERS["ana"], MEMBERS["bruno"], MEMBERS["chidi"]


@dataclass(frozen=True, slots=True)
class SeedPost:
    """One thing said. `to` is the index of what it answers in its thread; `days` ago, for mails only; `picture` a drawing's name.

    `was`: how a member in the room wrote it before they changed it. `signs`: what members in the room put on it, by their keys.
    """

    key: str
    by: Member
    text: str
    to: int | None
    days: float
    picture: str
    was: str
    signs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SeedThread:
    """A thread of the sample; without a subject where it begins in the room. `talk`: no thread, but messages at room level."""

    key: str
    forum: str
    subject: str
    posts: Sequence[SeedPost]
    talk: bool


def seed_threads(folder: Path = Path(__file__).with_name("seed")) -> list[SeedThread]:
    """What the members said, in the order of the files. In a thread who answers nobody by number answers the one before."""
    found = []
    for file in sorted(folder.glob("*.toml")):
        data = tomllib.loads(file.read_text("utf-8"))
        posts = [
            SeedPost(
                key=f"{file.stem}/{index}",
                by=MEMBERS[post["by"]],
                text=_unwrapped(post["text"]),
                to=post.get("to", None if data.get("talk") else index - 1) if index else None,
                days=float(post.get("days", 0)),
                picture=post.get("picture", ""),
                was=post.get("was", ""),
                signs=post.get("signs", {}),
            )
            for index, post in enumerate(data["post"])
        ]
        found.append(SeedThread(file.stem, data["forum"], data.get("subject", ""), posts, bool(data.get("talk"))))
    return found


def _unwrapped(text: str) -> str:
    """The files are wrapped for editing; what people write is wrapped where it is read. Code, lists and tables stay."""
    paragraphs = text.strip().split("\n\n")
    if "```" in text:
        return "\n\n".join(paragraphs)
    kept = ("1.", "  1.", "-", "|")
    return "\n\n".join(part if part.startswith(kept) else " ".join(part.split("\n")) for part in paragraphs)
