"""A list of ids as one parameter of a statement, of any length. The engines spell it differently; no rules, no tables of its own.

An IN of as many parameters as ids is a new text for each length: made, parsed and planned each time, and bounded by both engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Dialect, Integer, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class _Json(TypeDecorator[Sequence[int]]):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[int] | None, dialect: Dialect) -> str:
        return str(list(value or ()))  # of numbers that is JSON


class _Each(FunctionElement[int]):
    type = Integer()
    inherit_cache = True


@compiles(_Each, "sqlite")
def _sqlite(element: _Each, compiler: SQLCompiler, **more: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **more)}))"


@compiles(_Each, "postgresql")
def _postgresql(element: _Each, compiler: SQLCompiler, **more: Any) -> str:
    given = compiler.process(element.clauses, **more)
    return f"(SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST({given} AS JSON)))"


def listed(column: Column[Any] | ColumnElement[Any], name: str) -> ColumnElement[bool]:
    """Whether the column's value is in the list that the parameter of this name is given."""
    return column.bool_op("IN")(_Each(bindparam(name, type_=_Json())))
