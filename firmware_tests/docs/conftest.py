"""The chronyd pair of the clock's tests, for the page that says how to set a box up with it."""

from __future__ import annotations

from firmware_tests.clock.conftest import chrony

__all__ = ["chrony"]
