"""The Matrix bridge: a forum is a room, a thread is an `m.thread`, a post is one or a few events.

Its own map is README.md beside this file. It knows the server's port and ground, and nothing else of the server.
"""

from bridges.matrix.bridge import MatrixBridge, create
from bridges.matrix.settings import Settings

__all__ = ["MatrixBridge", "Settings", "create"]
