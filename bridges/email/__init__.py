"""The mail bridge: a forum is a mailing list. See README.md here."""

from bridges.email.bridge import create
from bridges.email.settings import Settings

__all__ = ["Settings", "create"]
