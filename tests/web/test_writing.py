"""Signing in, writing, joining, leaving: what the door asks of the desk, and what it refuses by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from server import bridge
from server.bridge import Accepted, Act, Author, Duplicate, Held, Join, Leave, NewPost, Proof, Ref
from server.errors import Deferred, Rejected
from server.people import handles, identity, membership
from server.store.schema import deliveries, letters
from server.web.context import local_path
from tests.archive.sample import NOW
from tests.web.conftest import SECRET, Reader, RecordingHousehold, household

Rows = dict[str, int]
FORM = "abcdefghijklmnopqrstuvwxyz"


async def test_a_reply_is_handed_to_the_desk_and_its_page_is_shown(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    reader.home.answer = lambda _: Accepted("tides/4")
    answer = await reader.submit("/f/tides/2/reply", 303, csrf=csrf, form=FORM, text="*So* be it.\r\nYes.")
    assert answer.headers["Location"] == "/f/tides/4#4"
    assert reader.home.accepted == [
        NewPost(
            forum="tides",
            author=Author("web", str(rows["ana"]), "Ana", Proof.SESSION),
            refs=(Ref("form", FORM),),
            parents=(Ref("post", str(rows["second"])),),
            text="*So* be it.\nYes.",
            text_format="markdown",
        )
    ]


async def test_a_new_thread_has_a_subject_and_no_parent(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    await reader.submit("/f/tides/new", 303, csrf=csrf, form=FORM, subject=" Whelks ", text="They eat limpets.")
    (sent,) = reader.home.accepted
    assert isinstance(sent, NewPost)
    assert (sent.subject, sent.parents) == ("Whelks", ())


async def test_the_same_form_twice_is_one_post(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    reader.home.answer = lambda _: Duplicate("tides/4")
    answer = await reader.submit("/f/tides/new", 303, csrf=csrf, form=FORM, subject="W", text="T")
    assert answer.headers["Location"] == "/f/tides/4#4"


async def test_a_preview_shows_the_words_and_posts_nothing(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    answer = await reader.submit(
        "/f/tides/2/reply", 200, csrf=csrf, form=FORM, text="So **strong**<script>x</script>", preview="1"
    )
    page = await answer.text()
    assert "<strong>strong</strong>" in page
    assert "<script" not in page
    assert f'value="{FORM}"' in page
    assert "So **strong**&lt;script&gt;" in page
    assert not reader.home.accepted


@pytest.mark.parametrize(
    ("error", "status"), [(Rejected("5.7.1", "Only moderators today."), 403), (Deferred("Come again."), 503)]
)
async def test_refused_words_come_back_with_the_reason(
    reader: Reader, rows: Rows, error: Exception, status: int
) -> None:
    def refuse(_: bridge.Inbound) -> bridge.Result:
        raise error

    csrf = reader.sign_in(rows["ana"])
    reader.home.answer = refuse
    page = await (await reader.submit("/f/tides/2/reply", status, csrf=csrf, form=FORM, text="My words.")).text()
    assert str(error) in page
    assert "My words." in page
    shown = re.search(r'name="form" value="([a-z2-7]{26})"', page)
    assert shown is not None
    assert (shown[1] == FORM) == isinstance(error, Deferred)  # deferred words may be kept already: the same post


async def test_a_held_post_is_named(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    reader.home.answer = lambda _: Held("H-ab12")
    assert "H-ab12" in await (await reader.submit("/f/tides/2/reply", 200, csrf=csrf, form=FORM, text="T")).text()


@pytest.mark.parametrize("fields", [{"text": " "}, {"subject": "S" * 600}, {"subject": ""}])
async def test_what_cannot_be_a_post_is_said_before_the_desk_is_asked(
    reader: Reader, rows: Rows, fields: dict[str, str]
) -> None:
    csrf = reader.sign_in(rows["ana"])
    answer = await reader.post("/f/tides/new", data={"csrf": csrf, "form": FORM, "subject": "S", "text": "T"} | fields)
    assert answer.status in (400, 413)
    assert 'role="alert"' in await answer.text()
    assert not reader.home.accepted


async def test_a_form_needs_its_sessions_token(reader: Reader, rows: Rows) -> None:
    reader.sign_in(rows["ana"])
    for path in ("/f/tides/new", "/f/tides/2/reply", "/f/tides/join", "/f/tides/leave", "/sign-out"):
        for csrf in ("", "0" * 64):
            await reader.submit(path, 403, csrf=csrf, form=FORM, subject="S", text="T")
    assert not reader.home.accepted


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}, {"Origin": "null"}]
)
async def test_a_form_of_another_site_does_nothing(reader: Reader, rows: Rows, headers: dict[str, str]) -> None:
    csrf = reader.sign_in(rows["ana"])
    answer = await reader.post("/f/tides/2/reply", data={"csrf": csrf, "form": FORM, "text": "T"}, headers=headers)
    assert answer.status == 403
    assert not reader.home.accepted


async def test_a_stranger_who_wants_to_write_signs_in_and_comes_back(reader: Reader, rows: Rows) -> None:
    for path, back in (("/f/tides/2/reply", "/f/tides/2/reply"), ("/f/tides/new", "/f/tides/new")):
        answer = await reader.get(path, allow_redirects=False)
        assert (answer.status, answer.headers["Location"]) == (303, f"/sign-in?next={back}")


async def test_who_may_not_write_is_told_why(reader: Reader, rows: Rows) -> None:
    reader.home.store.write_now(lambda tx: tx.exec_driver_sql("UPDATE forums SET post_policy = 'moderators'"))
    csrf = reader.sign_in(rows["ana"])
    page = await (await reader.submit("/f/tides/2/reply", 403, csrf=csrf, form=FORM, text="T")).text()
    assert "Only moderators post to" in page
    assert not reader.home.accepted


async def test_joining_and_leaving_ask_the_desk_as_the_person_signed_in(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["chidi"])
    assert "Join Tide pools" in await reader.text("/f/tides/join")
    assert (await reader.submit("/f/tides/join", 303, csrf=csrf)).headers["Location"] == "/f/tides"
    await reader.submit("/f/tides/leave", 303, csrf=csrf)
    chidi = Author("web", str(rows["chidi"]), "Chidi", Proof.SESSION)
    assert reader.home.accepted == [bridge.Join("tides", chidi), Leave("tides", author=chidi)]


# Signing in -----------------------------------------------------------------------------------------------------------
def links(reader: Reader) -> int:
    return len(reader.home.store.read_now(lambda tx: list(tx.execute(letters.select()))))


def with_address(reader: Reader, person: int, address: str) -> int:
    def work(tx: Any) -> int:
        known = identity.ensure(tx, "post", address, "Ana", NOW)
        tx.exec_driver_sql(f"UPDATE addresses SET person_id = {person} WHERE id = {known.address_id}")
        return known.address_id

    return reader.home.store.write_now(work)


async def test_who_is_new_is_sent_a_link_too_and_the_answers_are_the_same(reader: Reader, rows: Rows) -> None:
    with_address(reader, rows["ana"], "ana@example.org")
    known = await (await reader.submit("/sign-in", 200, address="Ana@Example.org", next="/f/tides/1")).text()
    assert links(reader) == 1
    unknown = await (await reader.submit("/sign-in", 200, address="eve@example.org", next="/f/tides/1")).text()
    assert links(reader) == 2
    assert known.replace("Ana@Example.org", "") == unknown.replace("eve@example.org", "")


async def test_a_mailbox_is_not_flooded_with_links(reader: Reader, rows: Rows) -> None:
    with_address(reader, rows["ana"], "ana@example.org")
    for _ in range(5):
        await reader.submit("/sign-in", 200, address="ana@example.org")
    assert links(reader) <= 3


async def test_other_spellings_of_a_mailbox_count_as_it(reader: Reader, rows: Rows) -> None:
    for address in ('"victim"@x.test', '"v\\ictim"@x.test', '"vi\\ctim"@x.test', "VICTIM@x.test", "victim@x.test"):
        await reader.submit("/sign-in", 200, address=address)
    assert links(reader) == 3


async def test_what_is_no_address_is_said(reader: Reader, rows: Rows) -> None:
    assert "your whole mail address" in await (await reader.submit("/sign-in", 400, address="ana")).text()


def link(reader: Reader, person: int, address_id: int) -> str:
    make: Callable[[Any], str] = lambda tx: handles.grant(  # noqa: E731
        tx, "sign-in", person, {"address_id": address_id, "next": "/f/board/1"}, NOW, 3_600_000
    )
    return f"/sign-in/{reader.home.store.write_now(make)}"


async def test_a_link_signs_in_once_when_its_button_is_pressed(reader: Reader, rows: Rows) -> None:
    path = link(reader, rows["ana"], with_address(reader, rows["ana"], "ana@example.org"))
    for _ in range(2):  # a link scanner looks and uses nothing up
        assert "<button" in await reader.text(path)
    answer = await reader.submit(path, 303)
    assert answer.headers["Location"] == "/f/board/1"
    cookie = answer.cookies["junto"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "Plans." in await reader.text("/f/board/1")
    await reader.submit(path, 403)  # signed in now: the form has no token of this session
    reader.session.cookie_jar.clear()
    await reader.submit(path, 410)
    assert "does not work any more" in await reader.text(path, status=410)


async def test_the_link_leads_where_its_reader_wanted_to_go_on_whatever_device(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/sign-in?next=/f/tides/join")
    assert "Join Tide pools" in page
    assert "Tide pools" not in await reader.text("/sign-in?next=/f/board/join".replace("board", "nothing"))
    assert "Board" not in await reader.text("/sign-in?next=/f/board/join")  # a stranger learns no hidden name
    await reader.submit("/sign-in", 200, address="eve@example.org", next="/f/tides/join")
    await reader.submit("/sign-in", 200, address="fay@example.org", next="https://evil.test/")
    facts = [
        json.loads(data)
        for data in reader.home.store.read_now(
            lambda tx: list(tx.scalars(sa.select(letters.c.data).order_by(letters.c.id)))
        )
    ]
    assert [(each["next"], each.get("place")) for each in facts] == [("/f/tides/join", "Tide pools"), ("/", None)]


async def test_who_joins_chooses_what_comes_by_mail(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["chidi"])
    assert "tides-request@" in await reader.text("/f/tides/join")
    await reader.submit("/f/tides/join", 303, csrf=csrf, mode="daily")
    await reader.submit("/f/tides/join", 303, csrf=csrf, mode="hourly")
    assert [wish.mode for wish in reader.home.accepted if isinstance(wish, Join)] == ["daily", None]


async def test_a_return_path_leads_nowhere_else(reader: Reader, rows: Rows) -> None:
    for path in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:x"):
        page = await reader.text("/sign-in?next=" + path)
        assert 'name="next" value="/"' in page


async def test_signing_out_ends_the_session(reader: Reader, rows: Rows) -> None:
    csrf = reader.sign_in(rows["ana"])
    cookies = {c.key: c.value for c in reader.session.cookie_jar}
    await reader.submit("/sign-out", 303, csrf=csrf)
    reader.session.cookie_jar.update_cookies(cookies, reader.make_url("/"))
    await reader.text("/f/board/1", status=404)


async def test_over_https_the_cookie_is_bound_to_the_host(tmp_path: Any) -> None:
    from aiohttp.test_utils import TestServer

    from server.web.app import make_app
    from tests.archive.sample import Town

    home = household(tmp_path, RecordingHousehold, "https://talk.test")
    person = home.store.write_now(lambda tx: Town(tx).person("Ana"))
    token = home.store.write_now(lambda tx: handles.grant(tx, "sign-in", person, {}, NOW, 3_600_000))
    async with Reader(TestServer(make_app(home))) as reader:
        cookie = (await reader.submit(f"/sign-in/{token}", 303)).cookies["__Host-junto"]
        assert (cookie["secure"], cookie["httponly"], cookie["path"], cookie["domain"]) == (True, True, "/", "")
    home.store.close()


# Leaving by link ------------------------------------------------------------------------------------------------------
async def test_one_click_leaves_without_cookie_sign_in_or_redirect(reader: Reader, rows: Rows) -> None:
    def subscribe(tx: Any) -> str:
        known = identity.ensure(tx, "post", "dora@example.org", "Dora", NOW)
        subscription = membership.join(tx, rows["tides"], known.person_id, known.address_id, NOW)
        return handles.printed(tx, SECRET, "leave", subscription or 0)

    token = reader.home.store.write_now(subscribe)
    page = await reader.text(f"/leave/{token}")
    assert "Leave “Tide pools”?" in page
    assert not reader.home.accepted  # looking does nothing
    answer = await reader.post(
        f"/leave/{token}",
        data={"List-Unsubscribe": "One-Click"},
        headers={"Origin": "https://mail.test", "Sec-Fetch-Site": "cross-site"},
        allow_redirects=False,
    )
    assert answer.status == 200
    assert reader.home.accepted == [Leave("tides", token=token)]


async def test_one_click_is_understood_in_each_form_that_rfc_8058_names_and_twice(reader: Reader, rows: Rows) -> None:
    def subscribe(tx: Any) -> str:
        known = identity.ensure(tx, "post", "dora@example.org", "Dora", NOW)
        subscription = membership.join(tx, rows["tides"], known.person_id, known.address_id, NOW)
        return handles.printed(tx, SECRET, "leave", subscription or 0)

    token = reader.home.store.write_now(subscribe)
    parts = aiohttp.FormData({"List-Unsubscribe": "One-Click"}, default_to_multipart=True)
    for body in (parts, {"List-Unsubscribe": "One-Click"}, None):
        answer = await reader.post(f"/leave/{token}", data=body, allow_redirects=False)
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
    looked = await reader.head(f"/leave/{token}", allow_redirects=False)
    assert looked.status == 200
    assert reader.home.accepted == [Leave("tides", token=token)] * 3


# Questions that were mailed -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("template", "asks"),
    [
        ("confirm-join", "Join “Tide pools”?"),
        ("confirm-leave", "Leave “Tide pools”?"),
        ("confirm-post", "Publish your message?"),
        ("was-this-you", "Was this you?"),
        ("confirm-words", "<code>delivery daily</code>"),
        ("invite", "Join “Tide pools”?"),
    ],
)
async def test_a_question_is_answered_by_a_button_and_not_by_looking(
    reader: Reader, rows: Rows, template: str, asks: str
) -> None:
    data = {"template": template, "address_id": 1, "commands": [["delivery", "daily"]]}
    token = reader.home.store.write_now(lambda tx: handles.grant(tx, "confirm", rows["tides"], data, NOW, 60_000))
    assert asks in await reader.text(f"/confirm/{token}")
    assert not reader.home.accepted
    await reader.submit(f"/confirm/{token}", 200)
    assert reader.home.accepted == [Act("tides", Author("web", ""), "confirm", token)]


async def test_a_question_that_is_over_is_not_there(reader: Reader, rows: Rows) -> None:
    assert "used before, or it is too old" in await reader.text(f"/confirm/{'a' * 26}", status=404)
    await reader.submit(f"/confirm/{'a' * 26}", 404)


async def test_an_unknown_link_to_leave_is_not_there(reader: Reader, rows: Rows) -> None:
    await reader.text(f"/leave/{'a' * 26}", status=404)
    await reader.submit(f"/leave/{'a' * 26}", 404)
    assert not reader.home.accepted


async def test_no_page_shows_the_forms_of_a_session_to_a_stranger(reader: Reader, rows: Rows) -> None:
    page = await reader.text("/f/tides/1")
    assert not re.search(r'name="csrf"', page)
    assert "<textarea" not in page
    assert not reader.home.store.read_now(lambda tx: list(tx.execute(deliveries.select())))


async def test_who_is_new_gives_a_name_before_the_link_is_used_up(reader: Reader, rows: Rows) -> None:
    await reader.submit("/sign-in", 200, address="eve@example.org")
    known = reader.home.store.read_now(lambda tx: identity.find(tx, "post", "eve@example.org"))
    assert known is not None
    path = link(reader, known.person_id, known.address_id)
    shown = await (await reader.get(path)).text()
    assert "Your name" in shown
    for wrong in ("", "eve@example.org"):
        await reader.submit(path, 400, name=wrong)
    await reader.submit(path, 303, name="Eve")
    named = reader.home.store.read_now(lambda tx: identity.find(tx, "post", "eve@example.org"))
    assert named is not None
    assert named.name == "Eve"


async def test_a_link_that_was_used_says_how_it_stands(reader: Reader, rows: dict[str, int]) -> None:
    def used(tx: sa.Connection) -> str:
        ana = identity.ensure(tx, "post", "ana@x.test", "Ana", NOW)
        membership.join(tx, rows["tides"], ana.person_id, ana.address_id, NOW)
        data = {"template": "confirm-join", "address_id": ana.address_id}
        token = handles.grant(tx, "confirm", rows["tides"], data, NOW, 60_000)
        grant = handles.redeem(tx, "confirm", token, NOW)
        assert grant is not None
        handles.use(tx, grant.id, NOW)
        return token

    token = reader.home.store.write_now(used)
    assert "You are a member of Tide pools already." in await reader.text(f"/confirm/{token}")
    assert "already" in await (await reader.submit(f"/confirm/{token}", 200)).text()
    assert reader.home.accepted == []


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("/f/pools/1", "/f/pools/1"),
        ("//evil.test", "/"),
        ("//[", "/"),
        ("https://evil.test/", "/"),
        ("/\\evil.test", "/"),
    ],
)
def test_who_signs_in_is_led_to_pages_of_ours_alone(wanted: str, shown: str) -> None:
    assert local_path(wanted) == shown
