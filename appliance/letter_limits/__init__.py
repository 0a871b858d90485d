"""How much a tenant's letters may come to, when issuing stops by itself, and what events cost. Pure: no I/O, no clock.

Kinds say what is counted (appliance.letters.kind.Quota); a tenant's quorum says up to which limits, in two files:
limits (`cinnabar-limits/1`) and tariffs (`cinnabar-tariff/1`). The recorder holds them and decides in the transaction
that records an event (control ONCE). Amounts are ten-thousandths of a currency's unit, shares and ratios
ten-thousandths of the whole, compared as products of integers: no float ever holds one. See docs/limits.md.
"""

from appliance.letter_limits.errors import LimitsRefused
from appliance.letter_limits.files import LimitFile, TariffFile, read_limit_file, read_tariff_file, read_terms
from appliance.letter_limits.rules import Rules, compile_rules
from appliance.letter_limits.tariffs import Tariff, compile_tariff

__all__ = [
    "LimitFile",
    "LimitsRefused",
    "Rules",
    "Tariff",
    "TariffFile",
    "compile_rules",
    "compile_tariff",
    "read_limit_file",
    "read_tariff_file",
    "read_terms",
]
