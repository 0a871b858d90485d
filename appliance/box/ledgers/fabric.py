"""Settings of a ledger of type fabric: a channel of Hyperledger Fabric, by the Gateway of a peer."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from appliance.anchors.fabric import NOT_YET_RUN
from appliance.box.ledgers.common import AccountSettings, LedgerCommon

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
_Path = Annotated[str, msgspec.Meta(min_length=1)]


class FabricGateway(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A peer that serves the Gateway, over TLS."""

    address: Annotated[str, msgspec.Meta(pattern=r"\A[^\s/@]+:[0-9]{1,5}\Z", max_length=300)]
    """HOST:PORT."""
    ca: _Path
    """Path, relative to the home, of the CA certificates that its TLS certificate comes from."""
    server_name: Annotated[str, msgspec.Meta(min_length=1, max_length=253)] | None = None
    """Name in its TLS certificate; None: the host of its address."""


class FabricAccountSettings(AccountSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of an organisation: a key on P-256 in a token, which signs for this ledger and nothing else."""

    curve: ClassVar[Literal["secp256k1", "secp256r1"]] = "secp256r1"


class FabricLedgerSettings(LedgerCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fabric"):
    """A channel, a chaincode and the box's account there. Not yet run on a real network (docs/anchors-fabric.md)."""

    caveat: ClassVar[str] = NOT_YET_RUN

    account: FabricAccountSettings
    """Signs proposals, transactions, and what is asked about them: four signatures an anchor."""
    certificate: _Path
    """Path, relative to the home, of the certificate of that key, PEM, which the organisation's CA issued."""
    msp: _Name
    """MSP id of that organisation."""
    gateways: Annotated[list[FabricGateway], msgspec.Meta(min_length=1, max_length=16)]
    """Peers that stand in for each other, asked in their order."""
    channel: _Name
    """Name of the channel."""
    chaincode: _Name
    """Name of the chaincode, as it is committed to the channel."""
    function: _Name
    """Function of the chaincode that takes an anchor."""
    arguments: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ("{commitment}", "{origin}", "{size}")
    """What it is called with: each of these, or a text of your own. The commitment is in hexadecimal, and must be
    among them."""
    endorsing: tuple[_Name, ...] = ()
    """MSP ids of the organisations that are to endorse; empty: the Gateway picks them by the chaincode's policy."""
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=300)] = 15.0
    """Of one call of a Gateway."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)] = 5.0
    """A Gateway is asked so often what became of a transaction."""
    send_again_s: Annotated[float, msgspec.Meta(ge=0.05, le=604_800)] = 60.0
    """The same transaction is sent again when it is in no block after so long: it can be committed once only."""
