"""ASiC-E containers (ETSI EN 319 162-1): manifests that one seal covers, and files that come out the same each time.

Pure: no key, no disk. What a letter's evidence holds, and why, is told in docs/letter-evidence.md.
"""

from appliance.asic.manifest import event_manifest
from appliance.asic.names import ASIC_E, JSON_TYPE, EventNames, event_names

__all__ = ["ASIC_E", "JSON_TYPE", "EventNames", "event_manifest", "event_names"]
