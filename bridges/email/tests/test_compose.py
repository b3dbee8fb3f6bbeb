"""Posts as mail: the author's message untouched where it came by mail, a well-formed one made where it did not."""

from __future__ import annotations

import os
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridges.email import content, headers, mime
from bridges.email.compose import AS_IT_IS, Passage, compose
from bridges.email.letters import letter, notice
from bridges.email.source import source
from bridges.email.tests.posts import LEAVE, MAIL, VIA, file, mailed, post, target
from server.bridge import File, LetterItem, NoticeItem, Post, Writer
from tests.fakes import forum

GOLDEN = Path(__file__).parent / "golden"
LEAVE_URL, MUTE_URL = "https://talk.test/leave/", "https://talk.test/mute/"


def copy(of: Post, rewrite: bool = False, blobs: dict[str, bytes] | None = None) -> bytes:
    return compose(of, blobs or {}, LEAVE_URL, Passage(rewrite=rewrite), MUTE_URL).copy(target())


def read(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


def body(message: bytes) -> bytes:
    return headers.cut(message)[2]


def golden(name: str, message: bytes) -> None:
    """Compares with the file; JUNTO_GOLDEN=write makes it anew, to be read before it is kept."""
    path = GOLDEN / name
    if os.environ.get("JUNTO_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(message)
    assert message == path.read_bytes()


# Passed through -------------------------------------------------------------------------------------------------------
def test_a_mail_goes_on_as_it_came_below_our_fields() -> None:
    golden("passed-through.eml", copy(mailed()))
    assert body(copy(mailed())) == body(MAIL)
    assert copy(mailed()).endswith(MAIL)


@given(st.binary(max_size=600).map(lambda data: data.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"))
@example(b"\r\n")
@example(b"-----BEGIN PGP SIGNED MESSAGE-----\r\n\r\n \t\r\n.\r\n..\r\n\0\xff\r\n\r\n")
def test_no_body_is_ever_changed(text: bytes) -> None:
    assert body(copy(mailed(b"From: ana@members.test\r\nSubject: s\r\n\r\n" + text))) == text


@given(
    st.lists(
        st.binary(min_size=1, max_size=60).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")), max_size=8
    )
)
def test_fields_that_are_the_authors_stay_byte_for_byte(values: list[bytes]) -> None:
    fields = [b"X-Field:" + value + b"\r\n" for value in values]
    sent = copy(mailed(b"From: ana@members.test\r\n" + b"".join(fields) + b"\r\nx\r\n"))
    assert headers.named(headers.split(headers.cut(sent)[0]), b"x-field") == fields


@pytest.mark.parametrize(
    "field",
    [
        "List-Id: <other.lists.far.test>",
        "list-unsubscribe : <mailto:x@far.test>",
        "List-Unsubscribe-Post: List-Unsubscribe=Twice",
        "X-Junto-Channel: forged",
        "Archived-At: <https://far.test/>",
        "Disposition-Notification-To: spy@far.test",
        "Return-Receipt-To:\n spy@far.test",
        "X-Confirm-Reading-To: spy@far.test",
        "Bcc: secret@far.test",
        "Return-Path: <secret@far.test>",
        "Delivered-To: m1@far.test",
    ],
)
def test_what_must_not_go_on_does_not(field: str) -> None:
    sent = copy(mailed(f"From: ana@members.test\n{field}\n\nx\n".replace("\n", "\r\n").encode()))
    value = field.partition(":")[2].strip().encode()
    assert value not in sent
    assert b"\r\nFrom: ana@members.test\r\n" in sent


def test_every_list_field_is_there_once() -> None:
    message = read(copy(mailed()))
    assert message["List-Id"] == "Tide pools <tides.lists.test>"
    assert message["List-Post"] == "<mailto:tides@lists.test>"
    assert message["List-Help"] == "<mailto:tides-request@lists.test?subject=help>"
    assert message["List-Owner"] == "<mailto:tides-owner@lists.test>"
    assert message["List-Subscribe"] == "<mailto:tides-join@lists.test>"
    assert message["List-Archive"] == "<https://talk.test/f/tides>"
    assert message["Archived-At"] == "<https://talk.test/f/tides/3>"
    assert message["X-Junto-Channel"] == "email"
    assert message["Precedence"] == "list"
    assert message["List-Unsubscribe"] == f"<https://talk.test/leave/{LEAVE}>, <mailto:tides-leave+{LEAVE}@lists.test>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert all(len(message.get_all(name) or []) == 1 for name in message if name.lower().startswith("list-"))


def test_one_click_is_promised_only_where_the_page_is_at_https() -> None:
    sent = compose(mailed(), {}, LEAVE_URL.replace("https:", "http:"), AS_IT_IS).copy(target(leave=LEAVE))
    assert (
        read(sent)["List-Unsubscribe"] == f"<http://talk.test/leave/{LEAVE}>, <mailto:tides-leave+{LEAVE}@lists.test>"
    )
    assert "List-Unsubscribe-Post" not in read(sent)


def test_each_copy_says_how_to_mute_its_thread() -> None:
    sent = compose(mailed(), {}, LEAVE_URL, AS_IT_IS, MUTE_URL).copy(target(leave=LEAVE, mute="m" * 26))
    assert read(sent)["X-Junto-Mute"] == (
        f"<https://talk.test/mute/{'m' * 26}/3>, <mailto:tides-request@lists.test?subject=mute%203>"
    )
    forged = MAIL.replace(b"Subject:", b"X-Junto-Mute: <https://evil.far.test/>\r\nSubject:")
    assert b"evil" not in copy(mailed(forged))


def test_an_answer_whose_program_does_not_say_what_it_answers_is_threaded() -> None:
    answer = mailed(references=("<root@members.test>", "<parent@lists.test>"))
    message = read(copy(answer))
    assert message["In-Reply-To"] == "<parent@lists.test>"
    assert message["References"] == "<root@members.test> <parent@lists.test>"
    said = MAIL.replace(b"MIME-Version", b"In-Reply-To: <digest@lists.test>\r\nMIME-Version", 1)
    assert read(copy(mailed(said, references=answer.references)))["In-Reply-To"] == "<parent@lists.test>"
    kept = MAIL.replace(b"MIME-Version", b"References: <x@y.test> <parent@lists.test>\r\nMIME-Version", 1)
    message = read(copy(mailed(kept, references=answer.references)))
    assert (message["References"], message["In-Reply-To"]) == ("<x@y.test> <parent@lists.test>", None)


def test_a_promise_not_to_touch_what_it_answers_is_kept() -> None:
    passage = Passage(promised=frozenset((b"references",)))
    sent = compose(mailed(references=("<parent@lists.test>",)), {}, LEAVE_URL, passage).copy(target())
    assert read(sent)["In-Reply-To"] is None


def test_a_forum_that_only_announces_takes_no_posts_by_mail() -> None:
    assert read(copy(mailed(forum=forum(post_policy="moderators"))))["List-Post"] == "NO"


def test_a_receiver_without_a_token_gets_the_way_that_asks_first() -> None:
    sent = compose(mailed(), {}, LEAVE_URL, AS_IT_IS, MUTE_URL).copy(target(bounces="b" * 26))
    assert read(sent)["List-Unsubscribe"] == "<mailto:tides-leave@lists.test>"
    assert "List-Unsubscribe-Post" not in read(sent)


def test_answers_go_to_the_forum_where_nothing_forbids_it() -> None:
    plain = b"From: ana@members.test\r\n%b\r\nx\r\n"
    assert read(copy(mailed(plain % b"")))["Reply-To"] == "Tide pools <tides@lists.test>"
    assert read(copy(mailed(plain % b"Reply-To: elsewhere@members.test\r\n")))["Reply-To"] == "elsewhere@members.test"
    assert read(copy(mailed(plain % b"", forum=forum(reply_to="author"))))["Reply-To"] is None


def test_a_copy_without_id_or_date_gets_those_that_we_know() -> None:
    bare = read(copy(mailed(b"From: ana@members.test\r\nMessage-ID: \r\n\r\nx\r\n", written_at=1_793_600_000_000)))
    assert bare.get_all("Message-ID") == ["<limpets@members.test>"]
    assert parsedate_to_datetime(bare["Date"]).timestamp() == 1_793_600_000


def test_a_rewritten_mail_shows_the_author_but_not_their_address() -> None:
    original = MAIL.replace(b"To: tides", b"Sender: ana@members.test\r\nTo: tides")
    sent = copy(mailed(original), rewrite=True)
    message = read(sent)
    assert message["From"] == f"Ana Mariño via Tide pools <tides-via+{VIA}@lists.test>"
    assert message["Reply-To"] == "Tide pools <tides@lists.test>"
    assert b"ana@members.test" not in sent
    assert body(sent) == body(MAIL)


def test_bare_line_ends_never_go_out() -> None:
    sent = copy(mailed(b"From: ana@members.test\nSubject: a\rBcc: x@far.test\n\none\rtwo\nthree\r\r\n.\nfour"))
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n")
    assert body(sent) == b"one\r\ntwo\r\nthree\r\n.\r\nfour\r\n"
    assert read(sent)["Bcc"] is None


def test_a_folded_line_on_top_does_not_grow_onto_our_fields() -> None:
    sent = copy(mailed(b" <https://evil.far.test/>\r\nFrom: ana@members.test\r\n\r\nx\r\n"))
    assert b"evil" not in sent


def test_copies_differ_only_in_their_own_lines() -> None:
    mail = compose(mailed(), {}, LEAVE_URL, AS_IT_IS, MUTE_URL)
    one, two = mail.copy(target(1)).split(b"\r\n"), mail.copy(target(2, leave="m" * 26)).split(b"\r\n")
    assert [a for a, b in zip(one, two, strict=True) if a != b] == [
        f"List-Unsubscribe: <https://talk.test/leave/{LEAVE}>,".encode(),
        f" <mailto:tides-leave+{LEAVE}@lists.test>".encode(),
    ]


# Made here ------------------------------------------------------------------------------------------------------------
def test_a_post_from_a_room_is_a_whole_mail() -> None:
    sent = copy(post())
    golden("made.eml", sent)
    message = read(sent)
    assert message["From"] == f"Bruno Öst <tides-via+{VIA}@lists.test>"
    assert message["To"] == message["Reply-To"] == "Tide pools <tides@lists.test>"
    assert message["Subject"] == "Re: Limpets on the north face"
    assert message["X-Junto-Channel"] == "matrix"
    assert parsedate_to_datetime(message["Date"]).timestamp() == 1_793_600_000
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    plain, html = (cast(EmailMessage, part).get_content() for part in message.iter_parts())
    assert plain.splitlines() == ["I counted forty.", "", "Then the fog came in."]
    assert "<p>I counted <b>forty</b>.</p>" in html


def test_every_attempt_has_the_same_bytes() -> None:
    assert copy(post()) == copy(post())


def test_an_answer_hangs_below_its_parent_in_mail_programs() -> None:
    message = read(copy(post()))
    assert message["Message-ID"] == post().message_id
    assert message["In-Reply-To"] == "<second@members.test>"
    assert message["References"].split() == ["<limpets@members.test>", "<second@members.test>", post().message_id]


def test_a_thread_opens_without_re() -> None:
    message = read(copy(post(opens_thread=True, references=())))
    assert message["Subject"] == "Limpets on the north face"
    assert message["In-Reply-To"] is None
    assert message["References"] == post().message_id


def test_a_deep_thread_keeps_root_and_parents() -> None:
    chain = tuple(f"<{n}@members.test>" for n in range(500))
    found = read(copy(post(references=chain)))["References"].split()
    assert found[0] == chain[0]
    assert found[-2:] == [chain[-1], post().message_id]
    assert len(found) <= 60


def test_a_subject_that_answers_already_gets_no_second_re() -> None:
    assert read(copy(post(subject="RE: tides")))["Subject"] == "RE: tides"


def test_reply_to_author_leaves_the_answer_to_from() -> None:
    assert read(copy(post(forum=forum(reply_to="author"))))["Reply-To"] is None


def test_what_a_machine_wrote_says_so() -> None:
    assert read(copy(post(automatic=True)))["Auto-Submitted"] == "auto-generated"
    assert read(copy(post()))["Auto-Submitted"] is None


@pytest.mark.parametrize("name", ["x\r\nBcc: evil@far.test", "=?utf-8?q?x=0D=0ABcc:_evil?=", "\0", ""])
def test_names_and_subjects_inject_nothing(name: str) -> None:
    message = read(copy(post(writer=Writer("key", name, VIA), subject=name, forum=forum(title=name or "x"))))
    assert "Bcc" not in message
    assert message["From"].addresses[0].addr_spec == f"tides-via+{VIA}@lists.test"


@given(st.text(max_size=400))
@example("From here\n.\n..\n" + "x" * 3000 + "\n=\n  trailing  \n")
@example("日本語" * 400)
@example("naïve " * 300)
def test_a_text_arrives_as_written_in_lines_that_pass_everywhere(text: str) -> None:
    part = mime.text(text)
    assert max(map(len, part.body.split(b"\r\n"))) <= 78
    assert part.body.isascii()
    assert part.body.count(b"\r") == part.body.count(b"\n") == part.body.count(b"\r\n")
    content = read(part.head + b"\r\n" + part.body).get_payload(decode=True)
    clean = "".join(
        c for c in text.replace("\r\n", "\n").replace("\r", "\n") if c in "\t\n" or (c >= " " and c != "\x7f")
    )
    assert (
        content == (clean.rstrip("\n") + "\n").replace("\n", "\r\n").encode()
        or content == (clean.rstrip("\n") + "\n").encode()
    )


PICTURE = file("limpet.png", b"\x89PNG" + bytes(200))


def test_a_picture_in_the_text_travels_in_the_mail() -> None:
    shown = post(html=f'<p><img src="blob:{PICTURE.hash}" alt="a &gt; b"></p>', files=(PICTURE,))
    assert content.embedded(shown) == (PICTURE,)
    message = read(copy(shown, blobs={PICTURE.hash: b"\x89PNG" + bytes(200)}))
    kinds = [part.get_content_type() for part in message.walk()]
    assert kinds == ["multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png"]
    html, picture = list(message.walk())[3:]
    assert f"cid:{picture['Content-ID'][1:-1]}" in html.get_content()
    assert "blob:" not in html.get_content()
    assert picture.get_content() == b"\x89PNG" + bytes(200)


def test_pictures_that_are_too_large_become_links() -> None:
    large = File(PICTURE.hash, "limpet.png", "image/png", 300 * 1024, "https://talk.test/blob/x")
    shown = post(html=f'<p>See <img src="blob:{PICTURE.hash}" alt="a > b"> there</p>', files=(large,))
    assert content.embedded(shown) == ()
    message = read(copy(shown))
    plain, html = (cast(EmailMessage, part).get_content() for part in message.iter_parts())
    assert "<img" not in html
    assert "<p>See [limpet.png] there</p>" in html
    assert '<a href="https://talk.test/blob/x">limpet.png</a> (300 KB)' in html
    assert plain.splitlines()[-2:] == ["limpet.png (300 KB):", "https://talk.test/blob/x"]


@pytest.mark.parametrize(
    "filename", ["tide table.pdf", "Gezeiten für Öland.pdf", 'a"b\\c\r\nBcc: x.pdf', "../../etc", "李" * 300]
)
def test_a_small_file_is_attached_under_its_name(filename: str) -> None:
    data = bytes(range(256)) * 20
    table = file(filename, data, "application/pdf")
    message = read(copy(post(files=(table,)), blobs={table.hash: data}))
    assert message.get_content_type() == "multipart/mixed"
    attached = next(iter(message.iter_attachments()))
    assert attached.get_content() == data
    assert "Bcc" not in attached
    found = attached.get_filename() or ""
    assert found
    assert "/" not in found
    if filename.isprintable() and len(filename) < 100 and "/" not in filename:
        assert found == filename


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/mixed", "x\r\nBcc: y", "", "text/html; charset=x"])
def test_a_type_that_is_none_or_would_be_parsed_is_just_bytes(kind: str) -> None:
    part = read(mime.file("x", kind, b"abc").head + b"\r\n")
    assert part.get_content_type() == "application/octet-stream"


def test_a_boundary_cannot_stand_in_the_text() -> None:
    marks = {copy(post(text=text)).partition(b'boundary="')[2].partition(b'"')[0] for text in ("a", "b")}
    assert len(marks) == 2


# Letters, notices, source ---------------------------------------------------------------------------------------------
def test_a_letter_shows_neither_address() -> None:
    item = LetterItem(
        1, forum(), Writer("key", "Bruno Öst"), "Your limpets", "Hello Ana", "<l@lists.test>", "author", reply_via=VIA,
        original=b"From: bruno@members.test\r\n\r\nHello Ana\r\n",
    )  # fmt: skip
    sent = letter(item, "lists.test", 0).copy(target(address="ana@members.test", bounces="b" * 26))
    golden("letter.eml", sent)
    message = read(sent)
    assert message["From"] == f"Bruno Öst via Tide pools <tides-via+{VIA}@lists.test>"
    assert message["To"] == "ana@members.test"
    assert b"bruno@members.test" not in sent
    assert "List-Unsubscribe" not in message


def test_a_letter_to_the_owners_can_be_answered() -> None:
    item = LetterItem(
        1, forum(), Writer("key", "Dora"), "Help", "…", "<l@lists.test>", "owners", reply_address="dora@far.test"
    )
    message = read(letter(item, "lists.test", 0).copy(target(address="owner@members.test")))
    assert message["From"] == "Dora via Tide pools <tides-owner@lists.test>"
    assert message["Reply-To"] == "dora@far.test"


def test_a_notice_is_marked_as_a_machines_and_comes_from_the_null_sender() -> None:
    item = NoticeItem(
        1, forum(), "Please confirm", "Just answer.", "<0199b1c0-0000-7000-8000-000000000003@lists.test>",
        reply=("confirm", "c" * 26), in_reply_to=("<limpets@members.test>",),
    )  # fmt: skip
    mail = notice(item, "lists.test", 0)
    to = target(address="dora@far.test", none="")
    golden("notice.eml", mail.copy(to))
    message = read(mail.copy(to))
    assert mail.envelope(to) == ""
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["From"] == message["Reply-To"] == f"Tide pools <tides-confirm+{'c' * 26}@lists.test>"
    assert message["In-Reply-To"] == message["References"] == "<limpets@members.test>"
    assert parsedate_to_datetime(message["Date"]).timestamp() * 1000 // 1000 == 0x0199B1C00000 // 1000
    assert "List-Unsubscribe" not in message


def test_a_notice_of_the_server_comes_from_its_postmaster() -> None:
    item = NoticeItem(1, None, "Sign in", "https://talk.test/sign-in/x", "<n@lists.test>")
    mail = notice(item, "lists.test", 1_793_600_000_000)
    message = read(mail.copy(target(address="ana@members.test")))
    assert message["From"] == "Junto <postmaster@lists.test>"
    assert mail.envelope(target(bounces="b" * 26)) == ""


def test_the_public_source_holds_no_token_and_threads_like_the_mail() -> None:
    shown = source(post(files=(PICTURE,)), {})
    golden("source.eml", shown)
    message = read(shown)
    assert message["From"] == "Bruno Öst <key@tides.invalid>"
    assert message["Message-ID"] == post().message_id
    assert message["In-Reply-To"] == "<second@members.test>"
    assert VIA.encode() not in shown
    assert LEAVE.encode() not in shown
    assert PICTURE.url in cast(EmailMessage, next(iter(message.iter_parts()))).get_content()
