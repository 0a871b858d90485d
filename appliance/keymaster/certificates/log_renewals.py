"""What officers decided of the hash of the box's logs, and what the trust bundle says of logs that were renewed.

The decision stands in the keymaster's own directory: whoever could write box.json alone could begin other logs, but
could not make verifiers take them (control QUORUM).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.box.settings import BoxSettings, EndedLogSettings, LogSettings
from appliance.evidence.bundle import LogEntry
from appliance.files import read_file, sync_directory, write_file
from appliance.keymaster.keys.ledger import KeyLedger, LedgerKey
from appliance.keymaster.keys.log_entries import is_entry_of, verifier_named
from appliance.log.eras import eras_of
from appliance.tree_hash import RENEWED_HASHES

_MOST_BYTES: Final = 65_536


class LogRenewals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Under which hashes the officers decided that logs may go on, the newest decision last."""

    decided: list[Literal["sha512", "sm3"]] = []


def read_renewals(path: Path) -> LogRenewals:
    """Nothing was decided where there is no file. Raises msgspec.MsgspecError."""
    try:
        return msgspec.json.decode(read_file(path, _MOST_BYTES), type=LogRenewals)
    except FileNotFoundError:
        return LogRenewals()


def write_renewals(path: Path, renewals: LogRenewals) -> None:
    """Durably, as a whole."""
    write_file(path, msgspec.json.encode(renewals), 0o600)
    sync_directory(path.parent)


def decided_hashes(path: Path, *, governed: bool) -> frozenset[str]:
    """Those under which logs may go on; a box that has no officers decides nothing."""
    return frozenset(read_renewals(path).decided if governed else RENEWED_HASHES)


def renewed_logs(settings: BoxSettings, ledger: KeyLedger, decided: Collection[str]) -> list[LogEntry]:
    """What a bundle says of the logs that were renewed, and of those that go on from them under hashes decided on."""
    found: list[LogEntry] = []
    for log in settings.logs:
        if log.ended and all(era.hashing.name in decided for era in eras_of(log)[1:]):
            found += _of_line(log, [one for one in ledger.keys(log.tenant) if one.purpose == "log"])
    return found


def _of_line(log: LogSettings, keys: Sequence[LedgerKey]) -> list[LogEntry]:
    found: list[LogEntry] = []
    before: str | None = None
    line: list[EndedLogSettings | LogSettings] = [*log.ended, log]
    for one in line:
        for entry in one.keys:
            key = next((key for key in keys if is_entry_of(entry, key)), None)
            if key is None:
                continue
            found.append(
                LogEntry(
                    origin=one.origin,
                    key=str(verifier_named(key, one.origin)),
                    first_size=entry.from_size,
                    last_size=entry.until_size,
                    succeeds=msgspec.UNSET if before is None else before,
                )
            )
        before = one.origin
    return found
