"""Anchors as RFC 3161 time-stamps of other authorities over a checkpoint's text. `judge` is loaded when needed."""

from appliance.anchors.rfc3161.proof import read_proof, write_proof

__all__ = ["read_proof", "write_proof"]
