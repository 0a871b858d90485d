"""Endpoints of letters: events, drafts, reads, evidence, and the public check."""
