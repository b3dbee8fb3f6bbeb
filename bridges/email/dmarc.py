"""What a domain says about mail in its name (RFC 9989): its policy, and which other domains speak for it. Asks the DNS, decides nothing.

There is no list of public suffixes here: the tree walk finds where an organisation's names begin. A DNS that does not answer raises
`Temporary`; it is never "no policy".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bridges.email.addresses import ascii_domain
from bridges.email.dns import Resolver

Wish = Literal["none", "quarantine", "reject"]
QUERIES = 8  # of one walk (RFC 9989 section 4.10)
RECORD_BYTES = 4_096
_WISHES: dict[str, Wish] = {"none": "none", "quarantine": "quarantine", "reject": "reject"}
_MILDER: dict[Wish, Wish] = {"reject": "quarantine", "quarantine": "none", "none": "none"}


@dataclass(frozen=True, slots=True)
class Record:
    """A DMARC policy record, its tags read (RFC 9989 section 4.7)."""

    domain: str
    p: Wish
    sp: Wish
    np: Wish
    psd: str = "u"
    testing: bool = False
    strict_dkim: bool = False
    strict_spf: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """What the author's domain asks for mail that fails. `wish` is what it asks, `testing` that it is not meant yet (t=y)."""

    domain: str
    wish: Wish
    testing: bool = False
    strict_dkim: bool = False
    strict_spf: bool = False

    @property
    def enforces(self) -> bool:
        """Whether it wants such mail kept out."""
        return self.wish != "none" and not self.testing

    @property
    def harms(self) -> bool:
        """Whether receivers would put such mail aside: t=y asks them for one step less (RFC 9989 section 4.7)."""
        return (_MILDER[self.wish] if self.testing else self.wish) != "none"


class Dmarc:
    """Asks by a resolver, which remembers the answers."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def policy(self, author: str) -> Policy | None:
        """The policy for mail whose From is of that domain; None where it has none (section 4.10.1). Raises Temporary."""
        own = await self._record(author)
        if own is not None:
            return _policy(own, own.p)
        walked = await self._walk(author)
        organization = _organization(author, walked)
        above = walked.get(organization) or next((one for one in walked.values() if one.psd == "y"), None)
        if above is None:
            return None
        exists = above.np == above.sp or (await self._resolver.ask(author, "A")).exists
        return _policy(above, above.sp if exists else above.np)

    async def organization(self, domain: str) -> str:
        """The organizational domain (section 4.10.2). Raises Temporary."""
        return _organization(domain, await self._walk(domain))

    async def aligned(self, one: str, author: str, strict: bool) -> bool:
        """Whether `one` speaks for mail of `author` (section 4.4.1). Raises Temporary."""
        if one == author:
            return True
        if strict or not _related(one, author):
            return False
        return await self.organization(one) == await self.organization(author)

    async def _walk(self, domain: str) -> dict[str, Record]:
        """The records from the domain up to its top (section 4.10), by domain."""
        found: dict[str, Record] = {}
        for step in steps(domain):
            record = await self._record(step)
            if record is not None:
                found[step] = record
                if record.psd in ("y", "n"):
                    break
        return found

    async def _record(self, domain: str) -> Record | None:
        texts = await self._resolver.txt(f"_dmarc.{domain}")
        ours = [text for text in texts if _is_dmarc(text)]
        return read(ours[0], domain) if len(ours) == 1 else None  # several are as none (section 4.10)


def _related(one: str, other: str) -> bool:
    """Whether they can have an organizational domain in common at all; spares questions about everybody else's domains."""
    return one.rpartition(".")[2] == other.rpartition(".")[2]


def steps(domain: str) -> list[str]:
    """The names that a walk asks, the domain first: at most eight, of a long name its lowest and then its last seven labels."""
    labels = domain.split(".")
    found = [domain]
    labels = labels[1:] if len(labels) < QUERIES else labels[1 - QUERIES :]
    while labels:
        found.append(".".join(labels))
        labels = labels[1:]
    return found


def _organization(domain: str, walked: dict[str, Record]) -> str:
    for step, record in walked.items():
        if record.psd == "n":
            return step
        if record.psd == "y" and step != domain:  # one label below it on the way to the domain
            return ".".join(domain.split(".")[-1 - len(step.split(".")) :])
    return next(reversed(walked), domain)  # the record with the fewest labels


def _policy(record: Record, wish: Wish) -> Policy:
    return Policy(record.domain, wish, record.testing, record.strict_dkim, record.strict_spf)


# Reading a record -----------------------------------------------------------------------------------------------------
def _is_dmarc(text: bytes) -> bool:
    """Whether it begins with the version tag (section 4.7); case counts there."""
    key, equals, rest = text.partition(b"=")
    return key.strip(b" \t") == b"v" and bool(equals) and rest.partition(b";")[0].strip(b" \t") == b"DMARC1"


def read(text: bytes, domain: str) -> Record | None:
    """The record's tags; None for one that asks nothing. Unknown tags are passed over, so are those of RFC 7489 that are gone."""
    tags: dict[str, str] = {}
    for piece in text[:RECORD_BYTES].decode("ascii", "replace").split(";"):
        key, equals, value = piece.partition("=")
        if equals:
            tags.setdefault(key.strip().lower(), value.strip())
    wishes = {key: _WISHES.get(tags[key].lower()) for key in ("p", "sp", "np") if key in tags}
    p = wishes.get("p")
    if p is None or None in wishes.values():
        # section 4.10.1: with an address for reports it counts as p=none, else as no record
        if "mailto:" not in tags.get("rua", "").lower():
            return None
        p, wishes = "none", {}
    sp = wishes.get("sp") or p
    return Record(
        domain=domain,
        p=p,
        sp=sp,
        np=wishes.get("np") or sp,
        psd=tags.get("psd", "u").lower(),
        testing=tags.get("t", "n").lower() == "y",
        strict_dkim=tags.get("adkim", "r").lower() == "s",
        strict_spf=tags.get("aspf", "r").lower() == "s",
    )


def domain_of(text: str) -> str | None:
    """A domain as it is compared here, or None if it can be none."""
    domain = ascii_domain(text)
    return None if domain is None or domain.startswith("[") else domain
