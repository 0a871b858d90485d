"""The public keys of a log, in its own directory: what `cinnabar log check` and `resume` verify with.

The follower writes them from the HSM. Retired keys stay, so that old heads can be verified when their token is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.box.settings import LogSettings
from appliance.files import read_file, write_durably
from appliance.log.checkpoint import LogKey
from appliance.log.errors import LogDamaged
from appliance.log.note import VerifierKey


class _Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: str
    """Verifier key (C2SP signed-note)."""
    first_size: int = 0
    last_size: int | None = None


class LogKeysDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """keys.json."""

    format: str = "cinnabar-log-keys/1"
    origin: str
    keys: list[_Key]


KEYS_FILE = "keys.json"
_MOST_BYTES = 1024 * 1024


def write_log_keys(directory: Path, origin: str, keys: Sequence[LogKey]) -> None:
    """Publish a log's keys with the first and last tree size that each signs."""
    entries = [_Key(key=str(key.verifier), first_size=key.from_size, last_size=key.until_size) for key in keys]
    content = msgspec.json.encode(LogKeysDocument(origin=origin, keys=entries))
    file = directory / KEYS_FILE
    if not file.exists() or file.read_bytes() != content:
        write_durably(file, content)


def read_log_keys(directory: Path) -> list[LogKey]:
    """The published keys of a log, empty before the first start. Raises LogDamaged."""
    file = directory / KEYS_FILE
    try:
        document = msgspec.json.decode(read_file(file, _MOST_BYTES), type=LogKeysDocument)
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        raise LogDamaged(f"{file} cannot be read: {error}") from None
    return [LogKey(VerifierKey.parse(entry.key), entry.first_size, entry.last_size) for entry in document.keys]


def log_keys(directory: Path, log: LogSettings) -> list[LogKey | None]:
    """The published key of each entry of a log's settings, with the sizes that the settings give; None where new."""
    published = read_log_keys(directory)
    found: list[LogKey | None] = []
    for place, entry in enumerate(log.keys):
        key = published[place] if place < len(published) else None
        found.append(None if key is None else LogKey(key.verifier, entry.from_size, entry.until_size))
    return found
