"""Settings of a ledger of type evm: a chain of the Ethereum family, reached over JSON-RPC."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from appliance.anchors.evm.rules import ContractRules
from appliance.box.ledgers.common import AccountSettings, LedgerCommon

Wei = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
"""An amount for one unit of gas; at most a million gwei."""


class EvmEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of the chain."""

    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^@#\s]+\Z", max_length=2_000)]
    """Where it answers JSON-RPC."""
    ca: str | None = None
    """Path, relative to the home, of the CA certificates that its TLS certificate comes from; None: the system's."""
    password_file: str | None = None
    """Path, relative to the home, of a file with `USER:PASSWORD` for HTTP Basic; over https, or to this host alone."""
    token_file: str | None = None
    """Likewise, of a file with a bearer token."""


class EvmLedgerSettings(LedgerCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evm"):
    """A chain, the account that writes to it, and what that may cost. The rules of its profile name the same chain."""

    endpoints: Annotated[list[EvmEndpoint], msgspec.Meta(min_length=1, max_length=16)]
    """Nodes that stand in for each other, asked in their order."""
    account: AccountSettings
    chain_id: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    """EIP-155: a transaction for one chain counts on no other."""
    contract: ContractRules
    """Where commitments go, as the rules of the profile have it."""
    transactions: Literal["fee-market", "legacy"] = "fee-market"
    """fee-market: EIP-1559; legacy: for chains without it."""
    maximum_fee_per_gas: Wei
    """Most wei for one gas that a transaction may ever offer."""
    maximum_priority_fee_per_gas: Wei = 2_000_000_000
    """Most wei of it for whoever makes the block; of no meaning to legacy transactions."""
    gas: Annotated[int, msgspec.Meta(ge=21_000, le=10_000_000)] = 500_000
    """Most gas that a transaction may take; with the highest fee, what an anchor costs at most."""
    replace_after_s: Annotated[float, msgspec.Meta(ge=1)] = 180.0
    """A transaction that no block has taken for so long is replaced by the same with a higher fee."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)] = 5.0
    """Seconds between two looks at the chain."""
    agreeing: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    """How many of the endpoints must show an anchor's block before it is final."""
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=300)] = 15.0
    """Of one call to one endpoint; then the next is asked."""

    @property
    def secret_files(self) -> list[str]:
        named = [name for one in self.endpoints for name in (one.password_file, one.token_file)]
        return [name for name in named if name is not None]
