"""The `[email]` section of `junto.toml`: its keys, and sentences for what is wrong in them. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator

from bridges.email.addresses import ascii_domain
from bridges.email.peers import Networks
from server.config import Section, host_port

EXAMPLE_LOGIN = "user:pw@"


@dataclass(frozen=True, slots=True)
class Relay:
    """The MTA that outgoing mail is handed to. `tls`: from the first byte (RFC 8314); `starttls`: asked for, or else no mail."""

    host: str
    port: int
    tls: bool = False
    starttls: bool = False
    user: str = ""
    password: str = ""


def relay(url: str) -> Relay:
    """Read `smtp(s)://user:pw@host:port?starttls=1`. Raises ValueError with a sentence."""
    parts = urlsplit(url)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must be an address such as smtp://127.0.0.1:25 or smtps://user:password@mail.example.org:465")
    if parts.query not in ("", "starttls=1", "starttls=0") or parts.path not in ("", "/"):
        raise ValueError("knows one addition only: ?starttls=1")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is no number from 0 to 65535") from None
    tls = parts.scheme == "smtps"
    return Relay(
        host=parts.hostname,
        port=(465 if tls else 25) if port is None else port,
        tls=tls,
        starttls=parts.query == "starttls=1" and not tls,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
    )


class Settings(Section):
    """How mail comes in and goes out. Both doors closed (`listen` and `lmtp_listen` empty) still allows sending."""

    domain: str = Field(default="localhost", description="a forum's address is SLUG@domain")
    listen: str = Field(default="127.0.0.1:8025", description='SMTP in; "" turns it off')
    lmtp_listen: str = Field(default="", description='LMTP in, behind Postfix; "" turns it off')
    relay: str = Field(
        default="smtp://127.0.0.1:25",
        description="outgoing mail goes to this MTA; smtp(s)://user:pw@host:port, ?starttls=1",
    )
    rewrite_from: Literal["auto", "always"] = Field(
        default="auto", description='or "always", for relays that refuse foreign From'
    )
    dkim_selector: str = Field(
        default="junto",
        description='what goes out is signed under this name, see `junto email dkim`; "" where the relay signs',
    )
    relay_per_hour: int = Field(default=0, ge=0, description="the relay's quota in mails; 0 is none")
    trusted_networks: tuple[str, ...] = Field(
        default=(), description="submission hosts whose mail counts as authenticated; never your own MX"
    )
    trusted_authserv_id: str = Field(
        default="", description="believe Authentication-Results of this id only; its server must remove forged ones"
    )
    rspamd: str = Field(
        default="", description='ask this rspamd about every post, such as http://127.0.0.1:11333; "" asks nobody'
    )
    resolver: str = Field(default="", description='the DNS server to ask, host:port; "" asks those of the system')

    @field_validator("domain")
    @classmethod
    def _domain(cls, value: str) -> str:
        domain = ascii_domain(value)
        if domain is None or domain.startswith("["):
            raise ValueError("must be a mail domain, for example lists.example.org, without @")
        return domain

    @field_validator("dkim_selector")
    @classmethod
    def _selector(cls, value: str) -> str:
        domain = ascii_domain(value) if value else value
        if domain is None or domain.startswith("["):
            raise ValueError('must be a name as in the DNS, for example junto or 2026-11, or "" to turn signing off')
        return domain

    @field_validator("listen", "lmtp_listen", "resolver")
    @classmethod
    def _listen(cls, value: str) -> str:
        if value:
            host_port(value)
        return value

    @field_validator("rspamd")
    @classmethod
    def _rspamd(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be an address such as http://127.0.0.1:11333")
        return value

    @field_validator("relay")
    @classmethod
    def _relay(cls, value: str) -> str:
        if EXAMPLE_LOGIN in value:
            raise ValueError("still holds the example user and password: write the real ones")
        relay(value)
        return value

    @field_validator("trusted_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ip_network(network)
            except ValueError:
                raise ValueError(f"{network} is no network; write it like 192.0.2.0/24 or 2001:db8::/48") from None
        return value

    @property
    def networks(self) -> Networks:
        """`trusted_networks`, read."""
        return tuple(ip_network(network) for network in self.trusted_networks)
