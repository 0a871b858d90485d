"""Executors, one module a topic. Every module here is loaded at the start; each registers what it can execute."""
