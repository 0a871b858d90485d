"""Anchoring on Hyperledger Fabric by the Gateway of a peer (docs/anchors-fabric.md). Not yet run on a real network."""

from appliance.anchorer.fabric.ledger import FabricLedger

__all__ = ["FabricLedger"]
