"""What the contract suite needs to know of this bridge. Port 0: a free one is put in."""

SETTINGS = {"domain": "lists.test", "listen": "127.0.0.1:0", "lmtp_listen": ""}
ADDRESS = "ana@example.org"
TARGET = "bo@example.org"
UNREACHABLE = {"relay": "smtp://127.0.0.1:0"}
