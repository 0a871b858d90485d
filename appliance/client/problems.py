"""How the command line tells a person of an error: what happened, the control behind it, whether to try again."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click


@contextlib.contextmanager
def explained(status: int = 1) -> Iterator[None]:
    """Turn the client's errors into two lines and this exit status. Others pass."""
    try:
        yield
    except Exception as error:
        lines = _lines(error)
        if lines is None:
            raise
        for line in lines:
            click.echo(line, err=True)
        sys.exit(status)


def _lines(error: Exception) -> list[str] | None:
    if "appliance.client.errors" not in sys.modules:
        return None
    from appliance.client.errors import ApiError, Refused  # noqa: PLC0415 - only where they can have been raised

    if isinstance(error, Refused):
        control = f" [control {error.control}]" if error.control else ""
        later, not_now = "The same request may succeed later.", "As things stand, the same request will fail again."
        again = later if error.retriable else not_now
        return [f"Refused ({error.code}){control}: {error}", again]
    if isinstance(error, ApiError):
        return [f"{type(error).__name__}: {error}"]
    return None
