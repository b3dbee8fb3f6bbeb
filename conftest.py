"""Gives every test, also those that lie in a bridge's folder, the real peers of `tests.peers`."""

pytest_plugins = ["tests.peers.fixtures"]
