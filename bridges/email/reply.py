"""What somebody wrote in answer to a mail of ours: the words of the first line that is theirs. Pure.

That is the first line that is no quote and does not introduce one. It is the whole line that they typed: what their program broke at
its width is put together again. Nothing is guessed beyond that, for a word that acts must not be found where nobody wrote it.
"""

from __future__ import annotations

YES = frozenset(("yes", "yep", "ok", "okay", "ja", "oui", "sí", "si", "sim", "tak", "да", "так", "是", "好"))
NO = frozenset(
    (
        *("no", "nope", "not", "never", "don't", "didn't", "stop", "cancel", "remove", "unsubscribe", "spam", "wrong"),
        *("nein", "nicht", "kein", "keine", "non", "pas", "nej", "nee", "niet", "ikke", "inte", "não", "nie", "nunca"),
        *("нет", "не", "ні", "否", "不"),
    )
)
_AROUND = ".,;:!?*\"'()"
LINES = 200  # looked at
WORDS = 400
WRAPPED = 55  # a line this long was ended by the mail program and not by a person


def first_words(text: str) -> tuple[str, ...]:
    """The words; none where nothing but quotes and blanks stands there."""
    lines = [line.strip() for line in text.splitlines()[:LINES]]
    place = next((at for at, line in enumerate(lines) if _theirs(lines, at)), None)
    if place is None:
        return ()
    words = lines[place].split()
    while len(lines[place]) >= WRAPPED and place + 1 < len(lines) and _goes_on(lines[place + 1]):
        place += 1
        words += lines[place].split()
    return tuple(words[:WORDS])


def declines(text: str) -> bool:
    """Whether its first line holds a word that says no and does not begin with one that says yes.

    Wrong in doubt: "no problem" is asked once more, "I did not ask for this" must not make anybody a member.
    """
    words = [word.strip(_AROUND).replace("’", "'").casefold() for word in first_words(text)]
    return bool(words) and words[0] not in YES and not NO.isdisjoint(words)


def _goes_on(line: str) -> bool:
    return bool(line) and not line.startswith(">") and line not in ("--", "-- ")


def _theirs(lines: list[str], at: int) -> bool:
    line = lines[at]
    if not line or line.startswith(">"):
        return False
    return not _introduces(lines, at)


def _introduces(lines: list[str], at: int) -> bool:
    """Whether it is of "On Monday Ana wrote:" above a quote, which may be broken into up to three lines."""
    for end in range(at, min(at + 3, len(lines))):
        if not lines[end] or lines[end].startswith(">"):
            return False
        if lines[end].endswith(":"):
            following = next((line for line in lines[end + 1 :] if line), "")
            return following.startswith(">")
    return False
