"""Log entries as syslog messages: RFC 5424, framed for TLS as RFC 5425, section 4.3 says. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from appliance.audit.source import StoredRow

PRIORITY = 13 * 8 + 5
"""Facility “log audit”, severity notice (RFC 5424, section 6.2.1)."""
ENTERPRISE = 32473
"""Of the structured data's name: the number for documentation (RFC 5612) until the maker has one of its own."""
LONGEST_CONTENT = 6 * 1024
"""Receivers take 8 KiB (RFC 5425, section 4.3.1): of longer contents the digest alone is told."""
_BOM = b"\xef\xbb\xbf"


def message(row: StoredRow, log: str, box: str, host: str, content: bytes | None) -> bytes:
    """One framed message. `content`: canonical JSON, or None for a record that is told without it."""
    data = {
        "box": box,
        "log": log,
        "index": str(row.leaf),
        "record": row.record_id.hex(),
        "kind": row.kind,
        "key": row.key,
        "application": row.application,
        "commitment": row.commitment.hex(),
    }
    if content is not None and len(content) > LONGEST_CONTENT:
        data["contentSha256"] = hashlib.sha256(content).hexdigest()
        content = None
    parameters = "".join(f' {name}="{_escaped(value)}"' for name, value in data.items() if value)
    seconds, rest = divmod(row.time, 1_000_000)
    instant = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06d}Z"
    head = f"<{PRIORITY}>1 {instant} {_word(host, 255)} cinnabar - {_word(row.kind, 32)}"
    text = f"{head} [cinnabar@{ENTERPRISE}{parameters}]".encode() + (b"" if content is None else b" " + _BOM + content)
    return b"%d " % len(text) + text


def _escaped(value: str) -> str:
    """RFC 5424, section 6.3.3."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _word(value: str, longest: int) -> str:
    """PRINTUSASCII, or the nil value."""
    return "".join(character if "!" <= character <= "~" else "?" for character in value[:longest]) or "-"
