"""How hypothesis runs here: it looks for wrong answers, never at the clock."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
