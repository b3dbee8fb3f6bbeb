"""What the contract suite needs to know of this bridge. Port 0: a free one is put in."""

SETTINGS = {"homeserver": "http://127.0.0.1:0", "server_name": "hs.test", "listen": "127.0.0.1:0"}
ADDRESS = "@ana:example.org"
TARGET = "!room:hs.test"
UNREACHABLE: dict[str, str] = {}
