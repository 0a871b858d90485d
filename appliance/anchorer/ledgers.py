"""Which module works with which type of ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from appliance.anchorer.bitcoin.ledger import BitcoinLedger
from appliance.anchorer.evm.ledger import EvmLedger
from appliance.anchorer.ledger import Desk, Ledger, LedgerUnavailable, Surroundings
from appliance.anchorer.rfc3161 import TimeStampLedger
from appliance.anchors import AnchorRefused, LedgerProfile, Reason, read_profile
from appliance.anchors.judging import rules_of
from appliance.box.ledgers import (
    BitcoinLedgerSettings,
    EvmLedgerSettings,
    FabricLedgerSettings,
    LedgerSettings,
    Rfc3161LedgerSettings,
)


def _fabric(settings: FabricLedgerSettings, around: Surroundings) -> Ledger:
    try:
        from appliance.anchorer.fabric import FabricLedger  # noqa: PLC0415 - gRPC is installed with an extra
    except ImportError as error:
        raise LedgerUnavailable(f"install cinnabar[fabric]: {error}") from None
    return FabricLedger(settings, around)


MAKERS: Final[Mapping[type, Callable[[Any, Surroundings], Ledger]]] = {
    BitcoinLedgerSettings: BitcoinLedger,
    EvmLedgerSettings: EvmLedger,
    FabricLedgerSettings: _fabric,
    Rfc3161LedgerSettings: TimeStampLedger,
}


def open_ledger(settings: LedgerSettings, home: Path, desk: Desk) -> tuple[Ledger, LedgerProfile]:
    """A ledger as box.json has it, and its profile. Raises AnchorRefused for a profile that is not its own or cannot be
    read, OSError."""
    profile = read_profile((home / settings.profile).read_bytes())
    kind = settings.__struct_config__.tag
    if profile.name != settings.name or profile.type != kind:
        raise AnchorRefused(
            Reason.RULES_UNREADABLE,
            f"the profile is of {profile.name} ({profile.type}), not of {settings.name} ({kind})",
        )
    rules_of(profile)
    return MAKERS[type(settings)](settings, Surroundings(home, profile, desk)), profile
