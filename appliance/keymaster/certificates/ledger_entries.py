"""The ledgers of the trust bundle: the profiles that box.json names, and those of ledgers that are no longer used, for
their receipts stay to be checked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import structlog

from appliance.anchors import AnchorRefused, read_profile
from appliance.anchors.judging import rules_of
from appliance.box.settings import BoxSettings
from appliance.evidence.bundle import BundleDocument, LedgerEntry, TimeRules

log = structlog.get_logger("keymaster")


def wanted_ledgers(root: Path, settings: BoxSettings, previous: BundleDocument) -> list[LedgerEntry]:
    """Those of the next bundle, by name. A profile that cannot be read leaves what stood there before."""
    before = previous.ledgers if isinstance(previous.ledgers, list) else []
    found = {entry.name: entry for entry in before}
    for ledger in settings.ledgers:
        try:
            profile = read_profile((root / ledger.profile).read_bytes())
            rules_of(profile)
        except (AnchorRefused, OSError) as error:
            log.warning("ledger-profile-unreadable", ledger=ledger.name, error=str(error))
            continue
        if profile.name == ledger.name:
            rules = msgspec.json.decode(profile.rules)
            found[profile.name] = LedgerEntry(
                name=profile.name, rules=rules, tolerance_s=profile.tolerance_s, type=profile.type
            )
    return [found[name] for name in sorted(found)]


def says_ledgers(root: Path, settings: BoxSettings, bundle: BundleDocument) -> bool:
    """Whether the bundle has the ledgers as they are wanted."""
    return (bundle.ledgers if isinstance(bundle.ledgers, list) else []) == wanted_ledgers(root, settings, bundle)


def time_rules(previous: BundleDocument, ledgers: list[LedgerEntry]) -> TimeRules:
    """As before; the first ledger makes ledgers a class whose times count."""
    had_none = not isinstance(previous.ledgers, list) or not previous.ledgers
    if not ledgers or not had_none or "ledger" in previous.time.accepted:
        return previous.time
    return msgspec.structs.replace(previous.time, accepted=[*previous.time.accepted, "ledger"])
