"""Logs as events with fields: JSON where nobody sits at the terminal, readable lines where somebody does. Imports nothing of ours.

A log line never holds a secret or the text of a post.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import FilteringBoundLogger


def setup(level: str = "info") -> None:
    """Set the process's logging up once; libraries' own logs go the same way from warnings on."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


def get(name: str) -> FilteringBoundLogger:
    """A logger whose events carry `name` as their part."""
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger
