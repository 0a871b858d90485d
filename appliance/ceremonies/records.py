"""What a ceremony leaves in the logs of its scopes: one record an event. Pure: the form alone."""

from __future__ import annotations

from typing import Any

import msgspec


class CeremonyRecord(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    tag_field="format",
    tag="cinnabar-ceremony-record/1",
):
    """One event, as canonical JSON in the log. Members that say nothing are left out."""

    event: str
    """submitted, statement, begun, step, executed, failed, rejected, expired, founding, bundle."""
    proposal: str = ""
    """Its digest."""
    artifact: str = ""
    """SHA-256 of the document that stands beside the record: proposal, statement, version of the constitution,
    manifest of a bundle."""
    attempt: int = 0
    step: int = -1
    action: str = ""
    verb: str = ""
    officer: str = ""
    outcome: str = ""
    """Of a statement: how the proposal stands after it; of a step: done or failed."""
    facts: dict[str, Any] = {}
    outputs: dict[str, str] = {}
    """SHA-256 of each output of a step, by name."""
    error: str = ""
    time: int = 0
    """Microseconds since 1970-01-01T00:00:00Z."""
