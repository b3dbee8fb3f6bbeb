"""Our signature is valid where somebody else's code looks (dkimpy), on every kind of mail, for each receiver's own copy."""

from __future__ import annotations

import stat
from base64 import b64decode
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.email import dkim_key, headers, letters, signer
from bridges.email.bridge import EmailBridge
from bridges.email.canonical import relaxed_body_hash
from bridges.email.compose import Mail, Passage, compose
from bridges.email.digest import digest
from bridges.email.dkim_key import Key
from bridges.email.dkim_sign import SEALED, Signature
from bridges.email.send import Sender
from bridges.email.settings import Settings
from bridges.email.tests.dialogue import NobodyKnown
from bridges.email.tests.digests import item
from bridges.email.tests.posts import MAIL, file, mailed, post, target
from bridges.email.tests.scripted_relay import relay
from server.bridge import Failed, LetterItem, Lot, NoticeItem, Outcome, PostItem, Sent, Target, Writer
from server.errors import ConfigError
from tests.fakes import RecordingHouse, forum

NOW = 1_793_600_000_000
LEAVE_URL = "https://talk.test/leave/"
HTML_AND_FILE = post(files=(file("tides.png", b"\x89PNG" * 50),))
NOTICE = NoticeItem(1, forum(), "Welcome", "Hello\n\nthere  \n", "<n@lists.test>", reply=("confirm", "c" * 26))
LETTER = LetterItem(1, None, Writer("k", "Ana"), "Hé", "Words", "<l@lists.test>", "operator")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    return dkim_key.ensure(tmp_path_factory.mktemp("keys") / "dkim-s1.pem", "s1")


