"""The mail host of the sample members: takes every mail that Junto sends and keeps it on disk, a directory a mailbox."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.demo.mailread import Mail, parse

logging.getLogger("mail.log").setLevel(logging.WARNING)

Arrival = Callable[[str, Mail], None]
"""Called with the mailbox's address and the mail, after it is on disk."""

_SAFE = re.compile(r"[^a-z0-9@._+-]")


class PostOffice:
    """All mailboxes. A mailbox comes to be when the first mail for it arrives, or is sent from it."""

    def __init__(self, root: Path, arrival: Arrival | None = None) -> None:
        self.root = root
        self.arrival = arrival
        self._boxes: dict[str, list[Mail]] = {}
        for file in sorted(root.glob("*/*.eml")):
            self._boxes.setdefault(file.parent.name, []).append(_read(file))

    def box(self, address: str) -> list[Mail]:
        """The mails of an address, the sent ones among them, as they came."""
        return self._boxes.get(_folder(address), [])

    def addresses(self) -> list[str]:
        """Every mailbox that holds something."""
        return sorted(self._boxes)

    def keep(self, address: str, data: bytes, sent: bool = False) -> Mail:
        """Stores one mail durably and files it; `sent` marks a copy of what the owner wrote."""
        folder = self.root / _folder(address)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = time.time_ns()
        file = folder / f"{stamp}{'-sent' if sent else ''}.eml"
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        fresh.rename(file)
        mail = parse(data, file.stem, stamp / 1e9, sent)
        self._boxes.setdefault(folder.name, []).append(mail)
        if self.arrival:
            self.arrival(address, mail)
        return mail


def _folder(address: str) -> str:
    return _SAFE.sub("_", address.lower()).lstrip(".")


def _read(file: Path) -> Mail:
    return parse(file.read_bytes(), file.stem, int(file.stem.partition("-")[0]) / 1e9, file.stem.endswith("-sent"))


class Catcher:
    """The SMTP side: every address is known here, 250 means that the mail is on disk."""

    def __init__(self, office: PostOffice, port: int) -> None:
        self.office = office
        self.port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listens on 127.0.0.1."""

        def session() -> SMTP:
            return SMTP(self, hostname="catcher.localhost", enable_SMTPUTF8=True, data_size_limit=64 << 20)

        SMTP.line_length_limit = 1 << 20  # it is for the reader to cope with long lines, not for the post office
        self._server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Listens no more; what is on disk stays."""
        if self._server:
            self._server.close()
            self._server = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """One copy for each receiver, with the two lines that a mail host adds (RFC 5321 section 4.4)."""
        content: Any = envelope.content
        for address in envelope.rcpt_tos:
            head = f"Return-Path: <{envelope.mail_from or ''}>\r\nDelivered-To: {address}\r\n"
            self.office.keep(address, head.encode() + content)
        return "250 2.0.0 kept"
