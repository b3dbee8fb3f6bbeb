"""What a moderator's answer says: a verb, which of the posts, a reason. Pure.

The verbs are taken in English and in the language that the mail was written in; the first word that was written counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from server import limits
from server.i18n import _, speaking

APPROVE, REJECT, BAN, CANCEL = "approve", "reject", "ban", "cancel"
_ENGLISH = {
    "approve": APPROVE,
    "approved": APPROVE,
    "accept": APPROVE,
    "publish": APPROVE,
    "reject": REJECT,
    "rejected": REJECT,
    "refuse": REJECT,
    "ban": BAN,
    "cancel": CANCEL,
}
_AROUND = " .,;:!?\"'“”„«»()<>*_"
REASON_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`which`: places in the list of posts, from 0."""

    verb: str
    which: tuple[int, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unclear:
    """What was not understood, as a sentence."""

    why: str


def read(words: tuple[str, ...], names: list[str], language: str) -> Verdict | Unclear:
    """The verdict on the posts of these names. Of several the answer must say which."""
    if not words:
        return Unclear(_("Your answer has no word of its own."))
    verb = _verbs(language).get(words[0].strip(_AROUND).casefold())
    if verb is None:
        return Unclear(_("“{word}” is no word that decides anything.").format(word=words[0][:80]))
    which, rest = _which(words[1:], names, many=verb in (APPROVE, BAN, CANCEL), language=language)
    if not which:
        if len(names) > 1:
            return Unclear(_("There are {count} posts: please say which.").format(count=len(names)))
        which = (0,)
    return Verdict(verb, which, " ".join(rest).strip()[:REASON_CHARS] if verb == REJECT else "")


def _verbs(language: str) -> dict[str, str]:
    with speaking(language):
        own = {_("approve"): APPROVE, _("reject"): REJECT, _("ban"): BAN, _("cancel"): CANCEL}
    return _ENGLISH | {word.casefold(): verb for word, verb in own.items()}


def _which(
    words: tuple[str, ...], names: list[str], *, many: bool, language: str
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The places that the first words name ("2", "1,3", "all", "H-abcd"), and the other words. `many`: more than one word may."""
    found: list[int] = []
    taken = 0
    for word in words:
        places = _places(word, names, language)
        if not places or (found and not many):
            break
        found += places
        taken += 1
    return tuple(dict.fromkeys(found)), words[taken:]


def _places(word: str, names: list[str], language: str) -> list[int]:
    plain = word.strip(_AROUND).casefold()
    with speaking(language):
        every = (_("all"), "all")
    if plain in every:
        return list(range(len(names)))
    found = []
    for piece in plain.split(","):
        number = limits.whole_number(piece) or 0
        named = [place for place, name in enumerate(names) if name.casefold() == piece]
        if not named and not 0 < number <= len(names):
            return []
        found += named or [number - 1]
    return found