def signed(key: Key, mail: Mail, to: Target, domain: str = "lists.test") -> bytes:
    signature = Signature(key, domain, mail, NOW // 1_000)
    return signature.fields([mail.lines(to)], partial(signed_here, key))[0] + mail.copy(to)


def signed_here(key: Key, digests: Sequence[bytes]) -> Sequence[bytes]:
    return [signer.sign(key.private, digest) for digest in digests]


def is_valid(message: bytes, key: Key, domain: str = "lists.test", number: int = 0) -> bool:
    wanted = dkim_key.record(key, domain)

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        return wanted.value.encode() if name.decode() == wanted.name + "." else None

    try:
        return bool(dkim.DKIM(message, minkey=2048).verify(idx=number, dnsfunc=dns))
    except dkim.ValidationError:
        return False


def mails() -> list[tuple[str, Callable[[], Mail]]]:
    return [
        ("passed through", lambda: compose(mailed(), {}, LEAVE_URL)),
        ("rewritten", lambda: compose(mailed(), {}, LEAVE_URL, Passage(rewrite=True))),
        ("generated", lambda: compose(post(), {}, LEAVE_URL)),
        ("generated with a file", lambda: compose(HTML_AND_FILE, {}, LEAVE_URL)),
        ("without a body", lambda: compose(mailed(MAIL.split(b"\r\n\r\n")[0] + b"\r\n\r\n"), {}, LEAVE_URL)),
        ("blank lines only", lambda: compose(mailed(b"From: a@b.test\r\n\r\n \t\r\n\r\n"), {}, LEAVE_URL)),
        ("notice", lambda: letters.notice(NOTICE, "lists.test", NOW)),
        ("letter", lambda: letters.letter(LETTER, "lists.test", NOW)),
        ("digest", lambda: digest(item(), LEAVE_URL)),
    ]


every_mail = pytest.mark.parametrize("make", [make for _, make in mails()], ids=[name for name, _ in mails()])


@every_mail
def test_a_copy_is_validly_signed_and_is_the_copy_behind_it(key: Key, make: Callable[[], Mail]) -> None:
    mail = make()
    for to in (target(1), target(2, leave="x" * 26, bounces="y" * 26), Target(3, 1, "m3@far.test", {})):
        copy = signed(key, mail, to)
        assert is_valid(copy, key)
        assert copy.startswith(b"DKIM-Signature: v=1;")
        assert copy.endswith(mail.copy(to))
        assert max(map(len, copy[: -len(mail.copy(to))].split(b"\r\n"))) <= 78


@every_mail
def test_what_the_signature_covers_cannot_be_changed_added_or_taken_away(key: Key, make: Callable[[], Mail]) -> None:
    copy = signed(key, make(), target())
    section, gap, body = headers.cut(copy)
    own, *fields = headers.split(section)
    assert not is_valid(own + b"".join(fields) + gap + body + b"more\r\n", key)
    for at, field in enumerate(fields):
        without = own + b"".join(fields[:at] + fields[at + 1 :]) + gap + body
        assert is_valid(without, key) is (headers.name(field) not in covered(copy))
    for name in SEALED:
        added = name + b": <https://evil.test/>\r\n"
        assert not is_valid(own + added + b"".join(fields) + gap + body, key)
        assert not is_valid(own + b"".join(fields) + added + gap + body, key)


def covered(copy: bytes) -> frozenset[bytes]:
    return headers.signed(headers.split(headers.cut(copy)[0])[:1])


def test_one_click_is_signed_as_rfc_8058_asks(key: Key) -> None:
    copy = signed(key, compose(post(), {}, LEAVE_URL), target())
    assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= covered(copy)
    assert not is_valid(copy.replace(b"/leave/l", b"/leave/m"), key)
    assert not is_valid(copy.replace(b"One-Click", b"Two-Click"), key)


def test_the_authors_own_signature_survives_beside_ours(key: Key, tmp_path: Path) -> None:
    authors = dkim_key.ensure(tmp_path / "dkim-a.pem", "a")
    plain = headers.cut(MAIL)
    fields = b"".join(headers.without(headers.split(plain[0]), (b"dkim-signature",)))
    raw = fields + plain[1] + plain[2]
    theirs = dkim.sign(
        raw, b"a", b"members.test", (tmp_path / "dkim-a.pem").read_bytes(),
        include_headers=[b"from", b"to", b"subject", b"date", b"message-id"],
    )  # fmt: skip
    copy = signed(key, compose(mailed(theirs + raw), {}, LEAVE_URL), target())
    assert is_valid(copy, key)
    assert is_valid(copy, authors, "members.test", number=1)


@given(st.lists(st.sampled_from([b"a", b" ", b"\t", b"\r\n", b".", b"\xc3\xa9"]), max_size=40))
def test_the_body_hash_is_that_of_other_implementations(parts: list[bytes]) -> None:
    body = b"".join(parts)
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    hashed = dkim.HashThrough(dkim.HASH_ALGORITHMS[b"rsa-sha256"](), debug=False)
    hashed.update(dkim.CanonicalizationPolicy.from_c_value(b"relaxed/relaxed").canonicalize_body(body))
    assert relaxed_body_hash(b"head" + body, 4) == hashed.digest()


def test_a_large_body_is_hashed_in_pieces_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    body = (b"words  and\t tabs \r\n" * 50 + b"\r\n" * 30) * 4
    whole = relaxed_body_hash(body, 0)
    for piece in (1, 2, 7, 100, 1_000):
        monkeypatch.setattr("bridges.email.canonical.PIECE", piece)
        assert relaxed_body_hash(body, 0) == whole


# On the way -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("extensions", [("PIPELINING", "SIZE 10000000", "8BITMIME"), ()], ids=["pipelined", "plain"])
async def test_every_copy_that_leaves_is_signed(key: Key, extensions: tuple[str, ...]) -> None:
    outcomes: dict[int, Outcome] = {}
    async with relay(extensions=extensions) as far:
        sender = Sender(Settings(relay=far.url), RecordingHouse(), key=lambda: key, resolver=NobodyKnown())
        targets = [target(n, leave=f"{n:026d}", bounces=f"{n:026d}") for n in range(1, 151)]
        targets[75] = target(76, "no address")
        lot = Lot(PostItem(mailed()), targets, "key")
        await sender.deliver(lot, lambda to, outcome: outcomes.__setitem__(to.delivery, outcome))
        await sender.close()
        assert isinstance(outcomes.pop(76), Failed)
        assert len(outcomes) == 149
        assert all(isinstance(outcome, Sent) for outcome in outcomes.values())
        assert len(set(far.recipients)) == 149
        assert all(is_valid(taken.content, key) for taken in far.taken)
        assert not far.nonsense


async def test_a_copy_that_was_not_begun_is_not_lost_with_its_connection(key: Key) -> None:
    outcomes: list[Outcome] = []
    async with relay(hang_up_at=("rcpt", 30)) as far:
        sender = Sender(Settings(relay=far.url), RecordingHouse(), key=lambda: key, resolver=NobodyKnown())
        targets = [target(n) for n in range(1, 101)]
        await sender.deliver(Lot(PostItem(mailed()), targets, "key"), lambda to, outcome: outcomes.append(outcome))
        await sender.close()
        assert len(outcomes) == 100
        assert len(far.recipients) == len(set(far.recipients)) == 100


async def test_a_key_that_fails_settles_nothing_and_is_told(key: Key) -> None:
    def broken() -> Key:
        raise ConfigError("no key")

    outcomes: list[Outcome] = []
    async with relay() as far:
        sender = Sender(Settings(relay=far.url), RecordingHouse(), key=broken, resolver=NobodyKnown())
        with pytest.raises(ConfigError):
            await sender.deliver(
                Lot(PostItem(mailed()), [target()], "key"), lambda to, outcome: outcomes.append(outcome)
            )
        await sender.close()
        assert outcomes == []
        assert not far.taken


# The key --------------------------------------------------------------------------------------------------------------
def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    at = dkim_key.path(str(tmp_path), "junto")
    made = dkim_key.ensure(at, "junto")
    assert stat.S_IMODE(at.stat().st_mode) == 0o600
    assert list(at.parent.iterdir()) == [at]
    assert dkim_key.ensure(at, "junto").private.private_numbers() == made.private.private_numbers()
    assert made.private.key_size == 2048


def test_a_file_that_is_no_key_is_told_and_left_alone(tmp_path: Path) -> None:
    at = tmp_path / "dkim-junto.pem"
    at.write_text("words")
    with pytest.raises(ConfigError, match=r"dkim-junto\.pem"):
        dkim_key.ensure(at, "junto")
    assert at.read_text() == "words"


def test_the_record_is_whole_in_every_form_to_paste(key: Key) -> None:
    wanted = dkim_key.record(key, "lists.test")
    assert wanted.name == "s1._domainkey.lists.test"
    assert b64decode(wanted.value.partition("p=")[2])
    strings = wanted.zone_line().split('"')[1::2]
    assert "".join(strings) == wanted.value
    assert max(map(len, strings)) <= 255


async def test_the_command_prints_the_record_and_init_makes_the_key(tmp_path: Path) -> None:
    bridge = EmailBridge(RecordingHouse(data_dir=str(tmp_path)), Settings(domain="lists.test"))
    await bridge.prepare()
    made = dkim_key.ensure(dkim_key.path(str(tmp_path), "junto"), "junto")
    said = await bridge.commands()["dkim"]()
    assert dkim_key.record(made, "lists.test").zone_line() in said


async def test_where_the_relay_signs_there_is_no_key(tmp_path: Path) -> None:
    bridge = EmailBridge(RecordingHouse(data_dir=str(tmp_path)), Settings(dkim_selector=""))
    await bridge.prepare()
    assert list(tmp_path.iterdir()) == []
    assert "dkim_selector" in await bridge.commands()["dkim"]()


def test_a_selector_is_a_name_as_in_the_dns() -> None:
    assert Settings(dkim_selector="2026-11.Mail").dkim_selector == "2026-11.mail"
    for wrong in ("a b", "-x", "x/../y", "[1.2.3.4]"):
        with pytest.raises(ValueError, match="DNS"):
            Settings(dkim_selector=wrong)
