"""What Mailman 2 and 3 export is taken as far as it goes, and what is not taken is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.desk.options import OPTIONS
from server.errors import CommandError
from server.moving import mailman
from server.store.schema import memberships, subscriptions
from tests.cli.conftest import Operator
from tests.moving.conftest import rows

CONFIG_LIST = '''# -*- python -*-
## captured on Mon Jan  1 00:00:00 2024
# The public name of the list (make case-changes only).
real_name = 'Pools'

# The list administrator email addresses.
owner = ['owner@shore.example']
description = """Tide pools,
all around the world"""
subject_prefix = '[Pools] '
reply_goes_to_list = 0
max_message_size = 40
max_num_recipients = 10
subscribe_policy = 3
archive_private = 1
generic_nonmember_action = 1
default_member_moderation = 0
ban_list = ['^spam@']
msg_footer = """_____
%(real_name)s mailing list"""
'''
CONFIG_3 = {
    "display_name": "Pools",
    "description": "",
    "subscription_policy": "confirm",
    "archive_policy": "public",
    "default_nonmember_action": "discard",
    "default_member_action": "hold",
    "reply_goes_to_list": "point_to_list",
    "max_message_size": 0,
    "dmarc_mitigate_action": "munge_from",
}
ROSTER: dict[str, Any] = {
    "start": 0,
    "total_size": 4,
    "entries": [
        {
            "email": "Ana@shore.example",
            "display_name": "Ana",
            "role": "member",
            "delivery_mode": "regular",
            "delivery_status": "enabled",
        },
        {"email": "ben@shore.example", "display_name": "", "role": "member", "delivery_mode": "mime_digests"},
        {"email": "ana@shore.example", "display_name": "Ana", "role": "owner", "delivery_mode": "regular"},
        {"email": "caro@shore.example", "role": "member", "delivery_status": "by_user"},
        {"email": "eve@shore.example", "role": "nonmember"},
    ],
}


def test_settings_of_mailman_2() -> None:
    told = mailman.settings(CONFIG_LIST, OPTIONS | {"subject_prefix": None, "footer": None})
    assert told.taken == {
        "title": "Pools",
        "subject_prefix": "[Pools]",
        "reply_to": "author",
        "max_size": "40960",
        "max_recipients": "10",
        "join": "approval",
        "visibility": "members",
        "strangers": "hold",
        "footer": "_____\n%(real_name)s mailing list",
    }
    assert {"owner", "ban_list", "default_member_moderation"} <= {*told.left}


def test_settings_of_mailman_3() -> None:
    told = mailman.settings(json.dumps(CONFIG_3), OPTIONS)
    assert told.taken == {
        "title": "Pools",
        "join": "open",
        "visibility": "public",
        "strangers": "refuse",
        "post": "moderators",
        "reply_to": "list",
        "max_size": "26214400",
    }
    assert told.left == ["description", "dmarc_mitigate_action"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", "{", "address,name\n", "import os\nos.remove('x')\n", "((((" * 5_000]
)
def test_what_is_no_export_of_settings_is_refused(text: str) -> None:
    with pytest.raises(CommandError):
        mailman.settings(text, OPTIONS)


def test_members_stand_in_lines_or_in_json() -> None:
    lines = 'ana@shore.example\n"Ben, the diver" <ben@shore.example>\n\nCaro <caro@shore.example>\n'
    assert mailman.members(lines) == [
        (1, {"address": "ana@shore.example"}),
        (2, {"address": "ben@shore.example", "name": "Ben, the diver"}),
        (4, {"address": "caro@shore.example", "name": "Caro"}),
    ]
    assert mailman.members(json.dumps(ROSTER)) == [
        (1, {"address": "ana@shore.example", "name": "Ana", "delivery": "each", "role": "owner"}),
        (2, {"address": "ben@shore.example", "name": "", "delivery": "daily", "role": "member"}),
        (4, {"address": "caro@shore.example", "name": "", "delivery": "none", "role": "member"}),
    ]
    assert mailman.members("address,name\nana@shore.example,Ana\n") is None


def test_an_operator_moves_a_list_of_mailman_in(operator: Operator, tmp_path: Path) -> None:
    digests, roster, config = tmp_path / "digests.txt", tmp_path / "roster.json", tmp_path / "config.txt"
    digests.write_text("Dora <dora@shore.example>\n")
    roster.write_text(json.dumps(ROSTER))
    config.write_text(CONFIG_LIST)
    ran = operator.do("member", "import", str(roster), "--forum", "tides", "--confirmed")
    assert ran.out == "3 joined, 0 invited, 0 unchanged.\n"
    operator.do("member", "import", str(digests), "--forum", "tides", "--confirmed", "--delivery", "daily")
    assert sorted(row.role for row in rows(operator, memberships)) == ["member", "member", "member", "owner"]
    assert sorted(row.mode for row in rows(operator, subscriptions)) == ["daily", "daily", "each", "none"]
    said = operator.do("forum", "set", "tides", "title=Rock pools", "--from", str(config)).out
    assert "  join=approval\n" in said
    assert "  title=Rock pools\n" in said
    assert "Not taken: " in said
    assert "ban_list" in said
    bad = tmp_path / "bad.txt"
    bad.write_text("ana@shore.example\nnobody\n")
    assert "Line 2" in operator.fails("member", "import", str(bad), "--forum", "tides", "--confirmed")
