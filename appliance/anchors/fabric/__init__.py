"""Hyperledger Fabric: what a block proves of a commitment (docs/anchors-fabric.md). Not yet run on a real network."""

from typing import Final

NOT_YET_RUN: Final = "Anchoring on Hyperledger Fabric has not yet run on a real network."
"""Said wherever a ledger or an anchor of this type is shown, until it has."""
