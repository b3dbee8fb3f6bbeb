"""Brings a database to the schema of this code, one linear step after another; refuses one that is newer.

Called by the store's `open` only.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from server.errors import JuntoError

LOCK = 0x6A756E746F  # "junto": PostgreSQL's advisory lock of whoever migrates


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def upgrade(engine: Engine) -> None:
    """Run the missing steps in one transaction. Raises JuntoError if the database knows a step that this code does not."""
    directory = scripts()
    head = directory.get_current_head()
    with engine.connect() as reading:
        at = current(reading)
        reading.rollback()
    if at == head:
        return
    with engine.begin() as tx:
        if tx.dialect.name == "postgresql":
            tx.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        at = current(tx)  # another process may have been faster
        if at == head:
            return
        if at is not None and at not in {step.revision for step in directory.walk_revisions()}:
            raise JuntoError(
                f"This database was written by a newer Junto (its schema is {at}, this one knows {head}): "
                "install that version again, or restore a backup."
            )
        command.upgrade(_config(tx), "head")
