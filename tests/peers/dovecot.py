"""A Dovecot of our own: takes mail by LMTP from Postfix, and members read it over IMAP, as their mail programs do."""

from __future__ import annotations

import contextlib
import imaplib
import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.peers import run
from tests.peers.net import PeerError, free_port, listens, wait_for

PASSWORD = "tide"  # of every mailbox

_CONFIG = """\
base_dir = {place}/run
state_dir = {place}/state
log_path = {place}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
default_internal_group = dovecot
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_uid = {uid}
mail_gid = {gid}
protocol lmtp {{
  auth_username_format = %Lu
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={place}/mail/%d/%n allow_all_users=yes
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Imap:
    """One mailbox, as a mail program sees it."""

    def __init__(self, client: imaplib.IMAP4) -> None:
        self._client = client

    def messages(self) -> list[bytes]:
        """The messages of the inbox, whole, oldest first."""
        self._client.select("INBOX", readonly=True)
        found = []
        for number in self._ask("SEARCH", "ALL")[0].split():
            answer = self._client.fetch(number.decode(), "(BODY.PEEK[])")[1][0]
            assert isinstance(answer, tuple)
            found.append(answer[1])
        return found

    def threads(self) -> str:
        """How the server threads the inbox by references alone (RFC 5256 names the algorithm's family)."""
        self._client.select("INBOX", readonly=True)
        return self._client.uid("THREAD", "REFS", "UTF-8", "ALL")[1][0].decode()

    def _ask(self, *words: str) -> list[bytes]:
        return [line or b"" for line in self._client._simple_command(*words) and self._client.response(words[0])[1]]


class Dovecot:
    """A running Dovecot; every address of every domain has a mailbox."""

    def __init__(self, imap_port: int, lmtp_port: int) -> None:
        self.imap_port, self.lmtp_port = imap_port, lmtp_port

    @contextlib.contextmanager
    def mailbox(self, address: str) -> Iterator[Imap]:
        """The mailbox over IMAP, logged in for as long as the block lasts."""
        with imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=30) as client:
            client.login(address, PASSWORD)
            yield Imap(client)

    def wait_for(self, address: str, count: int, timeout: float = 30.0) -> list[bytes]:
        """The messages of a mailbox once there are at least `count`."""
        with self.mailbox(address) as box:
            wait_for(lambda: len(box.messages()) >= count, f"{count} messages to {address}", timeout, every=0.2)
            return box.messages()


def missing() -> str | None:
    """Why Dovecot cannot be used here, None when it can."""
    if _program() is None or not Path("/usr/lib/dovecot/lmtp").exists():
        return "not installed (dovecot-imapd and dovecot-lmtpd)"
    return "it starts as root only" if os.geteuid() != 0 else None


def start(place: Path) -> dict[str, Any]:
    """Configures and starts a Dovecot in `place`; returns how to reach it."""
    nobody = pwd.getpwnam("nobody")
    imap, lmtp = free_port(), free_port()
    names = {"place": place, "imap": imap, "lmtp": lmtp, "password": PASSWORD}
    config = place / "dovecot.conf"
    config.write_text(_CONFIG.format(**names, uid=nobody.pw_uid, gid=nobody.pw_gid))
    for name in ("mail", "run", "state"):
        (place / name).mkdir()
    os.chown(place / "mail", nobody.pw_uid, nobody.pw_gid)
    program = _program()
    assert program is not None
    run.start(place, [program, "-F", "-c", str(config)])

    def up() -> bool:
        if not run.alive(place):
            raise PeerError(f"Dovecot ended at once:\n{run.tail(place)}")
        return listens(imap) and listens(lmtp)

    wait_for(up, "Dovecot")
    return {"imap_port": imap, "lmtp_port": lmtp}


def _program() -> str | None:
    return shutil.which("dovecot", path="/usr/sbin:/usr/bin:/sbin:/bin")
