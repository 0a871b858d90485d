"""The policies on witnesses that ceremonies decided, and what the trust bundle says of them.

They stand in the keymaster's own directory: whoever could write box.json alone could have witnesses asked, but could
not make verifiers count them (control QUORUM).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from appliance.evidence.bundle import BundleDocument, CosigningEntry, LogEntry, TimeRules, WitnessEntry
from appliance.files import sync_directory, write_file
from appliance.log.note import VerifierKey


class LogWitnesses(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a ceremony decided of one log."""

    witnesses: list[str]
    """Verifier keys."""
    quorum: int
    size: int
    """Of the log when its witnesses were changed: up to it what stood before is enough, too."""


class WitnessPolicies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The last decision on each log, by its origin, and keys that were declared revoked, with since when."""

    logs: dict[str, LogWitnesses] = {}
    revoked: dict[str, str] = {}


def read_policies(path: Path) -> WitnessPolicies:
    """None were decided where there is no file. Raises msgspec.MsgspecError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=WitnessPolicies)
    except FileNotFoundError:
        return WitnessPolicies()


def write_policies(path: Path, policies: WitnessPolicies) -> None:
    """Durably, as a whole."""
    write_file(path, msgspec.json.encode(policies), 0o600)
    sync_directory(path.parent)


def wanted_witnesses(policies: WitnessPolicies, previous: BundleDocument) -> list[WitnessEntry]:
    """Those of the version before and those that were decided on since: a key stays, for heads that it cosigned."""
    entries = {entry.key: entry for entry in previous.witnesses}
    for log in policies.logs.values():
        for key in log.witnesses:
            entries.setdefault(key, WitnessEntry(key=key))
    for key, since in policies.revoked.items():
        if key in entries and entries[key].revoked is msgspec.UNSET:
            entries[key] = msgspec.structs.replace(entries[key], revoked=since)
    return list(entries.values())


def wanted_cosigning(
    policies: WitnessPolicies, previous: BundleDocument, logs: Sequence[LogEntry] = ()
) -> list[CosigningEntry] | None:
    """By log, the policies of the version before, the last one ended where another was decided on. A log that goes on
    from another one, as `logs` say, begins with that one's witnesses."""
    found: dict[str, list[CosigningEntry]] = {}
    for entry in previous.cosigning if isinstance(previous.cosigning, list) else []:
        found.setdefault(entry.origin, []).append(entry)
    for one in logs:
        before = found.get(one.succeeds) if isinstance(one.succeeds, str) else None
        if before and one.origin not in found:
            found[one.origin] = [msgspec.structs.replace(before[-1], origin=one.origin)]
    for origin, log in policies.logs.items():
        names = [VerifierKey.parse(key).name for key in log.witnesses]
        rules = found.get(origin, [])
        if not rules and not names:
            continue
        if rules and (rules[-1].witnesses, rules[-1].quorum) == (names, log.quorum):
            continue
        # Without a policy no head needed a witness: those that there are go on to pass.
        last = rules[-1] if rules else CosigningEntry(origin=origin, witnesses=[], quorum=0)
        earlier = rules[:-1]
        if not earlier or (earlier[-1].last_size or 0) < log.size:
            earlier = [*earlier, msgspec.structs.replace(last, last_size=log.size)]
        found[origin] = [*earlier, CosigningEntry(origin=origin, witnesses=names, quorum=log.quorum)]
    entries = [one for rules in found.values() for one in rules]
    return entries or None


def with_witnesses_time(time: TimeRules, cosigning: list[CosigningEntry] | None) -> TimeRules:
    """The first policy that names witnesses makes them a class whose times count."""
    if "witness" in time.accepted or not any(entry.witnesses for entry in cosigning or ()):
        return time
    return msgspec.structs.replace(time, accepted=[*time.accepted, "witness"])


def says_witnesses(policies: WitnessPolicies, bundle: BundleDocument, logs: Sequence[LogEntry] = ()) -> bool:
    """Whether a bundle says what was decided."""
    cosigning = bundle.cosigning if isinstance(bundle.cosigning, list) else None
    return (
        wanted_witnesses(policies, bundle) == bundle.witnesses and wanted_cosigning(policies, bundle, logs) == cosigning
    )
