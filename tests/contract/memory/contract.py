"""What the contract suite needs to know of this bridge."""

SETTINGS = {"room": "hall"}
ADDRESS = "mem:ana"
UNREACHABLE = None  # no network: its far side is always there
