"""The key of our DKIM signature: a file that only its owner may read, and the DNS record that shows its public half."""

from __future__ import annotations

import os
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from server.errors import ConfigError
from server.i18n import _

BITS = 2048  # RFC 8301 section 3.2; longer ones do not fit into one DNS answer by UDP everywhere
STRING = 255  # bytes of one string in a TXT record (RFC 1035 section 3.3)


@dataclass(frozen=True, slots=True)
class Key:
    """The private key and the selector that it is published under."""

    selector: str
    private: rsa.RSAPrivateKey


def path(data_dir: str, selector: str) -> Path:
    """Where the selector's key is: another selector is another key, so that both are valid while the DNS changes."""
    return Path(data_dir) / "keys" / f"dkim-{selector}.pem"


def ensure(file: Path, selector: str) -> Key:
    """The key in the file, which is made now if it is not there. Raises ConfigError if it cannot be read."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not file.exists():
        _make(file)
    try:
        private = serialization.load_pem_private_key(file.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as problem:
        sentence = _("{path} cannot be read as a DKIM key: {problem}; mend it, or move it away and a new one is made.")
        raise ConfigError(sentence.format(path=file, problem=problem)) from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise ConfigError(_("{path} is no RSA key; move it away and a new one is made.").format(path=file))
    return Key(selector, private)


def _make(file: Path) -> None:
    """Written whole beside its place and then linked there: of two that make one at once, both use the first."""
    pem = rsa.generate_private_key(65537, BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(pem)
        written.flush()
        os.fsync(written.fileno())
    try:
        os.link(new, file)
    except FileExistsError:
        pass
    finally:
        new.unlink()


@dataclass(frozen=True, slots=True)
class Record:
    """A TXT record (RFC 6376 section 3.6.1)."""

    name: str
    value: str

    def zone_line(self) -> str:
        """As a line of a zone file; a value longer than a string is several of them (RFC 1035 section 5.1)."""
        strings = [self.value[at : at + STRING] for at in range(0, len(self.value), STRING)]
        return f"{self.name}. IN TXT ( " + " ".join(f'"{one}"' for one in strings) + " )"


def record(key: Key, domain: str) -> Record:
    """What the domain's DNS must say for our signatures to be believed."""
    public = key.private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return Record(f"{key.selector}._domainkey.{domain}", f"v=DKIM1; k=rsa; p={b64encode(public).decode()}")


def advice(key: Key, domain: str) -> str:
    """What the operator publishes, in a form to paste."""
    wanted = record(key, domain)
    return _("""\
Mail of this server is signed for {domain}. Publish this record, once for each mail domain of your forums (with that domain in its
name), and your own relay need not sign.

As a line of a zone file:

{line}

In a form on the web: type TXT, name {name}, value

{value}

If your relay signs, turn this signature off: dkim_selector = "" under [email].
""").format(domain=domain, line=wanted.zone_line(), name=wanted.name, value=wanted.value)
