"""Pictures drawn by hand into PNG bytes (RFC 2083) with the standard library: the seed's tide curve and its bar chart."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence

Colour = tuple[int, int, int]

PAPER: Colour = (250, 247, 240)
INK: Colour = (38, 50, 56)
FAINT: Colour = (216, 211, 199)
SEA: Colour = (192, 215, 217)
DEEP: Colour = (37, 99, 122)
CORAL: Colour = (214, 106, 78)


class Canvas:
    """A grid of RGB pixels, the origin at the top left."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [bytearray(bytes(PAPER) * width) for _ in range(height)]

    def dot(self, x: int, y: int, colour: Colour) -> None:
        """One pixel; outside of the canvas nothing happens."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self.rows[y][3 * x : 3 * x + 3] = bytes(colour)

    def box(self, left: int, top: int, right: int, bottom: int, colour: Colour) -> None:
        """A filled rectangle, the right and bottom edges excluded."""
        left, right = max(0, left), min(self.width, right)
        for y in range(max(0, top), min(self.height, bottom)):
            self.rows[y][3 * left : 3 * right] = bytes(colour) * max(0, right - left)

    def png(self) -> bytes:
        """The picture as a PNG file."""
        raw = b"".join(b"\0" + bytes(row) for row in self.rows)
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        chunks = ((b"IHDR", head), (b"IDAT", zlib.compress(raw, 9)), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def tide_height(hours: float) -> float:
    """Metres above the mean of a made-up harbour: M2, S2, K1 and O1 with round numbers."""
    waves = ((1.62, 12.4206, 0.4), (0.55, 12.0, 1.1), (0.11, 23.9345, 2.0), (0.07, 25.8193, 0.7))
    return sum(size * math.cos(2 * math.pi * hours / period - phase) for size, period, phase in waves)


def _curve(canvas: Canvas, height: Callable[[int], float], left: int, right: int, low: int) -> None:
    before = height(left)
    for x in range(left, right):
        now = height(x)
        top, bottom = sorted((round(before), round(now)))
        canvas.box(x, round(now), x + 1, low, SEA)
        canvas.box(x, top - 1, x + 1, bottom + 2, DEEP)
        before = now


def tide_curve() -> bytes:
    """Three days of tide, the hours under half a metre below the mean marked as time on the shore."""
    width, height, left, right, middle = 760, 320, 40, 740, 150
    canvas = Canvas(width, height)
    for step in range(-2, 3):
        canvas.box(left, middle - 50 * step, right, middle - 50 * step + 1, FAINT)
    for day in range(4):
        x = left + day * (right - left) // 3
        canvas.box(x, 30, x + 1, 280, FAINT)
    hours = 72 / (right - left)
    _curve(canvas, lambda x: middle - 50 * tide_height((x - left) * hours), left, right, 270)
    for x in range(left, right):
        if tide_height((x - left) * hours) < -1.5:
            canvas.box(x, 278, x + 1, 286, CORAL)
    canvas.box(left, 270, right, 272, INK)
    canvas.box(left - 2, 30, left, 272, INK)
    return canvas.png()


def bars(values: Sequence[float]) -> bytes:
    """A bar chart: one bar a value, the highest fills the height."""
    width, height, low = 560, 300, 270
    canvas = Canvas(width, height)
    for step in range(1, 5):
        canvas.box(30, low - 58 * step, 540, low - 58 * step + 1, FAINT)
    slot = 510 // max(1, len(values))
    for index, value in enumerate(values):
        top = low - round(232 * value / max(values))
        canvas.box(38 + index * slot, top, 38 + index * slot + slot - 16, low, DEEP if value < max(values) else CORAL)
    canvas.box(30, low, 540, low + 2, INK)
    return canvas.png()
