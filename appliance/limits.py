"""Limits that more than one room holds to."""

from __future__ import annotations

from typing import Final

VERIFIED_FILES: Final = 64
"""Files that one verification takes, offline and by POST /v1/verify alike."""
