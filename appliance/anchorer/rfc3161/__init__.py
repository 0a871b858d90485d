"""Anchoring by the RFC 3161 time-stamps of other authorities (docs/anchors.md)."""

from appliance.anchorer.rfc3161.ledger import TimeStampLedger

__all__ = ["TimeStampLedger"]
