"""What an author says now is told from what they quote and how they sign; when in doubt, it is theirs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from server.content import phrases, quotes
from server.content.sanitize import tidy
from tests.content import strategies

ATTRIBUTIONS = [
    "On Mon, 1 Jan 2024 at 10:00, Ana <ana@a.example> wrote:",
    "On 1/1/24 10:00 AM, Ana wrote:",
    "Am Mo., 1. Jan. 2024 um 10:00 Uhr schrieb Ana <ana@a.example>:",
    "Am 01.01.24 um 10:00 schrieb Ana:",
    "Le lun. 1 janv. 2024 à 10:00, Ana <ana@a.example> a écrit :",
    "El lun, 1 ene 2024 a las 10:00, Ana (<ana@a.example>) escribió:",
    "Em seg., 1 de jan. de 2024 às 10:00, Ana <ana@a.example> escreveu:",
    "Il giorno lun 1 gen 2024 alle ore 10:00 Ana <ana@a.example> ha scritto:",
    "Op ma 1 jan 2024 om 10:00 schreef Ana <ana@a.example>:",
    "Den mån 1 jan. 2024 kl 10:00 skrev Ana <ana@a.example>:",
    "pon., 1 sty 2024 o 10:00 Ana <ana@a.example> napisał(a):",
    "пн, 1 янв. 2024 г. в 10:00, Ana <ana@a.example> написал:",
    "2024年1月1日 10:00，Ana <ana@a.example> 写道：",
    "2024年1月1日(月) 10:00 Ana <ana@a.example>さんは書きました:",
    "Ana wrote:",
]


def fresh(text: str) -> str:
    return quotes.join(quotes.fresh(quotes.split(text)))


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_an_answer_above_a_quote_is_told_from_it_in_many_languages(attribution: str) -> None:
    assert fresh(f"The pump is back.\n\n{attribution}\n\n> Is it?\n>> Was it?\n") == "The pump is back."


@pytest.mark.parametrize("attribution", ATTRIBUTIONS)
def test_a_lone_attributed_quote_at_the_top_is_folded(attribution: str) -> None:
    assert fresh(f"{attribution}\n> Is it?\n\nYes, it is.") == "Yes, it is."


@pytest.mark.parametrize(
    "torn",
    [
        "On Mon, 1 Jan 2024 at 10:00, Ana <ana@a.example>\nwrote:",
        "On Mon, 1 Jan 2024 at 10:00, Ana <\nana@a.example> wrote:",
        "Am 01.01.2024 10:00 schrieb Ana <ana@a.example\n>:",
        "Op 1 jan. 2024 10:00 schreef Ana <ana@a.example> het\nvolgende geschreven:",
        "2024-01-01 10:00 GMT+01:00 Ana <\nana@a.example>:",
        'Le 1 janv. 2024 10:00, "Ana"\n<ana@a.example>\na écrit :',
    ],
)
def test_an_attribution_that_was_broken_into_lines_is_found(torn: str) -> None:
    assert fresh(f"Yes.\n{torn}\n\n> Is it?") == "Yes."


def test_quotes_between_answers_stay_with_them_without_their_attribution() -> None:
    text = "On Mon, 1 Jan 2024 at 10:00, Ana wrote:\n> one?\n\nYes.\n\n> two?\n\nNo.\n\n> three?\n"
    assert fresh(text) == "> one?\n\nYes.\n\n> two?\n\nNo."


def test_quotes_keep_the_marks_they_came_with() -> None:
    text = "> > Is it?\n> It is.\n\nThank you.\n"
    assert fresh(text) == text.strip()


@pytest.mark.parametrize("mark", ["[...]", "[…]", "<snip>", "[snip]", "[ ... ]"])
def test_what_stands_below_a_quote_that_was_cut_is_an_answer_to_it(mark: str) -> None:
    text = f"Hi Ana,\n\nOn Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:\n{mark}\n\nI think so.\n\n> And the pump?\n\nIt runs.\n"
    assert fresh(text) == f"Hi Ana,\n\n> {mark}\n\nI think so.\n\n> And the pump?\n\nIt runs."


def test_answers_among_quotes_are_shown_also_where_the_first_stands_above_them() -> None:
    text = (
        "Hi,\n\nOn Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:\n\nYour subject says too little.\n\n"
        "> The pump runs.\n\nSince when?\n\n> It hums.\n"
    )
    assert fresh(text) == "Hi,\n\nYour subject says too little.\n\n> The pump runs.\n\nSince when?"


def test_answers_among_marked_quotes_below_the_header_of_an_original_are_shown() -> None:
    header = "-----Original Message-----\nFrom: Ana\nSent: Monday\nTo: Ben\nSubject: pump"
    assert "Since Monday." in fresh(
        f"{header}\n\n> On 1/1/24, Ben wrote:\n>> It runs.\n> Since when?\n\nSince Monday.\n\n> Thanks"
    )
    assert fresh(f"{header}\n\nIt runs.\n") == f"{header}\n\nIt runs."


def test_changes_below_trailers_are_no_original() -> None:
    text = "It writes now.\n\nFixes: 1234 (it writes twice)\nAcked-by: Ana <ana@a.example>\n---\nv2:\n- said what it writes\n"
    assert fresh(text) == text.strip()


def test_who_quotes_by_another_sign_is_shown_whole() -> None:
    text = "Ben,\n\n% On Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:\n% Is it?\n\nYes, it is.\n\n% Since when?\n\nMonday."
    assert fresh(text) == text


def test_an_original_with_attributed_quotes_in_it_is_one_original() -> None:
    text = (
        "Thank you.\n\nOn Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:\n\n\nOn 1/1/24, Ben wrote:\n\n"
        "> Does it run?\n\nIt does.\n"
    )
    assert fresh(text) == "Thank you."


def test_a_patch_with_its_header_is_meant_to_be_read() -> None:
    header = "From: Ben <ben@b.example>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\nSubject: pump: Start it\n"
    text = f"How about this?\n\n{header}\nIt stood.\n---\ndiff --git a/pump b/pump\n--- a/pump\n+++ b/pump\n@@ -1 +1 @@\n-stop\n+start"
    assert fresh(text) == text


def test_of_a_long_quote_above_an_answer_the_nearest_lines_stay() -> None:
    quoted = "".join(f"> line {n}\n" for n in range(40))
    assert fresh(f"Hello.\n\n{quoted}\nYes.") == (
        "Hello.\n\n> […]\n" + "".join(f"> line {n}\n" for n in range(32, 40)) + "\nYes."
    )


def test_an_attribution_above_nothing_leaves_no_trace() -> None:
    ana = "On Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:"
    assert fresh(f"Hi.\n\n{ana}\n\n>\n>\n\nYes.\n\n> And?\n\nNo.") == "Hi.\n\nYes.\n\n> And?\n\nNo."


def test_an_unattributed_quote_at_the_top_stays() -> None:
    assert fresh("> Is it?\n\nYes.") == "> Is it?\n\nYes."


def test_a_text_of_quotes_alone_is_shown_whole() -> None:
    assert fresh("> all of it\n> is quoted") == "> all of it\n> is quoted"


@pytest.mark.parametrize(
    "header",
    [
        "From: Ana\nSent: Monday\nTo: Ben\nSubject: pump",
        "________________________________\nFrom: Ana\nSent: Monday\nTo: Ben\nSubject: pump",
        "*From:* Ana\n*Date:* Monday\n*To:* Ben\n*Subject:* pump",
        "Von: Ana\nGesendet: Montag\nAn: Ben\nBetreff: Pumpe",
        "De : Ana\nEnvoyé : lundi\nÀ : Ben\nObjet : pompe",
        "От: Ana\nДата: 1 января\nКому: Ben\nТема: насос",
        "-----Original Message-----\nFrom: Ana",
        "-----Ursprüngliche Nachricht-----\nHallo",
        "On Mon, Jan 1, 2024 at 10:00 AM, Ana <ana@a.example> wrote:",
    ],
)
def test_an_original_below_without_marks_is_folded(header: str) -> None:
    assert fresh(f"The pump is back.\n\n{header}\n\nIs it?\n\nAna") == "The pump is back."


def test_a_forwarded_message_is_meant_to_be_read() -> None:
    text = "For you:\n\n---------- Forwarded message ---------\nFrom: Ana\nDate: Monday\nSubject: pump\n\nThe pump is back."
    assert fresh(text) == text
    marked = "For you:\n\n> Begin forwarded message:\n>\n> From: Ana\n> Date: Monday\n> Subject: pump\n>\n> The pump is back."
    assert fresh(marked) == marked


def test_a_forwarded_message_below_a_signature_is_no_signature() -> None:
    assert "The pump is back." in fresh(
        "For you.\n-- \nBen\n\n---- Forwarded message ----\nFrom: Ana\nDate: Monday\n\nThe pump is back."
    )


def test_prose_that_only_looks_like_an_announcement_is_kept() -> None:
    text = "In her book of 2013 she wrote:\n\nThe otter is back.\n\nFrom: here to there.\nAnd on."
    assert fresh(text) == text


@pytest.mark.parametrize(
    "signature",
    [
        "-- \nBen\nhttp://ben.example",
        "--\nBen",
        "Sent from my iPhone",
        "Von meinem Mobilgerät gesendet",
        "Envoyé de mon téléphone",
        "Get Outlook for Android",
        "_______________________________________________\nPumps mailing list\nhttp://list.example",
        "-------",
    ],
)
def test_a_signature_is_folded_and_also_where_a_quote_follows(signature: str) -> None:
    assert fresh(f"It works.\n\n{signature}") == "It works."
    assert fresh(f"It works.\n\n{signature}\n\nOn 1/1/24, Ana wrote:\n> Does it?") == "It works."


def test_a_signed_text_is_shown_without_its_armour() -> None:
    text = (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nIt works.\n\n- -- \nBen\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQEzBAEBCgAdFiEE\n=abcd\n-----END PGP SIGNATURE-----\n"
    )
    assert fresh(text) == "It works."


@pytest.mark.parametrize(
    "text",
    [
        "Found in:\n\na.c:1: read()\n--\nb.c:2: read()",  # as grep separates
        "It warns:\n\n--\n   In file included from a.c:1:\n   b.h:2: unused",
        "This mends it.\n\n-- \nBen\n\ndiff --git a/pump.c b/pump.c\n--- a/pump.c\n+++ b/pump.c\n@@ -1 +1 @@\n-stop\n+start",
        "A series.\n\n--\nBen (2):\n  one\n  two\n\n pump.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)",
    ],
)
def test_output_and_patches_below_a_mark_are_no_signature(text: str) -> None:
    assert fresh(text) == text


def test_what_is_too_long_for_a_signature_is_not_taken_for_one() -> None:
    text = "It works.\n\n-- \n" + "\n".join(f"reason {n}" for n in range(40))
    assert fresh(text) == text


@pytest.mark.parametrize(
    "text",
    [
        ">>> import os\n>>> os.getcwd()\n'/home'",
        "```\n-- \n> not a quote\nselect 1\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "We sent it yesterday. Get well soon.",
        "1 -- 2",
        "a --\nb",
    ],
)
def test_code_and_tables_are_no_quotes(text: str) -> None:
    assert fresh(text) == text


@pytest.mark.parametrize("text", ["", "\n\n", ">", "> ", "-- \n", "wrote:", "> wrote:", "On :", "\n> a\n-- \n> b"])
def test_scraps_are_harmless(text: str) -> None:
    assert quotes.join(quotes.split(text)).strip("> \n") == text.strip("> \n")


def words(text: str) -> str:
    return "".join(character for character in text if character not in "> \n\t")


@given(strategies.texts)
def test_the_pieces_of_a_text_are_the_whole_text(text: str) -> None:
    text = tidy(text)
    assert words("".join(line.text for piece in quotes.split(text) for line in piece.lines)) == words(text)


@given(strategies.texts)
def test_something_fresh_remains_of_every_text_that_says_something(text: str) -> None:
    text = tidy(text)
    assert fresh(text).strip() or not re.search(r"\w", text)


@pytest.mark.parametrize(
    "attack",
    ["wrote:\n" * 30_000, "<" * 500_000 + "\nwrote:\n> x", "From: x\n" * 30_000, ">" * 500_000, "> " * 300_000,
     "On 1" + " " * 500_000 + "wrote:\n> x", "-" * 500_000 + "\n", "--\n" * 200_000, ("a\n> b\n" * 20_000),
     "On 1\n" * 100_000, ">\n" * 300_000, "\n" * 500_000, "x wrote:\n>\n" * 80_000],
    ids=lambda attack: attack[:10],
)  # fmt: skip
def test_hostile_text_is_split_whole(attack: str) -> None:
    pieces = quotes.split(attack)
    assert sum(len(piece.lines) for piece in pieces) == attack.count("\n") + 1
    quotes.fresh(pieces)


def test_no_test_for_phrases_looks_at_more_than_its_bounds() -> None:
    long = "a" * 200_000
    assert not phrases.introduces(long)
    assert not phrases.sent_with("sent from my " + long)
    assert not phrases.header_block([long] * 3)
    assert not phrases.rule(long)


def test_marks_of_another_kind_are_counted_once_for_each_run() -> None:
    """A text of a hundred thousand such lines is read as fast as any other; counted from each line, it would take an hour."""
    text = "Ana wrote:\n" + "| all of it\n" * 100_000
    assert quotes.join(quotes.split(text)).count("all of it") == 100_000
