"""A Postfix of our own: takes mail on a free port, hands list domains to an LMTP server, keeps members' mail in Maildirs."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import smtplib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.peers import postfix_config, run
from tests.peers.net import PeerError, free_port, listens, wait_for

_DELIVERED_TO = re.compile(rb"^Delivered-To: (.*)$", re.MULTILINE)


class Mailbox:
    """The mail of one address, as virtual(8) wrote it: Return-Path, X-Original-To and Delivered-To stand on top."""

    def __init__(self, maildir: Path, address: str) -> None:
        self.address = address
        self._new = maildir / "new"
        self._address = address.casefold()
        self._mine: dict[str, bool] = {}

    def messages(self) -> list[bytes]:
        """What has arrived so far, oldest first, with LF line ends."""
        return [path.read_bytes() for path in self._paths()]

    def wait_for(self, count: int, timeout: float = 30.0) -> list[bytes]:
        """The messages once there are at least `count`; PeerError after `timeout` seconds."""
        wait_for(lambda: len(self._paths()) >= count, f"{count} messages to {self.address}", timeout)
        return self.messages()

    def _paths(self) -> list[Path]:
        found = (
            [(entry.stat().st_mtime_ns, entry.path) for entry in os.scandir(self._new)] if self._new.exists() else []
        )
        return [Path(path) for _, path in sorted(found) if self._is_mine(path)]

    def _is_mine(self, path: str) -> bool:
        if path not in self._mine:
            with open(path, "rb") as handle:
                head = _DELIVERED_TO.search(handle.read(4096))
            self._mine[path] = head is not None and head[1].decode(errors="replace").strip().casefold() == self._address
        return self._mine[path]


class Postfix:
    """A running Postfix. Domains are made per test, so that tests can share it."""

    def __init__(self, place: Path, port: int, far_port: int) -> None:
        self.place = place
        self.far_port = far_port
        self.port = port
        """SMTP in, on 127.0.0.1: the relay for Junto, and where members and strangers send their mail."""

    # -- list domains ------------------------------------------------------------------------------------------------
    def list_domain(self) -> str:
        """A domain name that no other test uses; give it to `route` once the LMTP port is known."""
        return f"l{os.urandom(4).hex()}.lists.test"

    def route(self, domain: str, lmtp_port: int) -> str:
        """Mail for the domain goes to LMTP on that port of 127.0.0.1; unknown addresses are asked for at RCPT."""
        self._map("junto_transport", domain, f"lmtp:inet:127.0.0.1:{lmtp_port}")
        self._map("junto_domains", domain, "reject_unverified_recipient")
        return domain

    # -- members' mailboxes ------------------------------------------------------------------------------------------
    def member_domain(self) -> str:
        """A new domain, every address of which has a mailbox."""
        domain = f"m{os.urandom(4).hex()}.members.test"
        self._add_members(domain)
        return domain

    def mailbox(self, address: str) -> Mailbox:
        """The mailbox of any address of a member domain, or of members.test (which all tests of a run share)."""
        return Mailbox(self.place / "mail" / address.rpartition("@")[2].casefold(), address)

    def swallow(self) -> str:
        """A new member domain whose mail is taken into the queue, and thrown away from there."""
        domain = self.member_domain()
        self._map("junto_transport", domain, "discard:")
        return domain

    def hand_over(self, domain: str, lmtp_port: int) -> None:
        """Mail for a member domain goes to an LMTP server on that port of 127.0.0.1 instead of a Maildir here."""
        self._map("junto_transport", domain, f"lmtp:inet:127.0.0.1:{lmtp_port}")

    def bounce(self, address: str, answer: str = "550 5.1.1 this mailbox is gone") -> None:
        """Mail for the address is taken and then refused further on: a DSN goes to its envelope sender."""
        self._map("far", address, answer)
        self._map("junto_transport", address, f"smtp:[127.0.0.1]:{self.far_port}")

    def defer(self, address: str, answer: str = "452 4.2.2 this mailbox is full") -> None:
        """Mail for the address is taken and stays in Postfix's queue."""
        self.bounce(address, answer)

    def refuse(self, address: str, answer: str = "550 5.1.1 no such mailbox") -> None:
        """RCPT TO for the address gets this answer (4xx or 5xx)."""
        self._map("recipients", address, answer)

    def accept(self, address: str) -> None:
        """Ends `bounce`, `defer` and `refuse`."""
        for name in ("junto_transport", "recipients"):
            self._postmap("-d", address, f"lmdb:{name}", tolerate=True)

    # -- traffic -----------------------------------------------------------------------------------------------------
    def send(self, message: bytes, sender: str, recipients: str | Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Sends the bytes by SMTP and returns the refused recipients; raises smtplib's errors when all are refused."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo("client.test")
            options = [] if sender.isascii() and message.isascii() else ["BODY=8BITMIME", "SMTPUTF8"]
            return client.sendmail(sender, recipients, message, options)

    def queue(self) -> list[str]:
        """What waits in Postfix's own queue, one JSON document a message (postqueue -j)."""
        shown = self._run("postqueue", "-j")
        return shown.stdout.splitlines()

    def flush(self) -> None:
        """Tries everything in the queue now."""
        self._run("postqueue", "-f")

    def log(self) -> str:
        """Postfix's mail log so far."""
        maillog = self.place / "maillog"
        return maillog.read_text(errors="replace") if maillog.exists() else ""

    # -- life --------------------------------------------------------------------------------------------------------
    def start(self) -> None:
        """Starts it again after `stop`, with its queue and mailboxes, on the same port."""
        run.start(self.place, [f"{_daemon_directory()}/master", "-c", str(self.place / "etc"), "-d"])
        wait_for(self._up, f"Postfix on port {self.port}")

    def stop(self) -> None:
        """Ends it: connections are refused. Tests that do this share nothing; prefer a Forwarder in front of `port`."""
        run.stop(self.place)

    def _up(self) -> bool:
        if not run.alive(self.place):
            raise PeerError(f"Postfix ended at once:\n{run.tail(self.place)}\n{self.log()[-3000:]}")
        return listens(self.port)

    def _add_members(self, domain: str) -> None:
        self._map("members", f"@{domain}", f"{domain}/")
        self._map("members", domain, "ok")

    def _map(self, name: str, key: str, value: str) -> None:
        self._postmap("-i", f"lmdb:{name}", given=f"{key} {value}\n")

    def _postmap(self, *arguments: str, given: str = "", tolerate: bool = False) -> None:
        with run.locked("postmap"):
            done = self._run("postmap", *arguments, given=given)
        if done.returncode and not tolerate:
            raise PeerError(f"postmap {' '.join(arguments)}: {done.stderr}")

    def _run(self, program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        etc = self.place / "etc"
        argv = [_program(program), "-c", str(etc), *arguments]
        return subprocess.run(argv, input=given, capture_output=True, text=True, cwd=etc, timeout=30)


def missing() -> str | None:
    """Why Postfix cannot be used here, None when it can."""
    try:
        _program("postfix")
    except PeerError:
        return "not installed"
    if not Path("/usr/lib/postfix/postfix-lmdb.so").exists() and not list(Path("/usr/lib/postfix").glob("*lmdb*")):
        return "postfix-lmdb is not installed"
    return "it starts as root only" if os.geteuid() != 0 else None


def start(place: Path) -> dict[str, Any]:
    """Configures and starts a Postfix in `place`; returns how to reach it."""
    port, far_port = free_port(), free_port()
    user = pwd.getpwnam("nobody")
    etc = postfix_config.write(place, port, far_port, user.pw_uid, user.pw_gid)
    postfix = pwd.getpwnam("postfix")
    for name, owner in (("spool", 0), ("data", postfix.pw_uid), ("mail", user.pw_uid)):
        (place / name).mkdir()
        os.chown(place / name, owner, user.pw_gid if name == "mail" else owner and postfix.pw_gid)
    for name in postfix_config.MAPS:
        _checked([_program("postmap"), "-c", str(etc), f"lmdb:{etc / name}"])
    _checked([_program("postfix"), "-c", str(etc), "check"])
    peer = Postfix(place, port, far_port)
    peer._add_members("members.test")
    peer.start()
    return {"place": str(place), "port": port, "far_port": far_port}


def _checked(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise PeerError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")


def _program(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise PeerError(f"{name} is not installed")
    return found


def _daemon_directory() -> str:
    # `postconf -d` reads no main.cf: Debian leaves none behind when it was told "No configuration".
    return subprocess.run(
        [_program("postconf"), "-dh", "daemon_directory"], capture_output=True, text=True
    ).stdout.strip()
