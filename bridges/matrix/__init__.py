"""The Matrix bridge: a forum is a room, a thread is an `m.thread`, a post is one or a few events.

Its own map is README.md beside this file. It knows the server's port and ground, and nothing else of the server.
"""

from bridges.matrix.bot import BotBridge
from bridges.matrix.bridge import MatrixBridge
from bridges.matrix.settings import Settings
from server.bridge import Bridge, House

__all__ = ["BotBridge", "MatrixBridge", "Settings", "create"]


def create(house: House, settings: Settings) -> Bridge | None:
    """The bridge in the mode that is set, or None where no homeserver is."""
    if not settings.homeserver:
        return None
    return BotBridge(house, settings) if settings.mode == "bot" else MatrixBridge(house, settings)
