"""Message-ID, In-Reply-To, References (RFC 5322 section 3.6.4) as they are seen in the wild. Pure; never raises."""

from __future__ import annotations

from server import limits

READ_BYTES = 128 * 1024  # of one field
ID_BYTES = 250  # of one id with its brackets (RFC 5536 section 3.1.3)
_BLANKS = {ord(" "): None, ord("\t"): None}


def ids(value: bytes) -> list[str]:
    """The ids of a field with their angle brackets, in order, once each.

    Folded inside, without brackets where the field is a single word with an @, quoted, with phrases around: all are seen. An id
    that is longer than ID_BYTES or holds a control character is none.
    """
    data = value[:READ_BYTES]
    found: dict[str, None] = {}
    at = 0
    while (begin := data.find(b"<", at)) >= 0:
        end = data.find(b">", begin)
        if end < 0:
            break
        inner = data[begin + 1 : end]
        at = end + 1
        nested = inner.rfind(b"<")
        one = _one(inner[nested + 1 :])
        if one:
            found.setdefault(one)
    if not found and b"<" not in data and b"@" in data:
        words = data.split()
        one = _one(words[0]) if len(words) == 1 else None
        if one:
            found.setdefault(one)
    return list(found)


def _one(inner: bytes) -> str | None:
    text = inner.decode("utf-8", "replace").translate(_BLANKS)  # left there by folding, RFC 5322 section 2.2.3
    if not text or not text.isprintable() or "<" in text or ">" in text:
        return None
    return f"<{text}>" if len(text.encode()) + 2 <= ID_BYTES else None


def parents(in_reply_to: list[bytes], references: list[bytes]) -> list[str]:
    """What a message answers, nearest first: In-Reply-To, then References from the end; at most `limits.REFERENCES` ids.

    Of more than that the first (the root) and the last are kept.
    """
    nearest = [one for value in in_reply_to for one in ids(value)]
    chain = [one for value in references for one in ids(value)]
    if chain[-1:] and chain[-1] in nearest:  # who answers several at once: the one that References goes on from
        nearest.insert(0, chain[-1])
    ordered = list(dict.fromkeys([*nearest[:10], *reversed(chain)]))
    if len(ordered) > limits.REFERENCES:
        ordered = [*ordered[: limits.REFERENCES - 1], ordered[-1]]
    return ordered
