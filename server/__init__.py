"""Junto: one threaded discussion that every member joins by the channel they prefer."""

__version__ = "0.1.0"
