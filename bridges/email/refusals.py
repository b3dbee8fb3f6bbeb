"""What a refusal says of the mailbox: status codes (RFC 3463), reply codes (RFC 5321) and phrases. Pure.

A code alone tells little: 5.7.1 is said of spam and of members who left, 5.1.1 of mailboxes that are full. So words count before codes,
and a mailbox is given up for words or a code that say so, never for a mere 5.
"""

from __future__ import annotations

from bridges.email.refusal_words import AFTER_DATA, AT_RCPT, FULL, GONE, MISSED, OURS, PIPELINED, VAGUE
from server.bridge import Refusal

WORDS_CHARS = 8_000  # looked at

_GONE_CODES = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4", "5.1.351"})
_OURS_CODES = frozenset({"5.1.7", "5.1.8", "5.2.3", "5.3.4"})


def judge(status: str, words: str, context: str = "") -> Refusal:
    """Judge one refusal of one recipient.

    `status`: the enhanced code, "" if none was said; `words`: what the far side said; `context`: what the mail system that tells of it
    says around that. It is asked where the words are not clear.
    """
    said, around = _bare(words), _bare(context)
    code = status if _is_specific(status) else (code_in(words) or status or code_in(context))
    if code in _OURS_CODES:
        return Refusal.OURS
    heard = _heard(said, code)
    if any(phrase in around for phrase in FULL):  # often said with 5.1.1
        return Refusal.MISSED
    if heard is None and code not in _GONE_CODES:
        heard = _heard(around, code)
    if heard is Refusal.GONE and code not in _GONE_CODES and _is_doubtful(code, said, around):
        return Refusal.MISSED
    if heard is not None:
        return heard
    if code in _GONE_CODES:
        return Refusal.GONE
    return Refusal.OURS if code.startswith(("5.6.", "5.7.")) else Refusal.MISSED


def _heard(text: str, code: str) -> Refusal | None:
    """What the phrases of a text say, None if nothing."""
    if any(phrase in text for phrase in OURS):
        return Refusal.OURS
    retried = code.startswith("4.") and code != "4.1.1"  # who is unknown for days is unknown
    if retried or code == "5.2.0" or any(phrase in text for phrase in FULL + MISSED):
        return Refusal.MISSED
    return Refusal.GONE if any(phrase in text for phrase in GONE) else None


def _is_doubtful(code: str, said: str, around: str) -> bool:
    """Whether "unknown" may be only a way to say no.

    It is without any code, with a code of policy, after the recipient had been taken, and with a code that says that the mailbox exists
    (RFC 3463 section 3.3) where the recipient was not what was refused.
    """
    both = f"{said} {around}"
    clear = said if any(phrase in said for phrase in GONE) else both
    if any(phrase in clear and phrase not in VAGUE for phrase in GONE):
        return False
    exists = code.startswith(("5.2.", "5.3.")) and not any(phrase in both for phrase in AT_RCPT)
    return not code or code.startswith("5.7.") or exists or _after_data(both)


def _after_data(text: str) -> bool:
    """Whether the refusal came after the message itself; where the recipient was refused before, DATA was only pipelined (RFC 2920)."""
    return any(phrase in text for phrase in AFTER_DATA) and not any(phrase in text for phrase in PIPELINED)


def says_why(words: str) -> bool:
    """Whether a text has any of the words by which mail systems refuse."""
    text = _bare(words)
    return any(phrase in text for phrases in (OURS, FULL, MISSED, GONE) for phrase in phrases)


def code_in(words: str) -> str:
    """The first enhanced status code of a refusal in a text (RFC 3463 section 2), else the class of a bare reply code.

    Of a text that tells of no refusal the first code, "" if there is none.
    """
    pieces = words[:WORDS_CHARS].translate(_APART).split()
    found = [piece.rstrip(".") for piece in pieces if _is_enhanced(piece.rstrip("."))]
    for piece in found:
        if piece[0] in "45":
            return piece
    for piece in pieces:
        if len(piece) == 3 and piece.isascii() and piece.isdigit() and piece[0] in "45" and piece[1] in "012345":
            return f"{piece[0]}.0.0"  # RFC 5321 section 4.2.1
    return found[0] if found else ""


def _is_enhanced(piece: str) -> bool:
    numbers = piece.split(".")
    return len(numbers) == 3 and numbers[0] in ("2", "4", "5") and all(_short(number) for number in numbers)


_APART = str.maketrans(dict.fromkeys("#()[]<>,;:-'\"", " "))


def _short(number: str) -> bool:
    return number.isascii() and number.isdigit() and len(number) <= 3


def _is_specific(status: str) -> bool:
    return "." in status and not status.endswith(".0")


def _bare(words: str) -> str:
    """In lower case, one space between words, without addresses and the paths of links, whose names would be taken for words."""
    kept = []
    for word in words[:WORDS_CHARS].lower().split():
        _, is_link, rest = word.partition("://")
        if is_link:
            kept.append(rest.partition("/")[0])
        elif "@" not in word:
            kept.append(word)
    return " ".join(kept)
