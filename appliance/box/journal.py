"""The box's own log lines: one JSON object a line on standard error, never a secret, never a request's content."""

from __future__ import annotations

import sys

import structlog


def configure(process: str = "supervisor") -> None:
    """Set structlog up for this process. `process` stands in every line."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Where it broke, without what stood in the variables there: PINs, codes, letters.
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
