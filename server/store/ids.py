"""Ids of rows before they are written, for rows that name one another and are written together. Writes nothing."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select


def reserve(tx: Connection, table: Table, count: int, after: int = 0) -> list[int]:
    """Ids that nobody else gets, in order, for rows that this transaction may insert; `after` is the last one that it reserved."""
    if tx.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(table.name, "id")
        numbers = func.generate_series(1, count).table_valued("n")
        return list(tx.scalars(select(func.nextval(sequence)).select_from(numbers)))
    last = max(after, tx.scalar(select(func.max(table.c.id))) or 0)  # SQLite: who writes is alone
    return list(range(last + 1, last + count + 1))
