"""What the contract suite needs to know of this bridge as a bot."""

from pathlib import Path

from bridges.matrix import account
from bridges.matrix.tests.told import US, USER

SETTINGS = {"homeserver": "http://127.0.0.1:0", "mode": "bot", "user": USER, "token_file": "token.json"}
ADDRESS = "@ana:example.org"
TARGET = "!room:hs.test"
UNREACHABLE: dict[str, str] = {}


def set_up(place: Path) -> None:
    """The account has logged in."""
    account.write(place / "token.json", US)
