"""A new file that only its owner may read: configurations and backups hold passwords and keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def create(path: Path, mode: int = 0o600) -> BinaryIO:
    """Open a new file for writing. Raises FileExistsError where there is one."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o700), "wb")
