"""The section of the configuration: what it takes, and what it says of what it does not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bridges.email.peers import within
from bridges.email.settings import Relay, Settings, relay
from server.config import example


def test_every_key_has_a_default() -> None:
    settings = Settings()
    assert (settings.domain, settings.listen, settings.lmtp_listen) == ("localhost", "127.0.0.1:8025", "")
    assert "trusted_networks = []" in example({"email": Settings})


def test_both_doors_may_be_closed() -> None:
    assert Settings(listen="", lmtp_listen="").listen == ""


def test_the_domain_is_kept_as_it_goes_on_the_wire() -> None:
    assert Settings(domain="Bücher.example").domain == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("domain", "tides@lists.test", "without @"),
        ("domain", "", "mail domain"),
        ("domain", "[192.0.2.1]", "mail domain"),
        ("listen", "8025", "host:port"),
        ("lmtp_listen", "localhost", "host:port"),
        ("relay", "mail.example.org", "smtp://127.0.0.1:25"),
        ("relay", "smtp://user:pw@host:25", "example user"),
        ("relay", "smtp://host:99999", "65535"),
        ("relay", "smtp://host?tls=yes", "starttls=1"),
        ("rewrite_from", "never", "always"),
        ("relay_per_hour", -1, "0"),
        ("trusted_networks", ["192.0.2.1/24"], "192.0.2.0/24"),
        ("trusted_networks", ["home"], "no network"),
        ("rspamd", "127.0.0.1:11333", "http://127.0.0.1:11333"),
        ("rspamd", "http://", "http://127.0.0.1:11333"),
        ("color", "blue", "extra"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write(key: str, value: object, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({key: value})
    assert sentence in str(caught.value).lower() or sentence in str(caught.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("smtp://127.0.0.1", Relay("127.0.0.1", 25)),
        ("smtp://[::1]:2525/", Relay("::1", 2525)),
        ("smtps://mail.test", Relay("mail.test", 465, tls=True)),
        (
            "smtp://ana:a%40b@mail.test:587?starttls=1",
            Relay("mail.test", 587, starttls=True, user="ana", password="a@b"),
        ),
    ],
)
def test_relays(url: str, read: Relay) -> None:
    assert relay(url) == read


def test_networks_hold_addresses_of_both_families() -> None:
    networks = Settings(trusted_networks=("192.0.2.0/24", "2001:db8::/32")).networks
    assert within("192.0.2.9", networks)
    assert within("::ffff:192.0.2.9", networks)
    assert within("2001:db8::1%eth0", networks)
    assert not within("198.51.100.1", networks)
    assert not within("", networks)
