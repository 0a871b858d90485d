"""Anchors as RFC 3161 time-stamps of other authorities over a checkpoint's text. `judge` is loaded when needed."""

from appliance.anchors.rfc3161.proof import StampProof, read_proof, write_proof

__all__ = ["StampProof", "read_proof", "write_proof"]
