"""The one statement that the two engines spell by a dialect of their own: INSERT … ON CONFLICT. No rules, no tables of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select, Table
from sqlalchemy.dialects import postgresql, sqlite

COUNTED = {"preserve_rowcount": True}  # else the number of inserted rows is lost where the driver answers with columns


def _insert(tx: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    return postgresql.insert(table) if tx.dialect.name == "postgresql" else sqlite.insert(table)


def insert_new(tx: Connection, table: Table, values: Mapping[str, Any], unique: Sequence[str]) -> bool:
    """Insert a row unless one with the same `unique` columns is there; True if it was inserted."""
    statement = _insert(tx, table).values(**values).on_conflict_do_nothing(index_elements=list(unique))
    return tx.execute(statement, execution_options=COUNTED).rowcount == 1


def insert_all_new(tx: Connection, table: Table, rows: Sequence[Mapping[str, Any]], unique: Sequence[str]) -> None:
    """The same for many rows by one statement; of those with the same `unique` columns the first one stays."""
    if rows:
        tx.execute(_insert(tx, table).on_conflict_do_nothing(index_elements=list(unique)), list(rows))


def insert_or_set(
    tx: Connection, table: Table, values: Mapping[str, Any], unique: Sequence[str], changed: Sequence[str]
) -> None:
    """Insert a row; where one with the same `unique` columns is there, set its `changed` columns to the new values."""
    statement = _insert(tx, table).values(**values)
    new = {name: statement.excluded[name] for name in changed}
    tx.execute(statement.on_conflict_do_update(index_elements=list(unique), set_=new))


def insert_from(
    tx: Connection, table: Table, source: Select[Any], unique: Sequence[str], facts: Mapping[str, Any] | None = None
) -> int:
    """INSERT … SELECT of the columns that `source` names, but for rows that are there already; how many were inserted.

    `facts` fill the parameters of `source`.
    """
    statement = _from_select(tx.dialect.name, table, source, tuple(unique))
    return tx.execute(statement, dict(facts or {}), execution_options=COUNTED).rowcount


@lru_cache(maxsize=32)
def _from_select(
    dialect: str, table: Table, source: Select[Any], unique: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    columns = [column.name for column in source.selected_columns]
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    return insert.from_select(columns, source, include_defaults=False).on_conflict_do_nothing(
        index_elements=list(unique)
    )


def insert_rows(tx: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert many rows of plain values, given for each of the columns, straight through the driver: a third of the price."""
    if not rows:
        return
    text, order = _plain_insert(tx.dialect, table, columns)
    tx.exec_driver_sql(text, list(rows) if order is None else [dict(zip(order, row, strict=True)) for row in rows])


@lru_cache(maxsize=32)
def _plain_insert(dialect: Dialect, table: Table, columns: tuple[str, ...]) -> tuple[str, tuple[str, ...] | None]:
    """The statement, and the names of its parameters where the driver wants them by name."""
    compiled = table.insert().compile(dialect=dialect, column_keys=list(columns))
    return str(compiled), columns if not compiled.positional else None


def insert_id(tx: Connection, table: Table, **values: Any) -> int:
    """Insert one row; its id."""
    return int(tx.execute(table.insert().values(**values).returning(table.c.id)).scalar_one())
