"""Measurements. Never run by the tests; `make bench` runs them all."""
