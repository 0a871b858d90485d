"""box.json's `ledgers`: where heads of the box's log are anchored, one Struct a type, told apart by `type`.

A new type of ledger is one module here, one name in LedgerSettings, one module of appliance.anchorer, and a judge in
appliance.anchors.
"""

from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.box.ledgers.common import AccountSettings, LedgerCommon, account_of
from appliance.box.ledgers.evm import EvmEndpoint, EvmLedgerSettings
from appliance.box.ledgers.fabric import FabricGateway, FabricLedgerSettings
from appliance.box.ledgers.rfc3161 import Rfc3161Authority, Rfc3161LedgerSettings

LedgerSettings = BitcoinLedgerSettings | EvmLedgerSettings | FabricLedgerSettings | Rfc3161LedgerSettings

__all__ = [
    "AccountSettings",
    "BitcoinLedgerSettings",
    "EvmEndpoint",
    "EvmLedgerSettings",
    "FabricGateway",
    "FabricLedgerSettings",
    "LedgerCommon",
    "LedgerSettings",
    "Rfc3161Authority",
    "Rfc3161LedgerSettings",
    "account_of",
]
