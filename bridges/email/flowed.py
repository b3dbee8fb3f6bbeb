"""format=flowed (RFC 3676): the paragraphs of a text whose lines end softly. Pure."""

from __future__ import annotations

SIGNATURE = "-- "  # RFC 3676 section 4.3: never flowed


def unflow(text: str, delsp: bool) -> str:
    """The text with each paragraph on one line; quoted paragraphs begin with their ">" signs and a space.

    `delsp` as the parameter says (RFC 3676 section 4.2): the space that marks a soft line end is no part of the text.
    """
    out: list[str] = []
    paragraph: list[str] = []
    depth = 0
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        here, body = _quoted(line)
        # section 4.5: a paragraph ends where the depth changes; an empty line that follows a spurious space stays one
        if paragraph and (here != depth or body in (SIGNATURE, "")):
            out.append(_line(depth, "".join(paragraph)))
            paragraph = []
        depth = here
        flows = body.endswith(" ") and body != SIGNATURE
        paragraph.append(body[:-1] if flows and delsp else body)
        if not flows:
            out.append(_line(depth, "".join(paragraph)))
            paragraph = []
    if paragraph:
        out.append(_line(depth, "".join(paragraph)))
    return "\n".join(out)


def _quoted(line: str) -> tuple[int, str]:
    """Quote depth and the rest without its stuffed space (RFC 3676 section 4.4)."""
    body = line.lstrip(">")
    depth = len(line) - len(body)
    return depth, body.removeprefix(" ")


def _line(depth: int, text: str) -> str:
    return f"{'>' * depth} {text}" if depth else text
