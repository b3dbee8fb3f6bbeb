"""What the stories by mail share: a shore whose mail comes and goes through a real Postfix."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.peers.postfix import Postfix
from tests.stories.town import Town, town


@pytest.fixture
def mail_settings() -> dict[str, str]:
    """What a story has in `[email]` besides; a file with needs of its own overrides it."""
    return {}


@pytest.fixture
async def shore(tmp_path: Path, database: str, postfix: Postfix, mail_settings: dict[str, str]) -> AsyncIterator[Town]:
    domain = postfix.list_domain()
    mail = {"domain": domain, "relay": f"smtp://127.0.0.1:{postfix.port}"} | mail_settings
    async with town(tmp_path, database, {"email": mail}) as place:
        postfix.route(domain, place.ports["lmtp"])
        yield place
