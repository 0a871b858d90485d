"""A tenant's file of limits, or its tariff, that is sound by itself."""

from __future__ import annotations

from typing import Literal

from appliance.letter_limits.files import LimitFile, TariffFile, read_terms
from appliance.letter_limits.rules import compile_rules
from appliance.letter_limits.tariffs import compile_tariff


def read_sound_terms(text: bytes) -> LimitFile | TariffFile:
    """Raises LimitsRefused."""
    file = read_terms(text)
    if isinstance(file, LimitFile):
        compile_rules(file)
    else:
        compile_tariff(file)
    return file


def form_of(file: LimitFile | TariffFile) -> Literal["limits", "tariff"]:
    """Which of them it is, as the recorder calls it."""
    return "limits" if isinstance(file, LimitFile) else "tariff"
