"""Endpoints of the message gateway: partners' messages, and what a partner needs to know (docs/gateway.md)."""
