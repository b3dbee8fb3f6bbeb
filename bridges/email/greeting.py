"""A short visit to a mail server's door: does it greet, and what does it offer? Sends no mail; bounded in time and bytes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from server.i18n import _

SECONDS = 10.0
LINE_BYTES = 2_048  # RFC 5321 section 4.5.3.1.5 says 512
LINES = 100


@dataclass(frozen=True, slots=True)
class Visit:
    """`extensions`: the keywords of its EHLO. `problem`: "" where it answered well. `refused`: it, or its machine, said no."""

    extensions: frozenset[str] = frozenset()
    problem: str = ""
    refused: bool = False


async def visit(host: str, port: int, name: str, hello: str = "EHLO", seconds: float = SECONDS) -> Visit:
    """Say hello with that name ("LHLO" to LMTP, RFC 2033 section 4.1) and go. Raises nothing."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port, limit=LINE_BYTES)
            try:
                return await _talk(reader, writer, f"{hello} {name}")
            finally:
                writer.close()
    except TimeoutError:
        return Visit(problem=_("does not answer on port {port}").format(port=port))
    except ConnectionRefusedError:
        return Visit(problem=_("nobody listens on port {port}").format(port=port), refused=True)
    except (OSError, ValueError) as problem:
        return Visit(problem=_("port {port} cannot be used: {problem}").format(port=port, problem=problem))


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: str) -> Visit:
    code, lines = await _reply(reader)
    if code == "220":
        writer.write(f"{hello}\r\n".encode())
        code, lines = await _reply(reader)
        if code == "250":
            writer.write(b"QUIT\r\n")
            with contextlib.suppress(OSError):
                await writer.drain()
            return Visit(frozenset(line.partition(" ")[0].upper() for line in lines[1:]))
    answer = f"{code} {lines[0] if lines else ''}".strip()
    return Visit(problem=_("refuses us: {answer}").format(answer=answer or _("it hung up")), refused=True)


async def _reply(reader: asyncio.StreamReader) -> tuple[str, list[str]]:
    """The code of an answer and its lines (RFC 5321 section 4.2.1); "" where the connection ended."""
    lines: list[str] = []
    while len(lines) < LINES:
        line = (await reader.readline()).decode("ascii", "replace")
        if not line.endswith("\n"):
            return "", lines
        lines.append(line[4:].strip())
        if line[3:4] != "-":
            return line[:3], lines
    return "", lines
