"""Our files as the homeserver keeps them: how large one may be, and the way there. Knows no post."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from bridges.matrix import pictures
from bridges.matrix.names import escaped, media_parts
from bridges.matrix.wire import Ghost, Trouble

UPLOAD_BYTES = 50 * 1024 * 1024  # where the homeserver does not say
LIMIT_SECONDS = 3600.0  # its admin may change it
HEAD_BYTES = 512 * 1024  # of a picture, before which its size stands; cameras put much before it
_IN_ROOMS = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that the homeserver keeps; `width` and `height` are 0 for what is no picture, or one that we cannot measure."""

    mxc: str
    width: int = 0
    height: int = 0


class Uploads:
    """Gives files to the homeserver, as the ghost who will show them."""

    def __init__(self) -> None:
        self._limit, self._asked_at = UPLOAD_BYTES, float("-inf")
        self.clock: Callable[[], float] = time.monotonic

    async def limit(self, ghost: Ghost) -> int:
        """What the homeserver takes as one file, in bytes (C-S API v1.11, 11.7.1). Raises Trouble."""
        if self.clock() - self._asked_at >= LIMIT_SECONDS:
            try:
                answer = await ghost.call("GET", "/_matrix/client/v1/media/config")
            except Trouble as trouble:
                if trouble.away or trouble.limited:
                    raise
                answer = {}
            size = answer.get("m.upload.size")
            self._limit = size if isinstance(size, int) and size > 0 else UPLOAD_BYTES
            self._asked_at = self.clock()
        return self._limit

    async def keep(self, ghost: Ghost, data: BinaryIO, filename: str, media_type: str) -> Upload:
        """Give it the bytes, piece by piece. Raises Trouble."""
        size = await asyncio.to_thread(_measured, data) if is_picture(media_type) else None
        path = f"/_matrix/media/v3/upload?filename={escaped(filename)[0]}"
        try:
            answer = await ghost.call("POST", path, data=data, media_type=_header(media_type))
        except Trouble as trouble:
            if trouble.status == 413:
                self._asked_at = float("-inf")  # it takes less than it said
            raise
        mxc = str(answer.get("content_uri", ""))
        if media_parts(mxc) is None:
            raise Trouble(502, "", "the homeserver took a file and did not say where it is")
        return Upload(mxc, *(size or (0, 0)))


def _measured(data: BinaryIO) -> tuple[int, int] | None:
    head = data.read(HEAD_BYTES)
    data.seek(0)
    return pictures.size(head)


def is_picture(media_type: str) -> bool:
    """Whether clients show it as a picture: of other kinds (SVG) most have no reader, and some refuse them."""
    return media_type in _IN_ROOMS


def _header(media_type: str) -> str:
    plain = media_type.isascii() and media_type.isprintable() and "/" in media_type
    return media_type if plain else "application/octet-stream"
