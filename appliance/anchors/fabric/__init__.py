"""Hyperledger Fabric: what a block proves of a commitment (docs/anchors-fabric.md). Not yet run on a real network."""
