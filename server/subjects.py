"""What programs put before the subject of an answer or a forwarded mail, in many languages. Pure; imports nothing of ours.

The one place that knows it: threads, digests, commands and what we write ourselves must not differ in what they take for an answer.
"""

from __future__ import annotations

ANSWERS = frozenset(("re", "r", "aw", "antw", "sv", "vs", "odp", "ref", "rif", "res", "回复", "回覆", "答复"))
FORWARDS = frozenset(("fwd", "fw", "wg", "tr", "rv", "vl", "enc", "转发"))
MARKS_MOST = 20  # of one subject
_MARK_CHARS = 12  # of one mark, "Antw[12]" and the blanks around it


def _split(subject: str) -> tuple[str, str]:
    """The mark that the subject begins with ("" if none), and what stands after it."""
    begin = subject.lstrip()
    head = begin[:_MARK_CHARS].replace("：", ":")
    word, colon, _rest = head.partition(":")
    if not colon:
        return "", begin
    mark = word.rstrip().casefold()
    if mark.endswith(("]", ")")):  # "Re[2]:" counts the answers
        before, _open, count = mark[:-1].replace("(", "[").rpartition("[")
        mark = before if count.isdigit() else mark
    known = mark in ANSWERS or mark in FORWARDS
    return (mark, begin[len(word) + 1 :]) if known else ("", begin)


def bare(subject: str) -> str:
    """The subject without such marks and the blanks around it."""
    for _ in range(MARKS_MOST):
        mark, rest = _split(subject)
        subject = rest
        if not mark:
            break
    return subject.strip()


def is_marked(subject: str) -> bool:
    """Whether it says of itself that it is an answer's or a forwarded mail's."""
    return bool(_split(subject)[0])


def answering(subject: str) -> str:
    """The subject of an answer: with "Re: ", unless an answer's mark stands there already; "" stays ""."""
    return subject if not subject or _split(subject)[0] in ANSWERS else f"Re: {subject}"
